"""Softmax regression: s = W x + b, minimising mean cross-entropy + lambda/2 |W|^2; the bias is not penalised.

`fit.loss` puts another loss in the place of cross-entropy.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from mlcvbench.contract import FitContext, FitReport, Problem, Split, TorchModel
from mlcvbench.errors import DataError
from mlcvbench_linear.settings import FULL_BATCH, LINEAR_SOFTMAX_FIT
from mlcvbench_training.loop import examples_of, scaled, train_network
from mlcvbench_training.losses import loss_of
from mlcvbench_training.refusals import DivergedError
from mlcvbench_training.seeding import seeded
from mlcvbench_training.settings import NEWTON, Settings
from mlcvbench_training.training import Training

if TYPE_CHECKING:
    import torch
    from torch import nn

POINT = 2
"""Coordinates of a point."""
CONVERGED = 1e-5
"""L-BFGS stops when no entry of the gradient is larger."""
STEP = 10
"""Iterations between two looks at the budget."""


class LinearSoftmax(TorchModel):
    """Fit on pixels standardised with the training set's mean and deviation, which are then folded into W and b;
    without `standardise`, on pixels in [0, 1] as they are.

    The default, L-BFGS on the whole training set from W = 0, goes to the one minimum of this convex problem, whatever
    the seed; `fit.epochs` bounds its passes over the data, but for those of its last line search, and `fit.l2` is
    lambda. Newton's method goes there from W = 0 too, and any other `fit.optimizer` runs the training loop on
    mini-batches of the same problem. `features`: polar takes images of two pixels for points, and is linear in their
    radius and angle.
    """

    def __init__(self, problem: Problem, features: str = "pixels", standardise: bool = True) -> None:
        super().__init__(problem, features=features, standardise=standardise)
        self.polar, self.standardise = features == "polar", standardise

    def build(self) -> nn.Module:
        from torch import nn

        return nn.Sequential(*self._features(), self._linear())

    def _features(self) -> list[nn.Module]:
        """Return the layers that turn images (B, C, H, W) into what is standardised (B, D)."""
        from torch import nn

        if not self.polar:
            return [nn.Flatten()]
        from mlcvbench_linear.polar import Polar

        return [nn.Flatten(), Polar()]

    def _linear(self) -> nn.Linear:
        from torch import nn

        features = 1
        for side in self.problem.inputs["image"].shape:
            if side is None:
                raise DataError("linear_softmax needs images of one size, and these differ.")
            features *= side
        if self.polar and features != POINT:
            raise DataError(
                f"linear_softmax: features=polar takes points, images of {POINT} values such as data=two_rings; "
                f"got {features} values."
            )
        return nn.Linear(features, len(self.problem.classes))

    def fit(self, train: Split, val: Split | None, ctx: FitContext) -> FitReport:
        from torch import nn

        from mlcvbench_linear.newton import NewtonTraining
        from mlcvbench_linear.standardise import Standardise

        examples = examples_of(train, self.torch_device)
        settings = Settings.of(ctx.settings, LINEAR_SOFTMAX_FIT)
        with seeded(ctx.seed, self.torch_device):
            linear = self._linear().to(self.torch_device)
        if settings.optimizer in {FULL_BATCH, NEWTON}:
            for parameter in linear.parameters():
                nn.init.zeros_(parameter)
        features = nn.Sequential(*self._features())
        inputs = features(scaled(examples.images))  # (N, D)
        standardise = Standardise(inputs, on=self.standardise)
        if settings.optimizer == FULL_BATCH:
            inputs = standardise(inputs).double()
            report = minimise(linear.double(), inputs, examples.labels, settings, ctx)
        else:
            held_out = None if val is None else examples_of(val, self.torch_device)
            module = nn.Sequential(features, standardise, linear)
            way = NewtonTraining if settings.optimizer == NEWTON else Training
            report = train_network(module, examples, settings, ctx, held_out, way)
        standardise.fold_into(linear)
        self.module = nn.Sequential(*features, linear.float()).eval()
        return report


def minimise(
    linear: nn.Linear, inputs: torch.Tensor, labels: torch.Tensor, settings: Settings, ctx: FitContext
) -> FitReport:
    """Minimise the penalised mean loss over `linear`, from where it is, by full-batch L-BFGS.

    Its line search meets Wolfe's conditions.

    `inputs` float64 (N, D), `labels` int64 (N,), `linear` float64: in float32 the line search stalls before the
    minimum. An epoch of the report is one evaluation of the loss and its gradient.
    """
    import torch

    mean_loss = loss_of(settings)
    optimizer = torch.optim.LBFGS(
        linear.parameters(),
        max_iter=STEP,
        history_size=20,
        tolerance_grad=CONVERGED,
        tolerance_change=0.0,
        line_search_fn="strong_wolfe",
    )
    history: dict[str, list[float]] = {"loss": [], "train_accuracy": []}

    def objective() -> torch.Tensor:
        optimizer.zero_grad()
        logits = linear(inputs)
        mean = mean_loss(logits, labels)
        loss = mean + settings.l2 / 2 * linear.weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        history["loss"].append(mean.item())  # without the penalty, as other rules record it
        history["train_accuracy"].append(float((logits.argmax(1) == labels).float().mean()))
        return loss

    cut_short = False
    started = time.monotonic()
    while len(history["loss"]) < settings.epochs:
        optimizer.param_groups[0]["max_eval"] = settings.epochs - len(history["loss"])
        optimizer.step(objective)  # type: ignore[no-untyped-call]
        if not math.isfinite(history["loss"][-1]):
            raise DivergedError(f"linear_softmax: the loss is {history['loss'][-1]}; set a smaller fit.l2.")
        ctx.progress(min(len(history["loss"]), settings.epochs), settings.epochs)
        gradients = [parameter.grad for parameter in linear.parameters() if parameter.grad is not None]
        converged = max(float(gradient.abs().max()) for gradient in gradients) <= CONVERGED
        if converged:
            break
        if ctx.budget is not None and time.monotonic() - started > ctx.budget:
            cut_short = len(history["loss"]) < settings.epochs
            break
    return FitReport(epochs=len(history["loss"]), history=history, cut_short=cut_short)
