"""Rules for the effect of torch operators on receptive fields, and the dispatch mode that applies them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from mlcvbench.measure.layers.fields import IMAGE_DIMS, Extent, Fields, Seen

Call = tuple[tuple[Any, ...], dict[str, Any], Any]
"""Arguments, keywords and result of an operator."""
Rule = Callable[[Fields, Call], Seen | None]
"""Returns what the result sees, None when unknown; called only when what the inputs see is known."""


def following(fields: Fields) -> Any:
    """Return a context manager in which `fields` keeps up with every torch operator."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    class Following(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's base is not typed
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            given = fields.follows((args, kwargs))
            if not given:
                return func(*args, **kwargs)
            rule = _rule(func, torch.Tag.pointwise in func.tags)
            if rule is None:
                with self:  # a composite operator is decomposed
                    parts = func.decompose(*args, **kwargs)
                if parts is not NotImplemented:
                    return parts
            before = [fields.of(tensor) for tensor in given]
            made = func(*args, **kwargs)
            known = rule is not None and None not in before
            fields.note(made, rule(fields, (args, kwargs, made)) if rule is not None and known else None)
            return made

    return Following()  # type: ignore[no-untyped-call]  # as above


def _rule(func: Any, pointwise: bool) -> Rule | None:
    name, _, overload = str(func).removeprefix("aten.").partition(".")
    if name in RULES and not (name == "conv2d" and overload == "padding"):  # padding="same" is decomposed
        return RULES[name]
    return _union if pointwise else None


def _first(fields: Fields, call: Call) -> tuple[Any, Seen]:
    """Return the operator's first followed tensor and what it sees."""
    tensor = fields.follows(call[:2])[0]
    seen = fields.of(tensor)
    assert seen is not None, "rules run on known inputs only"
    return tensor, seen


def _same(fields: Fields, call: Call) -> Seen | None:
    return _first(fields, call)[1]


def _union(fields: Fields, call: Call) -> Seen | None:
    """Join operands of an elementwise operator or of a concatenation along other axes than y and x."""
    tensors = fields.follows(call[:2])
    parts = [(tensor, seen) for tensor in tensors if (seen := fields.of(tensor)) is not None]
    places = {seen.dims for _, seen in parts if seen.dims is not None}
    if len(places) > 1:
        return None
    dims = next(iter(places), None)
    sizes = [] if dims is None else [_sizes(tensor, dims) for tensor, seen in parts if seen.dims is not None]
    moving = all(seen.jump for _, seen in parts) and len(set(sizes)) == 1
    if moving and len({seen.jump for _, seen in parts}) > 1:
        return None
    extents = [seen.extents if moving else seen.collapsed(tensor).extents for tensor, seen in parts]
    y, x = (
        Extent(min(e.low for e in axis), max(e.high for e in axis), axis[0].jump) for axis in zip(*extents, strict=True)
    )
    return Seen((y, x), dims)


def _sizes(tensor: Any, dims: tuple[int, int]) -> tuple[int, int]:
    return int(tensor.shape[dims[0]]), int(tensor.shape[dims[1]])


def _cat(fields: Fields, call: Call) -> Seen | None:
    args, kwargs, made = call
    dim = _argument(args, kwargs, 1, "dim", 0)
    seen = _union(fields, call)
    return None if seen is None or _is_spatial(seen, made, dim) else seen


def _convolution(fields: Fields, call: Call) -> Seen | None:
    args, kwargs, _ = call
    _, seen = _first(fields, call)
    stride, padding, dilation = (
        _argument(args, kwargs, place, name, default)
        for place, name, default in ((3, "stride", 1), (4, "padding", 0), (5, "dilation", 1))
    )
    transposed = len(args) > 6 and args[6] is True  # of `convolution`; `conv2d` has its groups there
    if args[1].ndim != 4 or transposed:
        return None
    return seen.windows(args[1].shape[2:], stride, padding, dilation)


def _pool(fields: Fields, call: Call) -> Seen | None:
    """Max and average pooling; in 3-D pooling, used for response normalisation over channels, y and x are the last
    axes.
    """
    args, kwargs, _ = call
    _, seen = _first(fields, call)
    kernel = _argument(args, kwargs, 1, "kernel_size", 1)
    stride = _argument(args, kwargs, 2, "stride", None) or kernel
    padding = _argument(args, kwargs, 3, "padding", 0)
    dilation = _argument(args, kwargs, 4, "dilation", 1)
    dilation = 1 if isinstance(dilation, bool) else dilation  # an average has `ceil_mode` in its place
    return seen.windows(kernel, stride, padding, dilation)


def _adaptive_pool(fields: Fields, call: Call) -> Seen | None:
    tensor, seen = _first(fields, call)
    if seen.dims != IMAGE_DIMS:
        return None
    out = call[2][0] if isinstance(call[2], tuple) else call[2]
    made, given = _sizes(out, IMAGE_DIMS), _sizes(tensor, IMAGE_DIMS)
    if made == (1, 1):
        return seen.collapsed(tensor, IMAGE_DIMS)
    if any(n % m for n, m in zip(given, made, strict=True)):
        return None
    window = [n // m for n, m in zip(given, made, strict=True)]
    return seen.windows(window, window, 0)


def _reduce(fields: Fields, call: Call) -> Seen | None:
    """Mean, sum or maximum over some axes: over y and x they see the whole map."""
    args, kwargs, _ = call
    tensor, seen = _first(fields, call)
    over = _argument(args, kwargs, 1, "dim", None)
    keep = bool(_argument(args, kwargs, 2, "keepdim", False))
    if over is None or seen.dims is None:
        return seen if seen.dims is None else seen.collapsed(tensor)
    axes = {_negative(axis, tensor.ndim) for axis in ([over] if isinstance(over, int) else over)}
    if set(seen.dims) <= axes:
        return seen.collapsed(tensor, seen.dims if keep else None)
    if axes & set(seen.dims) or (not keep and max(axes) > seen.dims[0]):
        return None
    return seen


def _view(fields: Fields, call: Call) -> Seen | None:
    """Keep y and x where they are preserved, and join them where an image becomes one vector."""
    tensor, seen = _first(fields, call)
    made = call[2]
    if seen.dims is None:
        return seen
    if made.ndim == 2 and made.shape[0] == tensor.shape[0]:
        return seen.collapsed(tensor)
    kept = made.ndim >= -seen.dims[0] and made.shape[seen.dims[0] :] == tensor.shape[seen.dims[0] :]
    return seen if kept else None


def _squeeze(fields: Fields, call: Call) -> Seen | None:
    tensor, seen = _first(fields, call)
    if seen.dims is None:
        return seen
    if seen.dims == IMAGE_DIMS and call[2].shape[-2:] == tensor.shape[-2:] and call[2].ndim > 2:
        return seen
    return seen.collapsed(tensor) if _sizes(tensor, seen.dims) == (1, 1) else None


def _permute(fields: Fields, call: Call) -> Seen | None:
    args, kwargs, _ = call
    tensor, seen = _first(fields, call)
    if seen.dims is None:
        return seen
    order = [_negative(dim, tensor.ndim) for dim in _argument(args, kwargs, 1, "dims", ())]
    places = [order.index(dim) - tensor.ndim for dim in seen.dims]
    return replace(seen, dims=(places[0], places[1]))


def _transpose(fields: Fields, call: Call) -> Seen | None:
    args, kwargs, _ = call
    tensor, seen = _first(fields, call)
    one, other = (_negative(_argument(args, kwargs, n, f"dim{n - 1}", 0), tensor.ndim) for n in (1, 2))
    if seen.dims is None:
        return seen
    swap = {one: other, other: one}
    return replace(seen, dims=(swap.get(seen.dims[0], seen.dims[0]), swap.get(seen.dims[1], seen.dims[1])))


def _pad(fields: Fields, call: Call) -> Seen | None:
    args, kwargs, _ = call
    _, seen = _first(fields, call)
    pads = _argument(args, kwargs, 1, "pad", ())
    if seen.dims is None:
        return seen
    before = [pads[2 * (-1 - dim)] if 2 * (-1 - dim) < len(pads) else 0 for dim in seen.dims]
    y, x = (_shifted(extent, -count) for extent, count in zip(seen.extents, before, strict=True))
    return replace(seen, extents=(y, x))


def _slice(fields: Fields, call: Call) -> Seen | None:
    args, kwargs, _ = call
    tensor, seen = _first(fields, call)
    dim, start, step = (
        _argument(args, kwargs, place, name, default)
        for place, name, default in ((1, "dim", 0), (2, "start", None), (4, "step", 1))
    )
    dim = _negative(dim, tensor.ndim)
    if seen.dims is None or dim not in seen.dims:
        return seen
    first = min(max(0, (start or 0) + (tensor.shape[dim] if (start or 0) < 0 else 0)), tensor.shape[dim])
    extents = list(seen.extents)
    place = seen.dims.index(dim)
    moved = _shifted(extents[place], first)
    extents[place] = moved if moved.jump is None else replace(moved, jump=moved.jump * step)
    return replace(seen, extents=(extents[0], extents[1]))


def _part(fields: Fields, call: Call) -> Seen | None:
    """Split, chunk or select along an axis before y and x."""
    args, kwargs, _ = call
    tensor, seen = _first(fields, call)
    place = 1 if len(args) < 3 or not isinstance(args[2], int) else 2
    dim = _argument(args, kwargs, place, "dim", 0)
    dim = dim if isinstance(dim, int) else 0
    return None if seen.dims is not None and _negative(dim, tensor.ndim) >= seen.dims[0] else seen


def _select(fields: Fields, call: Call) -> Seen | None:
    tensor, seen = _first(fields, call)
    dim = _negative(_argument(call[0], call[1], 1, "dim", 0), tensor.ndim)
    return None if seen.dims is not None and dim >= seen.dims[0] else seen


def _matrix_product(fields: Fields, call: Call) -> Seen | None:
    """Mix the last axis, as a linear layer does; it must not be y or x."""
    _, seen = _first(fields, call)
    alone = len(fields.follows(call[:2])) == 1
    return seen if alone and (seen.dims is None or -1 not in seen.dims) else None


def _normalise(fields: Fields, call: Call) -> Seen | None:
    """Layer norm over channels is local; where it includes y and x, every unit sees the whole map."""
    tensor, seen = _first(fields, call)
    axes = len(call[0][1]) if isinstance(call[0][1], Sequence) else tensor.ndim
    if seen.dims is None or max(seen.dims) < -axes:
        return seen
    return seen.collapsed(tensor, seen.dims)


def _resize(fields: Fields, call: Call) -> Seen | None:
    """Start again at a resize of the image itself: fields are then in pixels of the network's input."""
    _, seen = _first(fields, call)
    return seen if seen == Seen((Extent(), Extent())) else None


def _softmax(fields: Fields, call: Call) -> Seen | None:
    tensor, seen = _first(fields, call)
    dim = _negative(_argument(call[0], call[1], 1, "dim", -1), tensor.ndim)
    return None if seen.dims is not None and dim in seen.dims else seen


def _argument(args: Sequence[Any], kwargs: dict[str, Any], place: int, name: str, default: Any) -> Any:
    return args[place] if len(args) > place else kwargs.get(name, default)


def _negative(dim: int, axes: int) -> int:
    return dim if dim < 0 else dim - axes


def _is_spatial(seen: Seen, tensor: Any, dim: int) -> bool:
    return seen.dims is not None and _negative(dim, tensor.ndim) in seen.dims


def _shifted(extent: Extent, units: int) -> Extent:
    """Return an extent whose first unit is shifted by `units`."""
    if extent.jump is None:
        return extent
    return replace(extent, low=extent.low + units * extent.jump, high=extent.high + units * extent.jump)


_NAMED: tuple[tuple[str, Rule], ...] = (
    ("conv2d convolution", _convolution),
    ("max_pool2d max_pool2d_with_indices avg_pool2d avg_pool3d", _pool),
    ("adaptive_avg_pool2d _adaptive_avg_pool2d adaptive_max_pool2d", _adaptive_pool),
    ("mean sum amax", _reduce),
    ("view expand _unsafe_view _reshape_alias", _view),
    ("squeeze unsqueeze", _squeeze),
    ("permute", _permute),
    ("transpose", _transpose),
    ("constant_pad_nd reflection_pad2d replication_pad2d", _pad),
    ("slice", _slice),
    ("split split_with_sizes chunk", _part),
    ("select", _select),
    ("linear addmm mm", _matrix_product),
    ("layer_norm native_layer_norm group_norm native_group_norm", _normalise),
    ("softmax _softmax", _softmax),
    ("cat", _cat),
    ("batch_norm native_batch_norm dropout feature_dropout hardswish hardswish_ prelu contiguous to _to_copy", _same),
    ("detach alias channel_shuffle native_channel_shuffle", _same),
    ("upsample_bilinear2d _upsample_bilinear2d_aa upsample_bicubic2d upsample_nearest2d", _resize),
)
RULES: dict[str, Rule] = {name: rule for names, rule in _NAMED for name in names.split()}
