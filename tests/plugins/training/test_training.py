"""The engine on an objective that knows no labels: history, what is watched, learned extras, and bit-exact resuming."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from support.fitting import context
from torch import nn

from mlcvbench.contract import Device, FitContext
from mlcvbench_training import training
from mlcvbench_training.objective import Objective
from mlcvbench_training.refusals import DivergedError
from mlcvbench_training.seeding import seeded
from mlcvbench_training.settings import Settings
from mlcvbench_training.training import Watch, train

CPU = torch.device("cpu")
SETTINGS = Settings(optimizer="adamw", lr=0.01, batch=8, epochs=4)


class Line(Objective):
    """Learn y = 2 x + 1 + shift of its kind; the shift of each kind is learned beside the network."""

    device = CPU

    def __init__(self, count: int = 37, *, extra: bool = True) -> None:
        drawn = torch.Generator().manual_seed(0)
        self.x = torch.rand(count, 1, generator=drawn)
        self.kinds = torch.randint(0, 3, (count,), generator=drawn)
        self.y = 2 * self.x + 1 + self.kinds[:, None]
        with seeded(5, CPU):
            self.shift = nn.Embedding(3, 1) if extra else None

    def __len__(self) -> int:
        return len(self.x)

    def read(self, chosen: Sequence[Any]) -> Iterator[tuple[torch.Tensor, ...]]:
        yield from ((self.x[one], self.kinds[one], self.y[one]) for one in chosen)

    def loss(self, network, batch, generator):
        x, kinds, y = batch
        noise = 0.01 * torch.randn(len(x), 1, generator=generator)
        outputs = network(x + noise)["line"]
        if self.shift is not None:
            outputs = outputs + self.shift(kinds)
        errors = (outputs - y).abs()[:, 0]
        return {"loss": errors.square().mean(), "mean_error": errors.mean(), "worst_third": (errors > 0.5).float()}

    def extra(self) -> nn.Module | None:
        return self.shift


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(1, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 1))

    def forward(self, x: torch.Tensor) -> dict[str, Any]:
        return {"line": self.layers(x), "places": torch.arange(len(x))}


def network() -> nn.Module:
    with seeded(1, CPU):
        return Network()


def bits(*modules: nn.Module | None) -> bytes:
    return b"".join(
        tensor.numpy().tobytes() for module in modules if module is not None for tensor in module.state_dict().values()
    )


def test_the_history_has_what_the_objective_tells():
    report = train(network(), Line(), replace(SETTINGS, epochs=30), context())

    assert list(report.history) == ["loss", "mean_error", "worst_third", "lr"]
    assert {len(column) for column in report.history.values()} == {30}
    assert report.history["loss"][-1] < 0.5 * report.history["loss"][0]


def test_a_number_of_each_sample_is_averaged_like_one_of_each_batch():
    class Twice(Line):
        def loss(self, network, batch, generator):
            x, _, y = batch
            errors = (network(x)["line"] - y).abs()[:, 0]
            return {"loss": errors.mean(), "batch": errors.mean(), "sample": errors}

    history = train(network(), Twice(), SETTINGS, context()).history

    assert history["batch"] == history["loss"]
    assert history["sample"] == pytest.approx(history["batch"], rel=1e-6)


def test_what_is_learned_beside_the_network_moves_with_it():
    objective = Line()
    before = objective.shift.weight.detach().clone()

    train(network(), objective, SETTINGS, context())

    assert not torch.equal(objective.shift.weight, before)


def test_outputs_of_any_form_are_float32_to_the_loss_in_bfloat16():
    seen = []

    class Looking(Line):
        def loss(self, network, batch, generator):
            outputs = network(batch[0])
            seen.append({name: value.dtype for name, value in outputs.items()})
            return {"loss": (outputs["line"] - batch[2]).square().mean()}

    train(network(), Looking(), replace(SETTINGS, epochs=1, precision="bfloat16"), context())

    assert all(one == {"line": torch.float32, "places": torch.int64} for one in seen)


def test_an_objective_chooses_which_samples_a_step_takes():
    class Pairs(Line):
        """Three steps an epoch, of two samples of each kind."""

        def batches(self, size, generator):
            members = [torch.nonzero(self.kinds == kind)[:, 0] for kind in range(3)]
            drawn = [[m[torch.randperm(len(m), generator=generator)[:2]] for m in members] for _ in range(3)]
            return [torch.cat(one) for one in drawn]

        def steps(self, size):
            return 3

        def loss(self, network, batch, generator):
            assert batch[1].tolist() == [0, 0, 1, 1, 2, 2]
            return super().loss(network, batch, generator)

    history = train(network(), Pairs(), replace(SETTINGS, schedule="linear", final=0.0), context()).history

    assert history["lr"][-1] == pytest.approx(SETTINGS.lr / 12)  # the last of its 12 steps


def watch(values: list[float], **further: Any) -> Watch:
    given = iter(values)
    return Watch(lambda _: {"error": next(given), "other": 1.0}, "error", **further)


def test_what_is_not_looked_at_in_each_epoch_leaves_gaps():
    report = train(network(), Line(), replace(SETTINGS, epochs=5), context(), watch=watch([3.0, 2.0, 1.0], every=2))

    assert report.history["error"] == [None, 3.0, None, 2.0, 1.0]
    assert report.history["other"] == [None, 1.0, None, 1.0, 1.0]


@pytest.mark.parametrize(("higher", "epochs"), [(True, 3), (False, 6)])
def test_early_stopping_goes_by_the_direction_of_what_is_watched(higher: bool, epochs: int):
    settings = replace(SETTINGS, epochs=9, early_stopping=True, patience=2)
    errors = watch([5.0, 4.0, 3.0, 2.0, 4.0, 5.0, 9.0], higher_is_better=higher)

    assert train(network(), Line(), settings, context(), watch=errors).epochs == (3 if higher else 6) == epochs


def test_the_plateau_schedule_goes_by_it_too():
    settings = replace(SETTINGS, epochs=4, schedule="plateau", plateau_patience=0, gamma=0.5)

    rates = train(
        network(), Line(), settings, context(), watch=watch([4.0, 3.0, 3.0, 3.0], higher_is_better=False)
    ).history["lr"]

    assert rates == [0.01, 0.01, 0.01, 0.005]


@pytest.mark.parametrize(
    "variant",
    [
        {},
        {"optimizer": "momentum", "average": "ema", "ema_decay": 0.9},
        {"average": "swa", "swa_start": 0.0},
        {"precision": "bfloat16", "clip": 0.5},
        {"early_stopping": True, "patience": 3},
    ],
    ids=str,
)
def test_an_interrupted_training_ends_with_the_same_bits(variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(training, "SAVING_SHARE", math.inf)
    settings = replace(SETTINGS, epochs=6, **variant)

    def run(folder: Path | None, stop_after: int = 0) -> tuple[bytes, Any]:
        def progress(done: int, total: int) -> None:
            if done == stop_after:
                raise KeyboardInterrupt

        module, objective = network(), Line()
        ctx = FitContext(seed=3, device=Device(), checkpoints=folder, progress=progress)
        looked = Watch(lambda one: {"size": float(next(one.parameters()).detach().abs().sum())}, "size", every=2)
        report = train(module, objective, settings, ctx, watch=looked)
        return bits(module, objective.extra()), report.history

    whole = run(None)
    for epoch in (1, 4):
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, stop_after=epoch)

    assert run(tmp_path) == whole


def test_the_checkpoint_of_another_objective_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(training, "SAVING_SHARE", math.inf)
    ctx = FitContext(seed=3, device=Device(), checkpoints=tmp_path)
    train(network(), Line(extra=False), SETTINGS, ctx)

    assert train(network(), Line(), SETTINGS, ctx).earlier_seconds == 0


def test_a_learned_extra_that_is_not_finite_ends_the_training_too():
    class Broken(Line):
        def loss(self, network, batch, generator):
            parts = super().loss(network, batch, generator)
            with torch.no_grad():
                self.shift.weight[0, 0] = math.nan
            return {"loss": network(batch[0])["line"].square().mean(), "mean_error": parts["mean_error"]}

    with pytest.raises(DivergedError, match="the weights are not finite after epoch 1"):
        train(network(), Broken(), replace(SETTINGS, epochs=1), context())


@pytest.mark.parametrize("budget", [0.3, 1.3, 4.0], ids=["at once", "when it plans", "as planned"])
@pytest.mark.parametrize("average", ["none", "ema"])
def test_the_epoch_that_a_budget_makes_the_last_is_looked_at(
    average: str, budget: float, monkeypatch: pytest.MonkeyPatch
):
    """Else early stopping would have no best weights, and not even their mean be kept."""
    clock, seen = [0.0], []
    monkeypatch.setattr(training.time, "monotonic", lambda: clock[0])
    module = network()
    module.register_forward_pre_hook(lambda *_: clock.__setitem__(0, clock[0] + 0.125))
    looked = Watch(lambda one: seen.append(bits(one)) or {"size": 1.0}, "size", every=50)  # type: ignore[func-returns-value]
    settings = replace(SETTINGS, epochs=100, early_stopping=True, average=average)
    ctx = FitContext(seed=3, device=Device(), budget=budget)

    report = train(module, Line(), settings, ctx, watch=looked)

    assert report.cut_short
    assert report.history["size"] == [None] * (report.epochs - 1) + [1.0]
    assert seen == [bits(module)]
