"""Newton's method for a linear layer: theta -= rate (H + mu I)^-1 g, on the whole training set, in float64.

The scores s = theta (x, 1) are linear in theta = (W, b), so H is the sum over images of S kron (x, 1)(x, 1)^T, with S
(C, C) the Hessian of an image's loss in its scores. All of the losses are convex in s, hence H has no negative
eigenvalue and each step goes downhill; how far is found by halving (Armijo's rule), since far from the minimum, or
where the loss is no square, a full step may end higher than it began.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from mlcvbench.errors import RequestError
from mlcvbench_training.losses import loss_of
from mlcvbench_training.objective import blocks
from mlcvbench_training.settings import NEWTON
from mlcvbench_training.training import Training

if TYPE_CHECKING:
    import torch
    from torch import nn

    from mlcvbench_training.losses import Loss
    from mlcvbench_training.settings import Settings

MOST_PARAMETERS = 10_000
"""A Hessian of these has 800 MB, and so has the factor that solves the equations."""
CONVERGED = 1e-7
"""Newton's method ends when no entry of the gradient is larger."""
SUFFICIENT = 1e-4
"""Share of the decrease that the gradient promises with which a step is content (Nocedal and Wright, section 3.1)."""
HALVINGS = 30
ROWS = 1024
"""Images whose products are summed at once: those of a mini-batch would be too thin to be fast."""

Batches = Callable[[], Iterator[tuple["torch.Tensor", "torch.Tensor"]]]


class Step(NamedTuple):
    """Mean loss and accuracy before a step, the share of the Newton step that was made, and whether none is left."""

    loss: float
    accuracy: float
    rate: float
    ended: bool


class NewtonTraining(Training):
    """A training whose every epoch is one step of Newton's method on all images, in blocks as they are stored."""

    RULES = (NEWTON,)

    def one_pass(self) -> dict[str, float]:
        self.module.eval()
        stored = list(blocks(len(self.objective), self.size))
        step = newton_step(self.module, lambda: self.objective.read(stored), len(self.objective), self.settings)
        self.rate, self.ended = step.rate, step.ended
        return {"loss": step.loss, "train_accuracy": step.accuracy}


def newton_step(module: nn.Module, batches: Batches, count: int, settings: Settings) -> Step:
    """Make one step in place on a module that ends in its only layer with parameters, a linear one.

    `batches()` yields float32 inputs and int64 labels, `count` samples in all. The loss is the mean of `settings.loss`
    + l2/2 |W|^2: a square has its minimum one step away. Cross-entropy does not change when all biases move alike, so
    that H is singular: the damping mu makes the equations solvable. `newton_lr` is the share of a step tried first.
    """
    import torch

    problem = _Problem(module, batches, count, settings)
    theta = problem.theta()
    loss, accuracy, gradient, hessian = problem.derivatives(theta)
    hessian.diagonal().add_(settings.damping)
    factor, failed = torch.linalg.cholesky_ex(hessian)
    if failed:
        raise RequestError(
            f"fit.optimizer=newton: the Hessian is singular with fit.damping={settings.damping:g}; set a larger one."
        )
    step = torch.cholesky_solve(gradient.flatten().unsqueeze(1), factor).view_as(theta)
    rate, moved = problem.descend(theta, step, gradient, loss)
    problem.put(moved)
    return Step(loss, accuracy, rate, rate == 0.0 or float(gradient.abs().max()) <= CONVERGED)


class _Problem:
    """The penalised mean loss as a function of theta = (W, b), float64 (C, D + 1)."""

    def __init__(self, module: nn.Module, batches: Batches, count: int, settings: Settings) -> None:
        self.features, self.linear = _parts(module)
        self.batches, self.count, self.l2, self.rate = batches, count, settings.l2, settings.newton_lr
        self.total: Loss = loss_of(settings, reduction="sum")

    def theta(self) -> torch.Tensor:
        """Return where the layer stands."""
        import torch

        return torch.cat([self.linear.weight, self.linear.bias.unsqueeze(1)], 1).detach().double()

    def put(self, theta: torch.Tensor) -> None:
        """Move the layer."""
        import torch

        with torch.no_grad():
            self.linear.weight.copy_(theta[:, :-1])
            self.linear.bias.copy_(theta[:, -1])

    def derivatives(self, theta: torch.Tensor) -> tuple[float, float, torch.Tensor, torch.Tensor]:
        """Return mean loss without the penalty, accuracy, and the gradient (C, D+1) and Hessian (P, P) with it."""
        import torch

        classes, width = theta.shape
        loss, hits = 0.0, 0
        gradient = torch.zeros_like(theta)
        hessian = theta.new_zeros(classes, width, classes, width)
        for inputs, labels in self._inputs():
            scores = (inputs @ theta.T).requires_grad_()  # (B, C)
            total = self.total(scores, labels)
            (slope,) = torch.autograd.grad(total, scores, create_graph=True)  # (B, C)
            curvature = [
                torch.autograd.grad(slope[:, one].sum(), scores, retain_graph=True)[0] for one in range(classes)
            ]
            gradient += slope.detach().T @ inputs
            for one in range(classes):
                for other in range(one + 1):
                    block = (inputs * curvature[one][:, other, None]).T @ inputs  # (D+1, D+1), symmetric
                    hessian[one, :, other] += block
                    if other != one:
                        hessian[other, :, one] += block
            loss += float(total.detach())
            hits += int((scores.argmax(1) == labels).sum())
        weights = theta.clone()
        weights[:, -1] = 0.0  # the bias is not penalised
        penalty = torch.full_like(theta, self.l2)
        penalty[:, -1] = 0.0
        matrix = hessian.view(theta.numel(), theta.numel()).div_(self.count)
        matrix.diagonal().add_(penalty.flatten())
        return loss / self.count, hits / self.count, gradient / self.count + self.l2 * weights, matrix

    def descend(
        self, theta: torch.Tensor, step: torch.Tensor, gradient: torch.Tensor, loss: float
    ) -> tuple[float, torch.Tensor]:
        """Return the share of the step that is made and where it leads; 0 where none goes down in float64."""
        before = loss + self._penalty(theta)
        promised = float((gradient * step).sum())
        rate = self.rate
        for _ in range(HALVINGS):
            moved = theta - rate * step
            if self._value(moved) <= before - SUFFICIENT * rate * promised:
                return rate, moved
            rate /= 2
        return 0.0, theta

    def _value(self, theta: torch.Tensor) -> float:
        import torch

        with torch.no_grad():
            total = sum(float(self.total(inputs @ theta.T, labels)) for inputs, labels in self._inputs())
        return total / self.count + self._penalty(theta)

    def _penalty(self, theta: torch.Tensor) -> float:
        return self.l2 / 2 * float(theta[:, :-1].square().sum())

    def _inputs(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield features with a 1 behind them, float64 (B, D + 1), and labels, B at least ROWS but at the end."""
        import torch

        inputs: list[torch.Tensor] = []
        labels: list[torch.Tensor] = []
        for images, own in self.batches():
            with torch.no_grad():
                features = self.features(images).double()
            inputs.append(torch.cat([features, features.new_ones(len(features), 1)], 1))
            labels.append(own)
            if sum(map(len, labels)) >= ROWS:
                yield torch.cat(inputs), torch.cat(labels)
                inputs, labels = [], []
        if labels:
            yield torch.cat(inputs), torch.cat(labels)


def _parts(module: nn.Module) -> tuple[nn.Module, nn.Linear]:
    """Return what stands before the linear layer at the end, and that layer; RequestError for any other network."""
    from torch import nn

    *before, last = list(module.children()) or [module]
    features = nn.Sequential(*before)
    if not isinstance(last, nn.Linear) or any(True for _ in features.parameters()):
        raise RequestError("fit.optimizer=newton: wanted one linear layer behind features that are not learned.")
    parameters = last.weight.numel() + last.bias.numel()
    if parameters > MOST_PARAMETERS:
        raise RequestError(
            f"fit.optimizer=newton: the Hessian of {parameters:,} parameters is too large; the most is "
            f"{MOST_PARAMETERS:,}."
        )
    return features, last
