"""Newton's method for models whose Hessian fits in memory: theta -= rate (H + mu I)^-1 g, on the whole training set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlcvbench.errors import RequestError
from mlcvbench_training.losses import loss_of

if TYPE_CHECKING:
    import torch
    from torch import nn

    from mlcvbench_training.settings import Settings

MOST_PARAMETERS = 10_000
"""A Hessian of these has 800 MB."""
COLUMNS = 64
"""Columns of the Hessian computed at once."""
CONVERGED = 1e-7
"""Newton's method ends when no entry of the gradient is larger."""

Batches = Iterator[tuple["torch.Tensor", "torch.Tensor"]]


def newton_step(module: nn.Module, batches: Batches, count: int, settings: Settings) -> tuple[float, float, bool]:
    """Make one step in place; return the loss and accuracy before it and whether the gradient was nil.

    `batches` yields float32 inputs and int64 labels, `count` samples in all; the arithmetic is in float64. The loss is
    the mean of `settings.loss` + l2/2 |W|^2: a square has its minimum one step away. Cross-entropy does not change when
    all biases move alike, so that H is singular: the damping mu makes the equations solvable. Far from a minimum a full
    step may lead away from it (the method goes to any stationary point); then `newton_lr` < 1 or more damping.
    """
    import torch
    from torch.func import functional_call, grad, jacrev

    names, parameters = zip(*module.named_parameters(), strict=True)
    sizes = [parameter.numel() for parameter in parameters]
    if sum(sizes) > MOST_PARAMETERS:
        raise RequestError(
            f"fit.optimizer=newton: the Hessian of {sum(sizes):,} parameters is too large; the most is "
            f"{MOST_PARAMETERS:,}."
        )
    buffers = {name: b.double() if b.is_floating_point() else b for name, b in module.named_buffers()}
    theta = torch.cat([parameter.detach().double().flatten() for parameter in parameters])
    penalised = torch.cat([torch.full((p.numel(),), float(p.ndim > 1)) for p in parameters]).to(theta)

    total = loss_of(settings, reduction="sum")

    def logits_of(vector: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        pieces = torch.split(vector, sizes)
        state = {name: v.view_as(p) for name, v, p in zip(names, pieces, parameters, strict=True)}
        return functional_call(module, {**state, **buffers}, (inputs,))  # type: ignore[no-any-return]

    def mean_loss(vector: torch.Tensor, inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return total(logits_of(vector, inputs), labels) / count

    loss, hits = 0.0, 0
    gradient = settings.l2 * penalised * theta
    hessian = torch.diag(settings.l2 * penalised)
    for pixels, labels in batches:
        inputs = pixels.double()
        with torch.no_grad():
            loss += float(mean_loss(theta, inputs, labels))
            hits += int((logits_of(theta, inputs).argmax(1) == labels).sum())
        gradient = gradient + grad(mean_loss)(theta, inputs, labels)
        hessian += jacrev(grad(mean_loss), chunk_size=COLUMNS)(theta, inputs, labels)
    hessian.diagonal().add_(settings.damping)
    step, singular = torch.linalg.solve_ex(hessian, gradient)
    if singular:
        raise RequestError(
            f"fit.optimizer=newton: the Hessian is singular with fit.damping={settings.damping:g}; set a larger one."
        )
    theta = theta - settings.newton_lr * step
    with torch.no_grad():
        for parameter, piece in zip(parameters, torch.split(theta, sizes), strict=True):
            parameter.copy_(piece.view_as(parameter))
    return loss, hits / count, float(gradient.abs().max()) <= CONVERGED
