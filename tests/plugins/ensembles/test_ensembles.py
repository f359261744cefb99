"""Ensembles, snapshots and distillation: what the members are, how they answer together, and what they cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.fitting import context, digits, fitted, images_batch, percent_right, problem, report_of, scores_of
from support.runs import config_for

from mlcvbench.contract import ArraySplit, Device, FitContext, Model
from mlcvbench.errors import MlcvbenchError, OverrideError, RequestError, UnknownNameError
from mlcvbench.measure.operations import count
from mlcvbench.running import stages
from mlcvbench_cnn.small import SmallCNN
from mlcvbench_ensembles.distillation import Distill
from mlcvbench_ensembles.ensemble import Ensemble, member_seed
from mlcvbench_ensembles.snapshots import SnapshotEnsemble
from mlcvbench_training.checkpoint import FILE
from mlcvbench_training.guidance import Teacher

DIGIT = np.zeros((1, 8, 8))
BASE = "small_cnn,width=2,stages=2"
QUICK: dict[str, Any] = {"epochs": 2, "batch": 32}
CYCLES: dict[str, Any] = {"schedule": "cyclic", "cycles": 3, "epochs": 6, "batch": 32}


@pytest.fixture(scope="module")
def train() -> ArraySplit:
    return digits()[0].take(range(200))


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return digits()[1].arrays()[0]["image"][:30]


def single() -> SmallCNN:
    return SmallCNN(problem(DIGIT), width=2, stages=2)


def probabilities(model: Model, images: np.ndarray) -> np.ndarray:
    return torch.from_numpy(scores_of(model, images)).softmax(1).numpy()


def refusal(model: Model, train: ArraySplit, kind: type[MlcvbenchError] = RequestError, **settings: Any) -> str:
    with pytest.raises(kind) as caught:
        model.fit(train, None, context(**settings))
    return str(caught.value)


def test_an_ensemble_answers_with_the_mean_of_its_members_probabilities(train, images):
    together = fitted(Ensemble(problem(DIGIT), base=BASE, members=3), train, seed=5, **QUICK)

    alone = [fitted(single(), train, seed=member_seed(5, number), **QUICK) for number in range(3)]

    mean = np.mean([probabilities(model, images) for model in alone], axis=0)
    assert np.allclose(probabilities(together, images), mean, atol=1e-6)
    assert np.allclose(np.exp(scores_of(together, images)).sum(1), 1, atol=1e-5)


def test_an_ensemble_costs_as_much_as_its_members_together(images):
    three, one = Ensemble(problem(DIGIT), base=BASE, members=3), single()

    assert three.parameters().trainable == 3 * one.parameters().trainable
    assert three.parameters().bytes == 3 * one.parameters().bytes
    batch = images_batch(images)
    assert count(three, batch).macs == 3 * (count(one, batch).macs or 0) > 0


def test_the_history_of_an_ensemble_is_the_mean_and_its_epochs_are_the_sum(train):
    report = report_of(Ensemble(problem(DIGIT), base=BASE, members=2), train, seed=1, **QUICK)

    alone = [report_of(single(), train, seed=member_seed(1, number), **QUICK) for number in range(2)]
    assert report.epochs == 4
    assert report.history["loss"] == pytest.approx(np.mean([one.history["loss"] for one in alone], axis=0))


@pytest.mark.parametrize(
    "model",
    [
        Ensemble(problem(DIGIT), base=BASE, members=2),
        SnapshotEnsemble(problem(DIGIT), base=BASE, members=2),
        Distill(problem(DIGIT), student=BASE, teacher="mlp"),
    ],
    ids=lambda model: type(model).__name__,
)
def test_what_is_saved_and_loaded_predicts_the_same(model, train, images, tmp_path):
    settings = CYCLES if isinstance(model, SnapshotEnsemble) else QUICK
    again = type(model)(problem(DIGIT), **model.params)

    fitted(model, train, **settings).save(tmp_path)
    again.load(tmp_path)

    assert np.array_equal(scores_of(model, images), scores_of(again, images))


def test_any_registered_network_can_be_a_member(train, images):
    model = fitted(Ensemble(problem(DIGIT), base="mlp,hidden=[8]", members=2), train, **QUICK)

    assert model.parameters().trainable == 2 * (64 * 8 + 8 + 8 * 10 + 10)
    assert scores_of(model, images).shape == (30, 10)


def test_snapshots_are_the_weights_at_the_last_cycle_ends_of_one_training(train, images):
    model = fitted(SnapshotEnsemble(problem(DIGIT), base=BASE, members=2), train, seed=3, **CYCLES)

    whole = fitted(single(), train, seed=3, **CYCLES)

    last = model.module.members[1].state_dict()
    assert all(torch.equal(tensor, last[name]) for name, tensor in whole.module.state_dict().items())
    first = model.module.members[0].state_dict()
    assert not all(torch.equal(tensor, first[name]) for name, tensor in last.items())
    assert model.parameters().trainable == 2 * whole.parameters().trainable


def test_the_history_of_snapshots_is_that_of_one_training(train):
    report = report_of(SnapshotEnsemble(problem(DIGIT), base=BASE, members=2), train, seed=3, **CYCLES)

    alone = report_of(single(), train, seed=3, **CYCLES)
    assert (report.epochs, report.history) == (6, alone.history)
    assert report.earlier_seconds == 0


@pytest.mark.parametrize("cycles", [3, 6], ids=["within a cycle", "with a cycle's end"])
def test_snapshots_that_a_budget_cuts_short_answer_with_those_there_are(train, images, tmp_path, cycles):
    model = SnapshotEnsemble(problem(DIGIT), base=BASE, members=3)
    settings = {**CYCLES, "cycles": cycles}

    report = model.fit(train, None, FitContext(seed=0, device=Device(), settings=settings, budget=1e-9))

    assert (report.epochs, report.cut_short, len(model.module.members)) == (1, True, 1)
    again = SnapshotEnsemble(problem(DIGIT), base=BASE, members=3)
    model.save(tmp_path)
    again.load(tmp_path)
    assert np.array_equal(scores_of(again, images), scores_of(model, images))


def test_a_fit_that_was_killed_when_all_was_trained_has_the_history_of_the_whole(train, tmp_path):
    model = SnapshotEnsemble(problem(DIGIT), base=BASE, members=2)
    ctx = FitContext(seed=0, device=Device(), settings=CYCLES, checkpoints=tmp_path)
    whole = model.fit(train, None, ctx)

    again = model.fit(train, None, ctx)

    assert (again.epochs, again.history) == (whole.epochs, whole.history)
    assert again.earlier_seconds > 0


def test_more_members_than_cycles_are_refused(train):
    message = refusal(SnapshotEnsemble(problem(DIGIT), base=BASE, members=4), train, **CYCLES)

    assert message == (
        "snapshot_ensemble: 3 cycles in 6 epochs give no 4 members; set fewer model.members, or more fit.cycles and "
        "fit.epochs."
    )


class StoppedError(Exception):
    """Stands for whatever ends a process."""


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        (Ensemble(problem(DIGIT), base=BASE, members=2), {**QUICK, "epochs": 3}),
        (SnapshotEnsemble(problem(DIGIT), base=BASE, members=3), CYCLES),
        (Distill(problem(DIGIT), student=BASE, teacher=BASE), {**QUICK, "epochs": 3}),
    ],
    ids=["ensemble", "snapshots", "distill"],
)
def test_an_interrupted_fit_ends_with_the_same_bits(model, settings, train, images, tmp_path, monkeypatch):
    monkeypatch.setattr("mlcvbench_training.training.SAVING_SHARE", float("inf"))  # a checkpoint after each epoch
    whole = scores_of(fitted(model, train, **settings), images)
    calls = 0

    def stop_at(number: int) -> FitContext:
        def progress(done: int, total: int) -> None:
            nonlocal calls
            calls += 1
            if calls == number:
                raise StoppedError

        return FitContext(seed=0, device=Device(), settings=settings, checkpoints=tmp_path, progress=progress)

    with pytest.raises(StoppedError):
        model.fit(train, None, stop_at(5))
    assert list(tmp_path.rglob(FILE))
    model.fit(train, None, stop_at(-1))

    assert np.array_equal(scores_of(model, images), whole)


def test_a_teachers_loss_is_hintons():
    torch.manual_seed(0)
    student, master = torch.randn(5, 4), torch.randn(5, 4)
    teacher = Teacher(lambda inputs: master, temperature=3.0, weight=0.7)
    p, q = (master / 3).softmax(1), (student / 3).softmax(1)
    kl = (p * (p.log() - q.log())).sum(1).mean()

    loss = teacher.loss(torch.zeros(5, 1), student, torch.tensor(2.0))

    assert loss == pytest.approx(float(0.7 * 9 * kl + 0.3 * 2.0), rel=1e-5)
    assert teacher.asked == 1


def test_the_factor_keeps_the_soft_gradient_as_large_at_any_temperature():
    sizes = []
    for temperature in (20.0, 40.0):
        student = torch.tensor([[1.0, -1.0, 0.5]], requires_grad=True)
        master = torch.tensor([[0.0, 2.0, -1.0]])
        Teacher(lambda inputs, t=master: t, temperature, 1.0).loss(student, student, torch.tensor(0.0)).backward()
        sizes.append(float(student.grad.norm()))

    assert sizes[0] == pytest.approx(sizes[1], rel=0.05)


def test_a_student_agrees_more_with_its_teacher_than_with_none(train, images):
    teacher = fitted(SmallCNN(problem(DIGIT), width=8, stages=2), train, seed=member_seed(0, 1))
    student = fitted(Distill(problem(DIGIT), student=BASE, teacher="small_cnn,width=8,stages=2", weight=1.0), train)
    alone = fitted(single(), train)

    def distance(model: Model) -> float:
        return float(np.abs(probabilities(model, images) - probabilities(teacher, images)).mean())

    assert distance(student) < distance(alone)
    assert student.parameters().trainable == alone.parameters().trainable


def test_a_student_that_the_loop_does_not_train_is_refused(train):
    assert refusal(Distill(problem(DIGIT), student="linear_softmax", teacher=BASE), train, epochs=3) == (
        "model 'linear_softmax' is not trained by the shared loop, so it cannot learn from a teacher."
    )


def test_a_model_that_is_no_network_is_refused(train):
    assert refusal(Ensemble(problem(DIGIT), base="knn"), train) == (
        "model 'knn' is not a network of class scores, so no method can be built from it."
    )


def test_settings_that_the_base_does_not_have_or_use_are_refused(train):
    least = refusal(Ensemble(problem(DIGIT), base="linear_least_squares"), train, OverrideError, lr=0.1)
    idle = refusal(Ensemble(problem(DIGIT), base=BASE), train, OverrideError, momentum=0.5)

    assert least == "key 'fit.lr' has no effect on model 'linear_least_squares': it declares no such setting."
    assert idle == (
        "key 'fit.momentum' has no effect on model 'small_cnn': it needs fit.optimizer=momentum or nesterov, got adamw."
    )


def test_a_request_with_such_settings_is_refused_before_anything_starts():
    for words, message in (
        (("model.base=linear_least_squares", "fit.lr=0.1"), r"^key 'fit\.lr' has no effect on model 'linear_least"),
        (("fit.momentum=0.5",), r"^key 'fit\.momentum' has no effect on model 'small_cnn': it needs fit\.optimizer="),
    ):
        with pytest.raises(OverrideError, match=message):
            config_for("model=ensemble", *words)


def test_a_base_that_does_not_exist_is_refused_before_the_run():
    with pytest.raises(UnknownNameError, match=r"^unknown classification model 'small_cn'\. Did you mean 'small_cnn'"):
        config_for("model=ensemble", "model.base=small_cn")


@pytest.mark.parametrize(
    "words",
    [
        ("model=ensemble", "model.base=[mlp,hidden=[16]]", "model.members=2", "fit.epochs=3"),
        ("model=snapshot_ensemble", "model.base=mlp", "model.members=2", "fit.epochs=4", "fit.cycles=2"),
        ("model=distill", "model.student=[mlp,hidden=[16]]", "model.teacher=mlp", "fit.epochs=6"),
    ],
    ids=["ensemble", "snapshots", "distill"],
)
def test_each_runs_by_name(words, tmp_path: Path):
    record = stages.execute(config_for(*words, "limit=100", "intervals=false"), tmp_path)

    assert record.status == "ok", record.error
    assert (record.metrics["top1"].value or 0) > 0.5
    assert (record.operations.macs or 0) > 0


@pytest.mark.slow
def test_five_networks_read_digits_no_worse_than_one():
    train, test = digits()
    base = "small_cnn,width=4,stages=2"

    five = fitted(Ensemble(problem(DIGIT), base=base), train, epochs=8)

    alone = [
        percent_right(fitted(SmallCNN(problem(DIGIT), width=4, stages=2), train, member_seed(0, n), epochs=8), test)
        for n in range(5)
    ]
    assert percent_right(five, test) >= float(np.mean(alone))
