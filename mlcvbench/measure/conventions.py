"""Account for layers by one of three conventions.

`standard`: FLOPs = 2 x MACs, nothing for pools; memory of values only (float32, forward). `table`: the rules of the
lecture tables (layer_tables/README.md): pools cost one operation a window element, memory holds value and gradient of
activations, and value, gradient and momentum of parameters. `notes`: the same as printed there, where a fully connected
layer has a bias an input instead of an output (an erratum), rounded as printed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from math import prod
from typing import Literal

from mlcvbench.measure.layers import Layer

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
PRINTED_DIGITS = (0, 1, 1, 1)
"""Decimals of params_k, flops_m, act_mem_mb and param_mem_mb in the notes' rows."""
PRINTED_TOTAL_DIGITS = (0, 0, 0, 0)
"""The same in their total rows, but for AlexNet's, which has 2, 1, 1, 1."""


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

    def units(self) -> tuple[float, float, float, float]:
        """Return thousands of parameters, millions of FLOPs, MiB of activations and MiB of parameters."""
        return (
            self.params / 1e3,
            self.flops / 1e6,
            self.activation_bytes / MIB,
            self.parameter_bytes / MIB,
        )

    def printed(self) -> list[str]:
        """Return the cells rounded as the notes print them: halves up, the total without decimals."""
        return self.cells(PRINTED_TOTAL_DIGITS if self.layer == "total" else PRINTED_DIGITS)

    def cells(self, digits: Sequence[int] = (3, 6, 4, 4)) -> list[str]:
        """Return the cells of `COLUMNS`, the last four with so many decimals."""
        text = [self.layer, self.kernels, self.kernel_hw, self.stride, self.padding, self.out_hw, self.out_channels]
        exact = [str(self.activations), str(self.params), str(self.macs)]
        return text + exact + [_rounded(value, places) for value, places in zip(self.units(), digits, strict=True)]


def account(layers: Sequence[Layer], convention: Convention, batch: int) -> list[Row]:
    """Return the rows of a network under a convention for a minibatch, then their `total`."""
    rows = _standard(layers, batch) if convention == "standard" else _lecture(layers, convention, batch)
    return [*rows, _total(rows)]


def _standard(layers: Sequence[Layer], batch: int) -> list[Row]:
    """Name layers as the network does."""
    return [
        _row(layer, layer.name, layer.params, 2 * layer.macs * batch, batch, FLOAT_BYTES, FLOAT_BYTES)
        for layer in layers
    ]


def _lecture(layers: Sequence[Layer], convention: Convention, batch: int) -> list[Row]:
    """Give layers the lecture's numbers (weight layers together, pools apart); show where maps become a vector."""
    rows: list[Row] = []
    weights, others = 0, dict.fromkeys(("pool", "norm", "other"), 0)
    before: Layer | None = None
    for layer in layers:
        if layer.kind == "fc" and before is not None and _flattened(before, layer):
            rows.append(
                Row(
                    "flatten", "Flatten", out_hw="1", out_channels=str(layer.in_features), activations=layer.in_features
                )
            )
        if layer.kind in ("conv", "fc"):
            weights += 1
            name = f"{layer.kind}{weights}"
        elif layer.kind == "input":
            name = "input"
        elif layer.kind == "pool" and layer.type.startswith("Adaptive") and set(layer.size) == {1}:
            name = "avgpool"
        else:
            others[layer.kind] += 1
            name = f"{layer.kind}{others[layer.kind]}"
        rows.append(_lecture_row(layer, name, convention, batch))
        before = layer
    return rows


def _lecture_row(layer: Layer, name: str, convention: Convention, batch: int) -> Row:
    """Apply rules 2 to 7: pools count, values have gradients, parameters a gradient and a momentum buffer."""
    params = layer.params
    if convention == "notes" and layer.kind == "fc" and params > layer.in_features * layer.channels:
        params += layer.in_features - layer.channels
    flops = (2 * layer.macs + layer.pool_elements) * batch
    # the input has no gradient; normalisation works in place
    copies = {"input": 1, "norm": 0}.get(layer.kind, 2)
    return _row(layer, name, params, flops, batch, copies * FLOAT_BYTES, 3 * FLOAT_BYTES)


def _row(
    layer: Layer, name: str, params: int, flops: int, batch: int, activation_cost: int, parameter_cost: int
) -> Row:
    """Lay one layer out; the costs are bytes an activation and a parameter."""
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
    )


def _flattened(before: Layer, layer: Layer) -> bool:
    """Tell whether maps were laid out as a vector between two layers."""
    return prod(before.size) > 1 and before.activations == layer.in_features and not layer.size


def _total(rows: Sequence[Row]) -> Row:
    """Sum all rows but the input and `flatten`, which store nothing of their own."""
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
    """Round halves up, as a person does: 182.25 is 182.3."""
    return str(Decimal(value).quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP))


def _sides(sizes: Sequence[int]) -> str:
    """Write equal sides once, others as `3x5`."""
    return str(sizes[0]) if len(set(sizes)) == 1 else "x".join(map(str, sizes))
