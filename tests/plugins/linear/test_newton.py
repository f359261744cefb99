"""Newton's method: its step is the equation's, goes downhill under every loss, and is halved where it must be."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.autograd.functional import hessian

from mlcvbench.contract import Device, FitContext
from mlcvbench.errors import RequestError
from mlcvbench_linear.newton import NewtonTraining, newton_step
from mlcvbench_training.loop import Examples, scaled, train_network
from mlcvbench_training.losses import loss_of
from mlcvbench_training.settings import LOSSES, Settings

NEWTON = Settings(optimizer="newton", weight_decay=0.0, l2=0.03, damping=0.01, epochs=8, batch=7)
COUNT, CLASSES = 20, 3


def examples() -> Examples:
    drawn = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (COUNT, 1, 2, 2), dtype=torch.uint8, generator=drawn)
    return Examples(pixels, torch.randint(0, CLASSES, (COUNT,), generator=drawn))


def network(scale: float = 0.1) -> nn.Sequential:
    torch.manual_seed(1)
    linear = nn.Linear(4, CLASSES)
    with torch.no_grad():
        linear.weight.mul_(scale)
    return nn.Sequential(nn.Flatten(), linear)


def steps(module: nn.Module, settings: Settings):
    """Make one step over batches of 7 images."""
    given = examples()
    blocks = [slice(start, start + 7) for start in range(0, COUNT, 7)]
    return newton_step(module, lambda: ((scaled(given.images[b]), given.labels[b]) for b in blocks), COUNT, settings)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_step_is_the_inverse_of_the_damped_hessian_times_the_gradient(loss):
    settings = replace(NEWTON, loss=loss)
    given = examples()
    inputs, mean = scaled(given.images).flatten(1).double(), loss_of(settings)
    start = torch.cat([part.detach().double().flatten() for part in network()[1].parameters()])

    def penalised(theta: torch.Tensor) -> torch.Tensor:
        weight, bias = theta[:12].view(CLASSES, 4), theta[12:]
        return mean(inputs @ weight.T + bias, given.labels) + settings.l2 / 2 * weight.square().sum()

    curvature = hessian(penalised, start) + settings.damping * torch.eye(15, dtype=torch.float64)
    wanted = torch.linalg.solve(curvature, torch.autograd.functional.jacobian(penalised, start))
    module = network()

    step = steps(module, settings)

    moved = torch.cat([part.detach().double().flatten() for part in module[1].parameters()])
    assert torch.allclose(start - moved, step.rate * wanted, atol=1e-6)
    assert step.loss == pytest.approx(float(mean(inputs @ start[:12].view(CLASSES, 4).T + start[12:], given.labels)))


@pytest.mark.parametrize("loss", LOSSES)
def test_the_penalised_loss_never_rises(loss):
    settings = replace(NEWTON, loss=loss, l2=0.0, damping=1e-4)

    report = train_network(network(5.0), examples(), settings, FitContext(seed=0, device=Device()), way=NewtonTraining)

    losses = report.history["loss"]
    assert all(after <= before + 1e-9 for before, after in pairwise(losses))
    assert losses[-1] < 0.9 * losses[0]


def test_a_full_step_that_ends_higher_is_halved():
    """Scores that saturate on the wrong side have almost no curvature: the full step leads far beyond the minimum."""
    step = steps(network(60.0), replace(NEWTON, l2=0.0, damping=1e-6))

    assert step.rate < 1.0
    assert 1.0 / step.rate == 2 ** round(torch.log2(torch.tensor(1.0 / step.rate)).item())


def test_a_share_of_a_step_goes_that_share_of_the_way_to_the_minimum_of_a_square():
    settings = replace(NEWTON, loss="squared", l2=0.0, damping=0.0)
    ctx = FitContext(seed=0, device=Device())
    least = train_network(network(), examples(), settings, ctx, way=NewtonTraining).history["loss"][-1]

    first, second, *_ = train_network(
        network(), examples(), replace(settings, newton_lr=0.5), ctx, way=NewtonTraining
    ).history["loss"]

    assert (second - least) / (first - least) == pytest.approx(0.25, abs=1e-5)


def test_a_training_ends_when_no_step_goes_down():
    settings, ctx = replace(NEWTON, epochs=50, damping=1e-6), FitContext(seed=0, device=Device())

    report = train_network(network(), examples(), settings, ctx, way=NewtonTraining)

    assert report.epochs is not None
    assert report.epochs < 50


def test_a_network_that_is_more_than_a_linear_layer_is_refused():
    deep = nn.Sequential(nn.Flatten(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, CLASSES))

    with pytest.raises(RequestError) as error:
        steps(deep, NEWTON)

    assert str(error.value) == ("fit.optimizer=newton: wanted one linear layer behind features that are not learned.")


def test_a_hessian_that_cannot_be_inverted():
    """Pixels of all images that are 0 have no curvature, so that without damping the equations have no solution."""
    blank = Examples(torch.zeros(8, 1, 4, 4, dtype=torch.uint8), torch.arange(8) % 2)
    module = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))

    with pytest.raises(RequestError) as caught:
        train_network(
            module, blank, replace(NEWTON, l2=0.0, damping=0.0), FitContext(seed=0, device=Device()), way=NewtonTraining
        )

    assert str(caught.value) == ("fit.optimizer=newton: the Hessian is singular with fit.damping=0; set a larger one.")


def test_the_ordinary_way_of_an_epoch_knows_no_newton():
    with pytest.raises(RequestError, match=r"^fit\.optimizer=newton: wanted one of gd, sgd, "):
        train_network(network(), examples(), NEWTON, FitContext(seed=0, device=Device()))
