"""Monte Carlo dropout: p = mean of softmax(f_m), f_m the network under its m-th draw of dropout masks, at test time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mlcvbench.contract import FitContext, FitReport, Problem, Split, TorchModel
from mlcvbench.registry.inner import inner_fit
from mlcvbench_training.seeding import seeded

if TYPE_CHECKING:
    from torch import nn


class McDropout(TorchModel):
    """The base is fitted as usual. Predictions average `samples` thinned networks that share its weights.

    The masks follow from the run's seed and are the same for every image, so that a prediction does not depend on its
    batch. A prediction costs `samples` times as much, the weights are stored once. (Plain dropout predicts once with
    all units, each kept one divided by 1 - p in training: an estimate of this mean, and equal to it only where nothing
    but linear layers follow.)
    """

    def __init__(self, problem: Problem, base: str = "mlp,dropout=0.5", samples: int = 20) -> None:
        super().__init__(problem, base=base, samples=samples)
        self.base, self.samples = base, samples

    def build(self) -> nn.Module:
        from mlcvbench_ensembles.committee import network_model

        return self._thinned(network_model(self.base, self.problem, self.device).build(), 0)

    def fit(self, train: Split, val: Split | None, ctx: FitContext) -> FitReport:
        from mlcvbench_ensembles.committee import network_model

        settings = inner_fit(self.base, self.problem.kind, ctx.settings)
        model = network_model(self.base, self.problem, self.device)
        with seeded(ctx.seed, self.torch_device):
            self._thinned(model.build(), 0)  # refuses a network without dropout before it is fitted
        report = model.fit(train, val, replace(ctx, settings=settings)) or FitReport()
        self.module = self._thinned(model.module, ctx.seed).eval()
        return report

    def _thinned(self, network: nn.Module, seed: int) -> nn.Module:
        from mlcvbench_ensembles.thinning import Thinned

        return Thinned(network, self.base.partition(",")[0], self.samples, seed).to(self.torch_device)
