"""Trainings that come to nothing say so in one line, and what to set instead."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from mlcvbench.contract import Device, FitContext
from mlcvbench.errors import MlcvbenchError
from mlcvbench_training.loop import Examples, train_network
from mlcvbench_training.settings import Settings

PLAIN = Settings(epochs=2, batch=4, schedule="constant", weight_decay=0.0, optimizer="sgd")


def examples() -> Examples:
    pixels = torch.arange(8 * 16, dtype=torch.uint8).reshape(8, 1, 4, 4)
    return Examples(pixels, torch.arange(8) % 2)


def said(**changes: Any) -> str:
    """Train a linear model and return the error that it ends with."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    with pytest.raises(MlcvbenchError) as caught:
        train_network(module, examples(), replace(PLAIN, **changes), FitContext(seed=0, device=Device()))
    return str(caught.value)


def test_a_loss_that_is_not_finite():
    assert said(lr=1e38, label_smoothing=0.5).startswith("training diverged: the loss is ")
    assert said(lr=1e38, label_smoothing=0.5).endswith(" with optimizer sgd, lr 1e+38; set a smaller fit.lr.")


def test_weights_that_the_last_step_ruined():
    message = said(epochs=1, batch=8, optimizer="momentum", lr=1e39)

    assert message == (
        "training diverged: the weights are not finite after epoch 1 of 1 with optimizer momentum, lr 1e+39; set a "
        "smaller fit.lr."
    )


def test_a_decay_that_grows_the_weights():
    message = said(epochs=6, weight_decay=1e30, lr=1.0)

    assert message.startswith("training diverged: the ")
    assert message.endswith("; set a smaller fit.weight_decay.")


def test_a_warm_up_that_is_longer_than_the_training_is_refused():
    assert said(schedule="warmup+cosine", warmup=3.0, epochs=2) == (
        "fit.warmup=3 is longer than the training of 2 epochs, so that the rate would never reach fit.lr; set a "
        "shorter one."
    )
