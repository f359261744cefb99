"""Tabulate a network: one row per layer with shape, parameters and exact multiply-adds, from a real forward pass.

Hooks on every module bracket its call while `tracing` counts. What a module computes itself (such as attention written
with functions) is its own row; what its children compute is theirs. Conventions are applied afterwards, in
`conventions`.

A block is a module whose children all read its input and whose outputs, joined along the channels, are its own: an
inception module. Its layers name their branch, so that a convention can put the block into one row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from typing import Any, Literal

from mlcvbench.measure.layers.field_rules import following
from mlcvbench.measure.layers.fields import Fields
from mlcvbench.measure.tracing import Trace, tracing

Kind = Literal["input", "conv", "fc", "pool", "norm", "other"]
SILENT = (
    "ReLU ReLU6 GELU SiLU Mish Hardswish Hardsigmoid Hardtanh LeakyReLU ELU SELU CELU Sigmoid Tanh Softmax LogSoftmax "
    "Softplus Dropout Dropout1d Dropout2d Dropout3d AlphaDropout DropPath StochasticDepth Identity Flatten Unflatten "
    "LocalResponseNorm Permute GELUTanh QuickGELU"
)
SILENT_TYPES = frozenset(SILENT.split())
"""Elementwise or shape-only layers, which get no row unless they hold parameters."""


@dataclass(frozen=True, slots=True)
class Block:
    """The call of a module of parallel branches: its joined output, and what one unit of it sees."""

    number: int
    name: str
    type: str
    channels: int
    size: tuple[int, ...]
    field: tuple[int, ...] = ()
    jump: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Layer:
    """One called module. Shapes are of one image, without the batch; `macs` are its own, for one image.

    `pool_elements`: window elements that a pooling layer reads for all its outputs. `size`: spatial size or tokens of
    the output. `field` and `jump`: receptive field and distance of neighbouring units in pixels of the image, y and x;
    empty where unknown, `jump` also where all units see the same. `block` and `branch`: the block it is part of, and
    which branch.
    """

    name: str
    type: str
    kind: Kind
    in_features: int
    channels: int
    size: tuple[int, ...]
    kernel: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    padding: tuple[int, ...] = ()
    params: int = 0
    macs: int = 0
    pool_elements: int = 0
    channels_last: bool = False
    biases: int = 0
    field: tuple[int, ...] = ()
    jump: tuple[int, ...] = ()
    block: Block | None = None
    branch: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the output for one image, in the network's layout."""
        return (*self.size, self.channels) if self.channels_last else (self.channels, *self.size)

    @property
    def activations(self) -> int:
        """Number of values in the output for one image."""
        return self.channels * prod(self.size)


def tabulate(module: Any, forward: Callable[[], Any], image: tuple[int, ...]) -> list[Layer]:
    """Run `forward` (one image through `module`) and return its layers in the order in which they finish.

    The first is the input, of shape `image` = (C, H, W). Parameters of a module that is never called (such as the
    projection inside torch's attention) count for the nearest enclosing module that is called; shared ones count once.
    """
    return tabulate_traced(module, forward, image)[0]


def tabulate_traced(module: Any, forward: Callable[[], Any], image: tuple[int, ...]) -> tuple[list[Layer], Trace]:
    """Return the layers as `tabulate` does, and the trace of the whole forward pass."""
    import torch

    recorder = _Recorder(module)
    was_training = module.training
    module.eval()
    handles = recorder.attach()
    try:
        with torch.inference_mode(), tracing() as trace, following(recorder.fields):
            recorder.trace = trace
            forward()
    finally:
        for handle in handles:
            handle.remove()
        module.train(was_training)
    first = Layer("input", "Input", "input", 0, image[0], tuple(image[1:]), field=(1, 1), jump=(1, 1))
    return [first, *recorder.layers()], trace


@dataclass(slots=True)
class _Call:
    """A module call in progress: its inputs, FLOPs at its start and inside its children, and its branches.

    `first`: how many layers were found before it. `branches`: per child called so far, how many were found after it,
    its output channels (0 when it read something other than this module's input).
    """

    given: Any
    start: int
    first: int
    children: int
    branches: list[tuple[int, int]]


class _Recorder:
    """Collects one entry per module call; a stack turns inclusive counts into exclusive ones."""

    def __init__(self, module: Any) -> None:
        self.trace: Trace | None = None
        self.fields = Fields()
        self._names = {id(part): name or type(module).__name__ for name, part in module.named_modules()}
        self._module = module
        self._stack: list[_Call] = []
        self._found: list[tuple[Any, Layer]] = []
        self._blocks = 0

    def attach(self) -> list[Any]:
        """Register hooks on every module and return their handles."""
        handles = []
        for part in self._module.modules():
            handles.append(part.register_forward_pre_hook(self._enter))
            handles.append(part.register_forward_hook(self._leave))
        return handles

    def _flops(self) -> int:
        assert self.trace is not None, "hooks run only while tracing"
        return self.trace.flops

    def _enter(self, part: Any, args: Any) -> None:
        given = _first_tensor(args)
        if part is self._module:
            self.fields.start(given)
        self._stack.append(_Call(given, self._flops(), len(self._found), 0, []))

    def _leave(self, part: Any, args: Any, output: Any) -> None:
        call = self._stack.pop()
        made = _first_tensor(output)
        inclusive = self._flops() - call.start
        layer = _describe(part, self._names[id(part)], call.given, made)
        if layer is not None:
            seen = self.fields.of(made)
            if seen is not None:
                layer = replace(layer, field=seen.field, jump=seen.jump)
            self._mark_block(call, layer)
            self._found.append((part, replace(layer, macs=(inclusive - call.children) // 2)))
        if self._stack:
            above = self._stack[-1]
            above.children += inclusive
            fed = call.given is not None and call.given is above.given
            above.branches.append((len(self._found), layer.channels if fed and layer is not None else 0))

    def _mark_block(self, call: _Call, layer: Layer) -> None:
        """Label the layers inside a call with their branch, when it consists of parallel branches."""
        widths = [channels for _, channels in call.branches]
        inside = range(call.first, len(self._found))
        if len(widths) < 2 or not all(widths) or sum(widths) != layer.channels:
            return
        if any(self._found[place][1].block for place in inside):
            return
        self._blocks += 1
        block = Block(self._blocks, layer.name, layer.type, layer.channels, layer.size, layer.field, layer.jump)
        branch = 0
        for place in inside:
            while place >= call.branches[branch][0]:
                branch += 1
            part, found = self._found[place]
            self._found[place] = part, replace(found, block=block, branch=branch)

    def layers(self) -> list[Layer]:
        """Return the rows to show, with parameters assigned."""
        owned = self._own_parameters()
        rows = []
        for part, found in self._found:
            layer = found
            params = owned.pop(id(part), 0)
            leaf = next(part.children(), None) is None
            silent = layer.type in SILENT_TYPES or _same_size_pool(layer)
            if not leaf and not layer.macs:
                # its output is that of a child, which has its own row
                layer = replace(layer, channels=0, size=(), field=(), jump=())
            if params or layer.macs or (leaf and not silent):
                rows.append(replace(layer, params=params))
        return rows

    def _own_parameters(self) -> dict[int, int]:
        """Return the parameters assigned to each called module, each tensor once."""
        called = {id(part) for part, _ in self._found}
        parts = dict(self._module.named_modules())
        owned: dict[int, int] = {}
        seen: set[int] = set()
        for name, part in parts.items():
            count = 0
            for tensor in part.parameters(recurse=False):
                if id(tensor) not in seen:
                    seen.add(id(tensor))
                    count += tensor.numel()
            owner, where = part, name
            while id(owner) not in called and where:
                where = where.rpartition(".")[0]
                owner = parts[where]
            owned[id(owner)] = owned.get(id(owner), 0) + count
        return owned


def _describe(part: Any, name: str, given: Any, made: Any) -> Layer | None:
    """Return the structure of one call, None when it returned no tensor with a batch axis."""
    from torch import nn

    if made is None or made.ndim < 2:
        return None
    kind = _kind(part)
    shape = tuple(int(n) for n in made.shape[1:])
    channels_last = kind == "fc" or type(part).__name__.startswith("LayerNorm") or (kind == "other" and made.ndim != 4)
    channels, size = (shape[-1], shape[:-1]) if channels_last else (shape[0], shape[1:])
    layer = Layer(name, type(part).__name__, kind, _features(part, given), channels, size, channels_last=channels_last)
    if kind == "conv":
        padding = part.padding if not isinstance(part.padding, str) else _named_padding(part)
        layer = replace(layer, biases=0 if part.bias is None else int(part.bias.numel()))
        return replace(layer, kernel=tuple(part.kernel_size), stride=tuple(part.stride), padding=tuple(padding))
    if kind == "pool" and given is not None:
        return _pool(layer, part, tuple(int(n) for n in given.shape[2:]))
    if kind == "fc" and isinstance(part, nn.Linear):
        return replace(layer, kernel=(1,), stride=(1,), padding=(0,))
    return layer


def _kind(part: Any) -> Kind:
    from torch import nn

    name = type(part).__name__
    if isinstance(part, nn.modules.conv._ConvNd):
        return "conv"
    if isinstance(part, nn.Linear):
        return "fc"
    if "Pool" in name and hasattr(part, "kernel_size" if "Adaptive" not in name else "output_size"):
        return "pool"
    return "norm" if "Norm" in name and next(part.children(), None) is None else "other"


def _features(part: Any, given: Any) -> int:
    """Return input channels or features of the call, 0 when it got no tensor."""
    if hasattr(part, "in_features"):
        return int(part.in_features)
    return int(given.shape[1]) if given is not None and given.ndim > 1 else 0


def _pool(layer: Layer, part: Any, given: tuple[int, ...]) -> Layer:
    """Add the windows of a pooling layer; an adaptive one has kernel = stride = in / out where that divides."""
    axes = len(layer.size)
    if "Adaptive" not in layer.type:
        kernel, stride, padding = (_per_axis(value, axes) for value in (part.kernel_size, part.stride, part.padding))
        return replace(
            layer, kernel=kernel, stride=stride, padding=padding, pool_elements=layer.activations * prod(kernel)
        )
    windows = [_adaptive_elements(n, out) for n, out in zip(given, layer.size, strict=True)]
    layer = replace(layer, pool_elements=layer.channels * prod(windows))
    if any(n % out for n, out in zip(given, layer.size, strict=True)):
        return layer
    kernel = tuple(n // out for n, out in zip(given, layer.size, strict=True))
    stride = tuple(1 for _ in kernel) if set(layer.size) == {1} else kernel
    return replace(layer, kernel=kernel, stride=stride, padding=(0,) * axes)


def _adaptive_elements(given: int, made: int) -> int:
    """Return the window elements of adaptive pooling along one axis; windows overlap where the sizes do not divide."""
    return sum(-(-(i + 1) * given // made) - i * given // made for i in range(made))


def _same_size_pool(layer: Layer) -> bool:
    """Return whether a pooling layer changes nothing, as an adaptive one on a map of its output size."""
    return layer.kind == "pool" and bool(layer.kernel) and prod(layer.kernel) == 1 and layer.type.startswith("Adaptive")


def _per_axis(value: Any, axes: int) -> tuple[int, ...]:
    return (int(value),) * axes if isinstance(value, int) else tuple(int(v) for v in value)


def _named_padding(part: Any) -> tuple[int, ...]:
    """Return the padding of `same` (its smaller side) or `valid` as numbers."""
    if part.padding == "valid":
        return (0,) * len(part.kernel_size)
    return tuple(d * (k - 1) // 2 for d, k in zip(part.dilation, part.kernel_size, strict=True))


def _first_tensor(value: Any) -> Any:
    """Return the first tensor inside a module's arguments or output, None without one."""
    import torch

    return next((leaf for leaf in torch.utils._pytree.tree_leaves(value) if isinstance(leaf, torch.Tensor)), None)
