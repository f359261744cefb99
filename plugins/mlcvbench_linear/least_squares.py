"""Least squares on the labels: W, b minimising sum |W x + b - onehot(y)|^2, in closed form; the largest output wins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlcvbench.contract import FitContext, FitReport, Split, TorchModel
from mlcvbench.errors import DataError
from mlcvbench_training.loop import examples_of

if TYPE_CHECKING:
    from torch import nn


class LinearLeastSquares(TorchModel):
    """One solution of a rank-revealing least-squares problem in float64: the one of least norm.

    Pixels that never change make the normal equations singular, so nothing is inverted. The criterion pulls margins
    back to 1 however right they are, which is why it ranks below softmax regression.
    """

    def build(self) -> nn.Module:
        from torch import nn

        features = 1
        for side in self.problem.inputs["image"].shape:
            if side is None:
                raise DataError("linear_least_squares needs images of one size, and these differ.")
            features *= side
        return nn.Sequential(nn.Flatten(), nn.Linear(features, len(self.problem.classes)))

    def fit(self, train: Split, val: Split | None, ctx: FitContext) -> FitReport:
        import torch
        from torch.nn import functional

        examples = examples_of(train, self.torch_device)
        # Not scaled in float32: its rounding would hide that pixels depend on one another, and the rank would be wrong.
        inputs = examples.images.flatten(1).double() / 255  # (N, D)
        wanted = functional.one_hot(examples.labels, len(self.problem.classes)).double()  # (N, C)
        centre, mean = inputs.mean(0), wanted.mean(0)
        # gelsd, the driver that stands rank deficiency, exists for the CPU only.
        solved = torch.linalg.lstsq((inputs - centre).cpu(), (wanted - mean).cpu(), driver="gelsd")
        weight = solved.solution.T.to(self.torch_device)  # (C, D)
        self.module = self.build()
        linear = self.module.get_submodule("1")
        state = {"weight": weight.float(), "bias": (mean - weight @ centre).float()}
        linear.load_state_dict(state)
        self.module.to(self.torch_device).eval()
        return FitReport()
