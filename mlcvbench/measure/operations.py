"""Count the operations of one sample: analytically where the model can, else by tracing its real forward.

The tracer is `torch.utils.flop_counter.FlopCounterMode`, which counts 2 FLOPs a multiply-add in convolutions, matrix
products and attention, whatever dispatch path they take. Two things would make it lie, and are dealt with: torch's
fused multi-head fast path hides attention (off while tracing), and a few products have no formula there (added below).
What still has none is listed in `uncounted`.
"""

from __future__ import annotations

import contextlib
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import prod
from typing import Any

from mlcvbench.contract.batch import Batch, take
from mlcvbench.contract.model import Model
from mlcvbench.records.schema import OperationsInfo

DATA_DEPENDENT_SAMPLES = 32
"""Real inputs to average over where the cost depends on the input."""

_NO_ARITHMETIC = """
    _assert_async _local_scalar_dense _nested_tensor_size _reshape_alias _to_copy _unsafe_view alias arange
    as_strided_ as_strided_copy bernoulli_ cat channel_shuffle clone col2im constant_pad_nd contiguous copy copy_
    detach dropout embedding empty empty_like empty_permuted empty_strided equal eye fill_ flip full full_like
    gather im2col index index_copy index_put index_put_ index_select is_same_size item lift_fresh lift_fresh_copy
    linspace masked_select narrow_copy native_dropout new_empty new_empty_strided new_full new_ones new_zeros
    nonzero normal_ ones ones_like pad pixel_shuffle pixel_unshuffle rand rand_like randint randn randn_like
    randperm reflection_pad1d reflection_pad2d repeat repeat_interleave replication_pad2d reshape resize_ roll
    scalar_tensor scatter scatter_ set_ slice_scatter split_with_sizes_copy stack tril triu unfold uniform_ where
    zero_ zeros zeros_like
"""
NO_ARITHMETIC = frozenset(_NO_ARITHMETIC.split())
"""aten operators that allocate, move or select numbers without computing any."""


@dataclass
class Trace:
    """What was seen while tracing: counted FLOPs, and the calls and elements of operators that were not counted."""

    counter: Any
    calls: int = 0
    uncounted: Counter[str] = field(default_factory=Counter)
    uncounted_elements: int = 0

    @property
    def flops(self) -> int:
        """FLOPs counted so far, 2 a multiply-add."""
        return int(self.counter.get_total_flops())

    @property
    def coverage(self) -> float | None:
        """Counted FLOPs as a share of those plus one operation an element that an uncounted operator touches."""
        total = self.flops + self.uncounted_elements
        return self.flops / total if total else None


def count(model: Model, batch: Batch, samples: int = 1) -> OperationsInfo:
    """Count the operations of one sample of `batch`; with `samples` > 1 average over the first so many.

    Pass `DATA_DEPENDENT_SAMPLES` where the cost depends on the input (cascades, proposals); `spread` is then the
    standard deviation over samples divided by the mean. Never raises for a model that cannot be counted: `method` is
    None and `reason` says why.
    """
    traces: list[Trace] = []
    for index in range(max(1, min(samples, len(batch)))):
        one = slice_batch(batch, index)
        inputs = model.preprocess(one)
        given = model.operations(inputs)
        if given is not None:
            return OperationsInfo(
                macs=given.macs,
                flops=None if given.macs is None else 2 * given.macs,
                other_ops=dict(given.other_ops),
                method="analytic",
                coverage=None if given.macs is None else 1.0,
                samples=1,
                reason=given.reason,
            )
        if "torch" not in sys.modules:
            return OperationsInfo(
                reason="the model gives no formula and computes without torch, so nothing can trace it"
            )
        with tracing() as trace:
            model.forward(inputs)
        traces.append(trace)
    return _summarise(traces)


def count_module(module: Any, inputs: Any) -> OperationsInfo:
    """Count one forward of an `nn.Module` on `inputs` (a tensor, a tuple of arguments or a dict of keywords).

    The counts are of the whole batch given, traced in evaluation mode without gradients; the mode is restored.
    """
    import torch

    was_training = module.training
    module.eval()
    try:
        with torch.inference_mode(), tracing() as trace:
            call_module(module, inputs)
    finally:
        module.train(was_training)
    return _summarise([trace])


def call_module(module: Any, inputs: Any) -> Any:
    """Call `module` with a tensor, a tuple of positional or a dict of keyword arguments."""
    if isinstance(inputs, dict):
        return module(**inputs)
    return module(*inputs) if isinstance(inputs, tuple) else module(inputs)


def slice_batch(batch: Batch, index: int) -> Batch:
    """Return the batch of one sample at `index`."""
    one = slice(index, index + 1)
    return Batch(
        ids=batch.ids[one],
        inputs={kind: take(column, one) for kind, column in batch.inputs.items()},
        meta={name: take(column, one) for name, column in batch.meta.items()},
    )


def _summarise(traces: list[Trace]) -> OperationsInfo:
    """Average traces of single samples; integers stay exact when all agree."""
    import torch

    if not any(trace.calls for trace in traces):
        return OperationsInfo(reason="the forward ran no torch operation and the model gives no formula")
    flops = [trace.flops for trace in traces]
    mean = flops[0] if len(set(flops)) == 1 else round(statistics.fmean(flops))
    uncounted: Counter[str] = Counter()
    for trace in traces:
        uncounted.update(trace.uncounted)
    coverages = [trace.coverage for trace in traces if trace.coverage is not None]
    return OperationsInfo(
        macs=mean // 2,
        flops=2 * (mean // 2),
        method="traced",
        tool=f"torch.utils.flop_counter {torch.__version__}",
        coverage=statistics.fmean(coverages) if coverages else None,
        uncounted={name: -(-calls // len(traces)) for name, calls in sorted(uncounted.items())},
        spread=statistics.pstdev(flops) / mean if len(traces) > 1 and mean else None,
        samples=len(traces),
    )


@contextlib.contextmanager
def tracing() -> Iterator[Trace]:
    """Trace torch operators in this thread; the yielded `Trace` is right at each moment (layers read it live)."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False, custom_mapping=_more_formulas())
    trace = Trace(counter)
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        # The listener is outermost: it sees operators after the counter has taken composite ones apart.
        with _listener(trace), counter:
            yield trace
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def _listener(trace: Trace) -> Any:
    """Return a dispatch mode that notes each operator the counter has no formula for, with the elements it touches."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    counted = set(trace.counter.flop_registry)

    def elements(values: Any) -> int:
        leaves = torch.utils._pytree.tree_leaves(values)
        return max((leaf.numel() for leaf in leaves if isinstance(leaf, torch.Tensor)), default=0)

    class Listener(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's base is not typed
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = func(*args, **(kwargs or {}))
            trace.calls += 1
            packet = getattr(func, "_overloadpacket", func)
            name = str(packet).split(".", 1)[-1]
            if packet not in counted and not getattr(func, "is_view", False) and name not in NO_ARITHMETIC:
                trace.uncounted[str(packet)] += 1
                trace.uncounted_elements += max(elements((args, kwargs)), elements(out))
            return out

    return Listener()  # type: ignore[no-untyped-call]  # as above


def _more_formulas() -> dict[Any, Callable[..., int]]:
    """Return FLOP formulas of products that torch's own registry leaves out; each gets shapes in place of tensors."""
    import torch

    aten = torch.ops.aten

    formulas: dict[Any, Callable[..., int]] = {
        aten.mv: _first_matrix_flops,
        aten.dot: _first_matrix_flops,
        aten.vdot: _first_matrix_flops,
        aten.addmv: _second_matrix_flops,
        aten.addbmm: lambda *shapes, **_: 2 * prod(shapes[1]) * shapes[2][2],
        aten.addr: lambda *shapes, **_: 2 * prod(shapes[1]) * prod(shapes[2]),
        aten.mkldnn_rnn_layer: lambda *shapes, **_: _recurrent_flops(shapes[0], shapes[1:3]),
        aten._cudnn_rnn: lambda *shapes, **_: _recurrent_flops(shapes[0], shapes[1]),
    }
    if "torchvision" in sys.modules and hasattr(torch.ops.torchvision, "deform_conv2d"):
        formulas[torch.ops.torchvision.deform_conv2d] = _deformable_flops
    return formulas


def _first_matrix_flops(*shapes: Any, **_: Any) -> int:
    """Count a matrix-vector or dot product: one multiply-add an element of the first factor."""
    return 2 * int(prod(shapes[0]))


def _second_matrix_flops(*shapes: Any, **_: Any) -> int:
    """Count `c + A b`."""
    return 2 * int(prod(shapes[1]))


def _recurrent_flops(sequence: Any, weights: Any) -> int:
    """Count a fused recurrent layer on (T, B, I): each weight matrix once a step; biases (one axis) are no products."""
    return 2 * int(sequence[0] * sequence[1]) * sum(int(prod(shape)) for shape in weights if len(shape) == 2)


def _deformable_flops(*shapes: Any, out_shape: Any, **_: Any) -> int:
    """Count a deformable convolution like a plain one: sampling is interpolation, not counted."""
    return 2 * int(prod(out_shape)) * int(prod(shapes[1][1:]))
