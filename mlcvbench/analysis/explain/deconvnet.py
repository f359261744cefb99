"""Deconvnet (Zeiler and Fergus, ECCV 2014): project one activation of a network back to the pixels.

All other activations are set to zero; the signal then goes back through the network: a max pool passes it to the
position of the maximum (the switch), a ReLU passes its positive part whatever the forward signal was, a convolution
becomes its transpose, group by group, and local response normalisation passes it unchanged (section 2.1 of the
preprint, arXiv 1311.2901: no contrast normalisation on the way back). Apart from ReLU and that norm this is the
gradient, so the gradient is taken with these two rules changed.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlcvbench.contract import Array
from mlcvbench.errors import RequestError, UnknownNameError

if TYPE_CHECKING:
    import torch
    from torch import nn

_LINEAR = """
    AccumulateGrad AdaptiveAvgPool2D Add Addmm Alias AvgPool2D Cat Clone ConstantPadNd Convolution CudnnBatchNorm
    DeconvolvedLRN DeconvolvedReLU Expand MaxPool2DWithIndices Mean Mm NativeBatchNorm Neg Permute ReshapeAlias Slice
    Split SplitWithSizes Squeeze Sub Sum T ToCopy Transpose UnsafeView Unsqueeze UpsampleBilinear2D UpsampleBilinear2DAa
    View
"""
LINEAR = frozenset(_LINEAR.split())
"""Autograd nodes that a deconvnet supports: linear ones, the switches of max pools, its own ReLU and norm."""


@dataclass(frozen=True, slots=True)
class Projection:
    """The projection of unit (`row`, `column`) of a channel of a layer: `pixels` float32 (C, H, W), signed."""

    channel: int
    row: int
    column: int
    activation: float
    pixels: Array


@dataclass(frozen=True, slots=True)
class Maps:
    """The output of one layer: (1, C, H, W).

    `values`: a clone, because a network may continue in the same memory (`x += shortcut`). `made`: the output itself
    and its version counter, which show whether a module returns its last child's output unchanged.
    """

    layer: str
    values: torch.Tensor
    made: tuple[torch.Tensor, int]

    def hands_on(self, other: Maps) -> bool:
        """Return whether this is the unchanged output of another layer."""
        return self.made[0] is other.made[0] and self.made[1] == other.made[1]


def project(
    module: nn.Module, inputs: torch.Tensor, count: int, layer: str | None = None
) -> tuple[str, list[Projection]]:
    """Project the strongest activation of each of the `count` strongest channels of a layer back to `inputs`.

    `inputs`: float32 (1, C, H, W). `layer`: its name in the module; None means the last whose maps are larger than one
    unit. Returns the layer's name and at most `count` projections, strongest first; channels that do not fire are left
    out. UnknownNameError when there is no such layer; RequestError when it has no maps, or when an earlier operation of
    the network has no deconvolution. The module is left unchanged, in evaluation mode.
    """
    import torch

    module.eval()
    image = inputs.detach().clone().requires_grad_()
    with torch.inference_mode(mode=False), torch.enable_grad():
        maps = _maps_of(module, image, layer)
        _refuse_others(maps, image)
        return maps.layer, _strongest(maps.values, image, count)


def _strongest(values: torch.Tensor, image: torch.Tensor, count: int) -> list[Projection]:
    import torch

    peaks, places = values.detach()[0].flatten(1).max(dim=1)  # (C,)
    order = torch.argsort(peaks, descending=True, stable=True)[:count]
    found = []
    for channel in order.tolist():
        activation = float(peaks[channel])
        if activation <= 0:
            break
        row, column = divmod(int(places[channel]), values.shape[3])
        unit = values[0, channel, row, column]
        (back,) = torch.autograd.grad(unit, image, unit.detach(), retain_graph=True)
        found.append(Projection(channel, row, column, activation, back[0].numpy()))
    return found


def _maps_of(module: nn.Module, image: torch.Tensor, layer: str | None) -> Maps:
    """Run the network under the deconvnet's rules and return the maps of a layer."""
    calls: list[Maps] = []

    def keep(name: str) -> Any:
        def hook(_part: Any, _args: Any, output: Any) -> None:
            if hasattr(output, "ndim") and output.ndim == 4:
                calls.append(Maps(name, output.clone(), (output, output._version)))

        return hook

    parts = {name: part for name, part in module.named_modules() if name}
    handles = [part.register_forward_hook(keep(name)) for name, part in parts.items()]
    try:
        with deconvolved():
            module(image)
    finally:
        for handle in handles:
            handle.remove()
    if layer is None:
        return _last(calls)
    if layer not in parts:
        raise UnknownNameError("layer", layer, dict.fromkeys(maps.layer for maps in calls))
    made = [maps for maps in calls if maps.layer == layer]
    if not made:
        raise RequestError(f"layer {layer!r} has no maps (channels, height, width) to project back.")
    return made[-1]


def _last(calls: Sequence[Maps]) -> Maps:
    """Return the last maps of more than one unit, named by the innermost module that returned them."""
    for last in reversed(calls):
        if last.values.shape[2] * last.values.shape[3] > 1:
            return next(maps for maps in calls if last.hands_on(maps))
    raise RequestError("the network has no layer with maps (channels, height, width), which a deconvnet starts from.")


def _refuse_others(maps: Maps, image: torch.Tensor) -> None:
    """Walk back from the maps to the image; RequestError names an operation between them that has no deconvolution."""
    parents: dict[Any, list[Any]] = {}
    todo = [maps.values.grad_fn]
    while todo:
        node = todo.pop()
        if node is not None and node not in parents:
            parents[node] = [parent for parent, _ in node.next_functions]
            todo += parents[node]
    between = _leading_to(image, parents)
    for node in (node for node in parents if node in between):
        step = node.name().rpartition("::")[2].rstrip("0123456789").removesuffix("Backward")
        signals = [parent in between for parent in parents[node]]
        scaled = sum(signals) == 1 and (step == "Mul" or (step == "Div" and signals[0]))
        if step not in LINEAR and not scaled:
            raise RequestError(
                f"layer {maps.layer!r} depends on a step {step!r}, which has no deconvolution: wanted convolutions, "
                "ReLU, pools, batch norm, local response norm, linear layers, sums and joins; show=occlusion takes any "
                "model."
            )


def _leading_to(image: torch.Tensor, parents: Mapping[Any, Sequence[Any]]) -> set[Any]:
    """Return the nodes of an autograd graph from which a signal reaches the image, including the image's own leaf."""
    children: dict[Any, list[Any]] = {}
    for node, above in parents.items():
        for parent in above:
            children.setdefault(parent, []).append(node)
    todo = [node for node in parents if getattr(node, "variable", None) is image]
    found = set(todo)
    while todo:
        fresh = [child for child in children.get(todo.pop(), ()) if child not in found]
        found.update(fresh)
        todo += fresh
    return found


@contextmanager
def deconvolved() -> Iterator[None]:
    """Within the block, each ReLU (layer or function) passes back the positive part of the signal, whatever its input
    was.

    Local response normalisation passes back all of it: its divisors depend on the signal and are not filters.
    """
    import torch
    from torch.nn import functional
    from torch.overrides import TorchFunctionMode

    relus = {torch.relu, torch.relu_, torch.Tensor.relu, torch.Tensor.relu_, functional.relu}

    class DeconvolvedReLU(torch.autograd.Function):
        @staticmethod
        def forward(_ctx: Any, values: torch.Tensor) -> torch.Tensor:
            return values.clamp(min=0)

        @staticmethod
        def backward(_ctx: Any, *signals: torch.Tensor) -> torch.Tensor:
            return signals[0].clamp(min=0)

    class DeconvolvedLRN(torch.autograd.Function):
        @staticmethod
        def forward(_ctx: Any, values: torch.Tensor, settings: Mapping[str, Any]) -> torch.Tensor:
            return functional.local_response_norm(values, **settings)

        @staticmethod
        def backward(_ctx: Any, *signals: torch.Tensor) -> tuple[torch.Tensor, None]:
            return signals[0], None

    class Deconvolved(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func in relus:
                return DeconvolvedReLU.apply(args[0])
            if func is functional.local_response_norm:
                given = inspect.signature(func).bind(*args, **(kwargs or {})).arguments
                return DeconvolvedLRN.apply(given.pop("input"), given)
            return func(*args, **(kwargs or {}))

    with Deconvolved():
        yield
