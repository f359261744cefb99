"""The layers of a run's network as stored in its record: a short form of the table of `mlcvbench profile`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from mlcvbench.contract import Batch, Model, TorchModel
from mlcvbench.errors import first_line
from mlcvbench.limits import MAX_LAYER_ROWS
from mlcvbench.records.schema import LayersInfo, OperationsInfo

if TYPE_CHECKING:
    from mlcvbench.measure.layers.conventions import Row

OUTSIDE = "(outside the modules)"
"""The row of operations outside the modules' calls: products in the model's code around its network."""


def layers_of(model: Model, batch: Batch, operations: OperationsInfo) -> LayersInfo | None:
    """Return the layers of a torch network for the first sample of `batch`, None for any other model.

    Rows sum to the model's parameters and to the traced MACs; where they cannot, there are no rows and `reason` says
    why.
    """
    if not isinstance(model, TorchModel):
        return None
    if operations.method != "traced":
        return LayersInfo(reason=operations.reason or "its operations are counted by a formula")
    try:
        rows = _tabulated(model, batch)
    except Exception as error:  # noqa: BLE001 - hooks run third-party code; a missing table must not cost the run
        return LayersInfo(reason=f"its forward does not run under hooks: {first_line(error)}")
    counted = model.parameters()
    return _info(rows, counted.trainable + counted.frozen, operations.macs or 0)


def _tabulated(model: TorchModel, batch: Batch) -> list[Row]:
    from mlcvbench.measure.layers.conventions import account
    from mlcvbench.measure.layers.tabulate import tabulate
    from mlcvbench.measure.operations import slice_batch

    inputs = model.preprocess(slice_batch(batch, 0))
    *rows, _ = account(tabulate(model.module, lambda: model.forward(inputs), _shape(inputs)), "standard", 1)
    return rows


def _shape(inputs: Any) -> tuple[int, ...]:
    """Return the shape of one sample: that of the first tensor without its batch axis."""
    import torch

    leaves = torch.utils._pytree.tree_leaves(inputs)
    return next(tuple(int(n) for n in leaf.shape[1:]) for leaf in leaves if isinstance(leaf, torch.Tensor))


def _info(rows: Sequence[Row], params: int, macs: int) -> LayersInfo:
    """Return the columns of the rows, grouped where there are too many, with the remainder of the totals."""
    left_params = params - sum(row.params for row in rows)
    left_macs = macs - sum(row.macs for row in rows)
    if left_params < 0 or left_macs < 0:
        return LayersInfo(reason="its layers sum to more than was counted, as where the cost depends on the input")
    groups = _grouped(rows)
    columns: list[tuple[str, str, str, str, str, int, int, int]] = [
        (name, *_look(group), sum(row.params for row in group), sum(row.macs for row in group), len(group))
        for name, group in groups
    ]
    if left_params or left_macs:
        columns.append((OUTSIDE, "", "", "", "", left_params, left_macs, 1))
    name, kind, kernel, stride, output, own_params, own_macs, parts = zip(*columns, strict=True)
    return LayersInfo(
        name=name,
        type=kind,
        kernel=kernel,
        stride=stride,
        output=output,
        params=own_params,
        macs=own_macs,
        parts=parts if len(groups) < len(rows) else (),
    )


def _look(group: Sequence[Row]) -> tuple[str, str, str, str]:
    """Return type, kernel, stride and output of one layer; for several layers only the last known output."""
    if len(group) == 1:
        return group[0].type, group[0].kernel_hw, group[0].stride, group[0].shape
    return "", "", "", next((row.shape for row in reversed(group) if row.shape), "")


def _grouped(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """Return the rows singly where they fit, else grouped by module at the deepest level that fits."""
    most = MAX_LAYER_ROWS - 1  # one row is reserved for what is outside the modules
    if len(rows) <= most:
        return [(row.layer, [row]) for row in rows]
    for depth in range(max(row.layer.count(".") for row in rows), 0, -1):
        found = [(name, list(part)) for name, part in groupby(rows, key=lambda row: _module(row.layer, depth))]
        if len(found) <= most:
            return found
    step = -(-len(rows) // most)
    blocks = [list(rows[start : start + step]) for start in range(0, len(rows), step)]
    return [(f"{block[0].layer} ... {block[-1].layer}", block) for block in blocks]


def _module(name: str, depth: int) -> str:
    """Return the name of the module `depth` levels down that holds a layer.

    >>> _module("features.3.conv.0", 2)
    'features.3'
    """
    return ".".join(name.split(".")[:depth])
