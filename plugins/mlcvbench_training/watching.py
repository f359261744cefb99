"""Looking at validation data during a training by the protocol of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlcvbench.contract import FitContext, Model, Split
from mlcvbench.errors import UnknownNameError
from mlcvbench_training.training import Watch

if TYPE_CHECKING:
    from mlcvbench_training.settings import NetworkSettings


def watch_of(model: Model, val: Split | None, settings: NetworkSettings, ctx: FitContext) -> Watch | None:
    """Return what is watched: `settings.watch` of what `model` predicts for `val`, as `val_NAME`.

    None where nothing goes by it. UnknownNameError when the protocol has no such metric.
    """
    if val is None or not ctx.metrics or not settings.watched:
        return None
    name = settings.watch or next(iter(ctx.metrics))
    if name not in ctx.metrics:
        raise UnknownNameError("metric", name, ctx.metrics)

    def numbers(_: object) -> dict[str, float]:
        # a metric that is undefined, as the precision of no detection is, is as bad as can be
        return {f"val_{name}": ctx.score(model, val).get(name, float("nan"))}

    return Watch(numbers, f"val_{name}", ctx.metrics[name].higher_is_better, settings.watch_every)
