"""Count the operations of one sample: analytically where the model can, else by tracing its real forward.

The tracer counts 2 FLOPs per multiply-add in convolutions, matrix products, recurrent layers and attention, whatever
dispatch path they take (`tracing`, `formulas`). It is trusted only after it has correctly counted products of known
cost (`known_products`), in every process and on every device. Operators that are not products are listed in
`uncounted`, and `coverage` gives the counted share of the work. A product without a matching formula makes the count
null: a count without it would be wrong.
"""

from __future__ import annotations

import statistics
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

from mlcvbench.contract.batch import Batch, chosen
from mlcvbench.contract.model import Model
from mlcvbench.errors import first_line
from mlcvbench.measure.tracing import Trace, tracing
from mlcvbench.records.schema import OperationsInfo
from mlcvbench.version import __version__

DATA_DEPENDENT_SAMPLES = 32
"""Real inputs to average over where the cost depends on the input."""


def count(model: Model, batch: Batch, samples: int = 1) -> OperationsInfo:
    """Count the operations of one sample of `batch`; with `samples` > 1 average over the first `samples`.

    Pass `DATA_DEPENDENT_SAMPLES` where the cost depends on the input (cascades, proposals); `spread` is then the
    standard deviation over samples divided by the mean. A model that cannot be counted does not raise: `method` is None
    and `reason` says why.
    """
    try:
        return _count(model, batch, samples)
    except Exception as error:  # noqa: BLE001 - third-party code under a tracer may raise anything; the run must go on
        return OperationsInfo(reason=f"it does not run while operations are counted ({first_line(error)})")


def _count(model: Model, batch: Batch, samples: int) -> OperationsInfo:
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
    return summarise(traces)


def count_module(module: Any, inputs: Any) -> OperationsInfo:
    """Count one forward of an `nn.Module` on `inputs` (a tensor, a tuple of arguments or a dict of keywords).

    The counts are for the whole batch, traced in evaluation mode without gradients; the mode is restored.
    """
    import torch

    was_training = module.training
    module.eval()
    try:
        with torch.inference_mode(), tracing() as trace:
            call_module(module, inputs)
    finally:
        module.train(was_training)
    return summarise([trace])


def call_module(module: Any, inputs: Any) -> Any:
    """Call `module` with a tensor, a tuple of positional or a dict of keyword arguments."""
    if isinstance(inputs, dict):
        return module(**inputs)
    return module(*inputs) if isinstance(inputs, tuple) else module(inputs)


def slice_batch(batch: Batch, index: int) -> Batch:
    """Return the batch of one sample at `index`."""
    return chosen(batch, slice(index, index + 1))


def summarise(traces: list[Trace]) -> OperationsInfo:
    """Return the average of the traces of single samples, exact where they agree; null where they are not valid
    counts.
    """
    import torch

    if not any(trace.calls for trace in traces):
        return OperationsInfo(reason="the forward ran no torch operation and the model gives no formula")
    uncounted = _mean_calls([trace.uncounted for trace in traces])
    if reason := why_not(traces):
        return OperationsInfo(uncounted=uncounted, samples=len(traces), reason=reason)
    flops = [trace.flops for trace in traces]
    mean = flops[0] if len(set(flops)) == 1 else round(statistics.fmean(flops))
    coverages = [trace.coverage for trace in traces]
    known = [share for share in coverages if share is not None]
    return OperationsInfo(
        macs=mean // 2,
        flops=2 * (mean // 2),
        method="traced",
        tool=f"mlcvbench {__version__}, torch.utils.flop_counter {torch.__version__}",
        coverage=statistics.fmean(known) if len(known) == len(coverages) else None,
        uncounted=uncounted,
        spread=statistics.pstdev(flops) / mean if len(traces) > 1 and mean else None,
        samples=len(traces),
    )


def why_not(traces: Sequence[Trace]) -> str | None:
    """Return why traces are not valid counts: a product without a formula, or a tracer that miscounts."""
    from mlcvbench.measure.known_products import miscounted

    missing = _mean_calls([trace.products for trace in traces])
    if missing:
        listed = ", ".join(f"{name} ({calls} call{'s' * (calls > 1)})" for name, calls in missing.items())
        return f"the multiply-adds of {listed} are unknown; return them from the model's operations()"
    devices = sorted({device for trace in traces for device in trace.devices})
    return next((reason for device in devices if (reason := miscounted(device))), None)


def _mean_calls(counters: list[Counter[str]]) -> dict[str, int]:
    """Return the calls of each operator per sample, rounded up, by name."""
    total: Counter[str] = Counter()
    for counter in counters:
        total.update(counter)
    return {name: -(-calls // len(counters)) for name, calls in sorted(total.items())}
