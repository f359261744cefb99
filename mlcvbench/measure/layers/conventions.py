"""Account for layers by one of three conventions.

`standard`: FLOPs = 2 x MACs, nothing for pools; memory of values only (float32, forward). `table`: the rules of the
lecture tables (layer_tables/README.md): pools cost one operation per window element, memory holds value and gradient of
activations, and value, gradient and momentum of parameters, and a block of parallel branches is one row that stores its
joined output only. `notes`: the same as printed there with its errata, rounded as printed: a fully connected layer has
one bias per input instead of per output; in a block there are no biases, a convolution before another is charged r x c
(the outputs of the next in place of its own inputs), and a pool counts twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from itertools import groupby
from math import prod
from typing import Literal

from mlcvbench.measure.layers.tabulate import Block, Layer

Convention = Literal["standard", "table", "notes"]
CONVENTIONS: tuple[Convention, ...] = ("standard", "table", "notes")
FLOAT_BYTES = 4
MIB = 2**20
COLUMNS = (
    "layer",
    "kernels",
    "kernel_hw",
    "stride",
    "padding",
    "out_hw",
    "out_channels",
    "activations",
    "params",
    "macs",
    "params_k",
    "flops_m",
    "act_mem_mb",
    "param_mem_mb",
)
"""Columns of a table as CSV, those of the lecture tables."""
FIELD_COLUMNS = ("receptive_field", "jump")
"""Further columns of convention `standard`."""
PRINTED_DIGITS = (0, 1, 1, 1)
"""Decimals of params_k, flops_m, act_mem_mb and param_mem_mb in the notes' rows."""
PRINTED_TOTAL_DIGITS = (0, 0, 0, 0)
"""The same in their total rows."""
ALEXNET_TOTAL_DIGITS = (2, 1, 1, 1)
ALEXNET_FIRST_KERNEL = "11"
"""Only AlexNet's total row has decimals; its table is recognised by the 11x11 convolution that it begins with."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table. `activations`, `params`, `macs` are of one image; `flops` and bytes of the whole batch."""

    layer: str
    type: str = ""
    kernels: str = ""
    kernel_hw: str = ""
    stride: str = ""
    padding: str = ""
    out_hw: str = ""
    out_channels: str = ""
    activations: int = 0
    params: int = 0
    macs: int = 0
    flops: int = 0
    activation_bytes: int = 0
    parameter_bytes: int = 0
    shape: str = ""
    receptive_field: str = ""
    jump: str = ""

    def units(self) -> tuple[float, float, float, float]:
        """Return thousands of parameters, millions of FLOPs, MiB of activations and MiB of parameters."""
        return (
            self.params / 1e3,
            self.flops / 1e6,
            self.activation_bytes / MIB,
            self.parameter_bytes / MIB,
        )

    def cells(self, digits: Sequence[int] = (3, 6, 4, 4)) -> list[str]:
        """Return the cells of `COLUMNS`, the last four with `digits` decimals."""
        text = [self.layer, self.kernels, self.kernel_hw, self.stride, self.padding, self.out_hw, self.out_channels]
        exact = [str(self.activations), str(self.params), str(self.macs)]
        return text + exact + [_rounded(value, places) for value, places in zip(self.units(), digits, strict=True)]


def account(layers: Sequence[Layer], convention: Convention, batch: int) -> list[Row]:
    """Return the rows of a network under a convention for a minibatch, then their `total`."""
    rows = _standard(layers, batch) if convention == "standard" else _lecture(layers, convention, batch)
    return [*rows, _total(rows)]


def printed(rows: Sequence[Row]) -> list[list[str]]:
    """Return the cells of a table rounded as in the notes: halves up, the total without decimals except AlexNet's.

    `rows`: those of `account` under convention `notes`.
    """
    first = next((row.kernel_hw for row in rows if row.kernel_hw), "")
    last = ALEXNET_TOTAL_DIGITS if first == ALEXNET_FIRST_KERNEL else PRINTED_TOTAL_DIGITS
    return [row.cells(last if row.layer == "total" else PRINTED_DIGITS) for row in rows]


def _standard(layers: Sequence[Layer], batch: int) -> list[Row]:
    """Return the rows of convention `standard`, with the network's own layer names."""
    return [
        _row(layer, layer.name, layer.params, 2 * layer.macs * batch, batch, FLOAT_BYTES, FLOAT_BYTES)
        for layer in layers
    ]


def _lecture(layers: Sequence[Layer], convention: Convention, batch: int) -> list[Row]:
    """Return the rows of the lecture's conventions: numbered layers, one row per block, and where maps become a
    vector.
    """
    rows: list[Row] = []
    numbers = _Numbers()
    before: Layer | None = None
    for block, together in groupby(layers, key=lambda layer: layer.block):
        parts = list(together)
        if block is not None and all(layer.kind in ("conv", "pool", "norm") for layer in parts):
            rows.append(_block_row(block, parts, numbers.of_block(), convention, batch))
            before = None
            continue
        for layer in parts:
            if layer.kind == "fc" and before is not None and _flattened(before, layer):
                vector = layer.in_features
                rows.append(Row("flatten", "Flatten", out_hw="1", out_channels=str(vector), activations=vector))
            rows.append(_lecture_row(layer, numbers.of(layer), convention, batch))
            before = layer
    return rows


class _Numbers:
    """Names as in the lecture: layers with weights are numbered together, the others per kind.

    After blocks, which have weights of their own, fully connected layers are numbered separately.
    """

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def of(self, layer: Layer) -> str:
        """Return the name of the next layer."""
        if layer.kind == "input":
            return "input"
        if layer.kind == "pool" and layer.type.startswith("Adaptive") and set(layer.size) == {1}:
            return "avgpool"
        self._counts[layer.kind] += 1
        together = layer.kind in ("conv", "fc") and not self._counts["incep"]
        count = self._counts["conv"] + self._counts["fc"] if together else self._counts[layer.kind]
        return f"{layer.kind}{count}"

    def of_block(self) -> str:
        """Return the name of the next block."""
        self._counts["incep"] += 1
        return f"incep{self._counts['incep']}"


def _lecture_row(layer: Layer, name: str, convention: Convention, batch: int) -> Row:
    """Apply rules 2 to 7: pools count, values have gradients, parameters have a gradient and a momentum buffer."""
    params = layer.params
    if convention == "notes" and layer.kind == "fc" and params > layer.in_features * layer.channels:
        params += layer.in_features - layer.channels
    flops = (2 * layer.macs + layer.pool_elements) * batch
    # the input has no gradient; normalisation works in place
    copies = {"input": 1, "norm": 0}.get(layer.kind, 2)
    return _row(layer, name, params, flops, batch, copies * FLOAT_BYTES, 3 * FLOAT_BYTES)


def _block_row(block: Block, layers: Sequence[Layer], name: str, convention: Convention, batch: int) -> Row:
    """Apply rule 8: one row for all branches; only the joined output is stored."""
    branches = [
        [layer for layer in layers if layer.branch == number and layer.kind != "norm"]
        for number in sorted({layer.branch for layer in layers})
    ]
    params = sum(layer.params for layer in layers)
    flops = sum(2 * layer.macs + layer.pool_elements for layer in layers)
    if convention == "notes":
        params -= sum(min(layer.biases, layer.params) for layer in layers)
        flops = sum(_printed_flops(layer, behind) for branch in branches for layer, behind in _pairs(branch))
    activations = block.channels * prod(block.size)
    return Row(
        layer=name,
        type=block.type,
        kernels="|".join(">".join(str(part.channels) for part in branch if part.kind == "conv") for branch in branches),
        kernel_hw=_branched([[_sides(part.kernel) for part in branch] for branch in branches]),
        stride=_branched([[_sides(part.stride) for part in branch] for branch in branches]),
        padding=_branched([[_sides(part.padding) for part in branch] for branch in branches]),
        out_hw=_sides(block.size),
        out_channels=str(block.channels),
        activations=activations,
        params=params,
        macs=sum(layer.macs for layer in layers),
        flops=flops * batch,
        activation_bytes=activations * batch * 2 * FLOAT_BYTES,
        parameter_bytes=params * 3 * FLOAT_BYTES,
        shape="x".join(map(str, (block.channels, *block.size))),
        receptive_field=_sides(block.field),
        jump=_sides(block.jump),
    )


def _printed_flops(layer: Layer, behind: Layer | None) -> int:
    """Return the FLOPs that the notes charge for a layer of a block."""
    if layer.kind == "pool":
        return 2 * layer.pool_elements
    return 2 * (layer.macs if behind is None else layer.activations * behind.channels)


def _pairs(branch: Sequence[Layer]) -> list[tuple[Layer, Layer | None]]:
    """Return each layer of a branch with the next one."""
    return list(zip(branch, [*branch[1:], None], strict=True))


def _branched(values: Sequence[Sequence[str]]) -> str:
    """Return a setting of each layer of each branch as text, once where all are equal."""
    alike = {value for branch in values for value in branch}
    return next(iter(alike)) if len(alike) == 1 else "|".join(">".join(branch) for branch in values)


def _row(
    layer: Layer, name: str, params: int, flops: int, batch: int, activation_cost: int, parameter_cost: int
) -> Row:
    """Return the row of one layer; the costs are bytes per activation and per parameter."""
    kernels = {"conv": str(layer.channels), "fc": str(layer.channels), "pool": "1"}.get(layer.kind, "")
    return Row(
        layer=name,
        type=layer.type,
        kernels=kernels,
        kernel_hw=_sides(layer.kernel),
        stride=_sides(layer.stride),
        padding=_sides(layer.padding),
        out_hw=(_sides(layer.size) or "1") if layer.channels else "",
        out_channels=str(layer.channels or ""),
        activations=layer.activations,
        params=params,
        macs=layer.macs,
        flops=flops,
        activation_bytes=layer.activations * batch * activation_cost,
        parameter_bytes=params * parameter_cost,
        shape="x".join(map(str, layer.shape)) if layer.channels else "",
        receptive_field=_sides(layer.field),
        jump=_sides(layer.jump),
    )


def _flattened(before: Layer, layer: Layer) -> bool:
    """Return whether maps were flattened to a vector between two layers."""
    return prod(before.size) > 1 and before.activations == layer.in_features and not layer.size


def _total(rows: Sequence[Row]) -> Row:
    """Sum all rows except the input and `flatten`, which store nothing of their own."""
    kept = [row for row in rows if row.layer not in ("input", "flatten")]
    return Row(
        layer="total",
        activations=sum(row.activations for row in kept),
        params=sum(row.params for row in kept),
        macs=sum(row.macs for row in kept),
        flops=sum(row.flops for row in kept),
        activation_bytes=sum(row.activation_bytes for row in kept),
        parameter_bytes=sum(row.parameter_bytes for row in kept),
    )


def _rounded(value: float, places: int) -> str:
    """Round halves up: 182.25 becomes 182.3."""
    return str(Decimal(value).quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP))


def _sides(sizes: Sequence[int]) -> str:
    """Return equal sides once, others as `3x5`."""
    return "" if not sizes else str(sizes[0]) if len(set(sizes)) == 1 else "x".join(map(str, sizes))
