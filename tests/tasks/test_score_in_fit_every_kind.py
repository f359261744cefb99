"""`ctx.score` for each task kind: inside a fit, a model is scored as the test split would be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.runs import config_for

from mlcvbench.contract import FitContext, LoadedData, Model, Split, TorchModel
from mlcvbench.errors import DataError
from mlcvbench.loading.data import load_data
from mlcvbench.loading.models import class_of
from mlcvbench.loading.resolved import Resolved, resolve
from mlcvbench.processes.progress import silent
from mlcvbench.running import stages
from mlcvbench.running.fit_scores import FitScores
from mlcvbench.running.fitting import obtain_model

SMALL = ("data.train=6", "data.val=4", "data.test=4", "data.size=[48,48]")
FACES = ("data.train=8", "data.val=8", "data.test=20", "data.shots=3", "data.size=24", "model=eigenfaces")
REQUESTS = {
    "classification": ("task=digits", "model=knn", "model.k=1,101"),
    "detection": ("task=detection", "model=box_prior", "model.boxes=1,4", *SMALL),
    "segmentation": (
        "task=segmentation", "model=pixel_forest", "model.trees=1", "model.depth=2,6", "model.samples=40", *SMALL,
    ),
    "verification": ("task=faces", "model.components=2,8", "select_metric=accuracy_10fold", *FACES),
    "identification": ("task=faces-identification", "model.components=2,8", *FACES),
    "depth": ("task=scenes-mono", "model=patch_depth", "model.cell=4,8", "model.size=[32,32]", *SMALL),
}  # fmt: skip


@contextmanager
def after_fit(monkeypatch: pytest.MonkeyPatch, method: type[Model], look: Any) -> Iterator[None]:
    """Call `look(model, ctx)` at the end of every fit of a method."""
    fit = method.fit

    def looked_at(self: Model, train: Split, val: Split | None, ctx: FitContext) -> Any:
        report = fit(self, train, val, ctx)
        look(self, ctx)
        return report

    with monkeypatch.context() as patch:
        patch.setattr(method, "fit", looked_at)
        yield


def fitted(*words: str) -> tuple[Resolved, LoadedData, Model]:
    resolved = resolve(config_for(*words))
    data = load_data(resolved)
    return resolved, data, obtain_model(resolved, data, silent, None).model


@pytest.mark.parametrize("kind", REQUESTS)
def test_a_fit_learns_of_its_validation_split_what_a_search_would_decide_by(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MLCVBENCH_CACHE", str(tmp_path / "cache"))
    config = config_for(*REQUESTS[kind], "select=grid", "refit=off", "intervals=off", "threads=1")
    resolved = resolve(config)
    val = load_data(resolved).splits["val"]
    seen: list[float] = []
    directions: dict[str, bool] = {}

    def look(model: Model, ctx: FitContext) -> None:
        scores = ctx.score(model, val)
        assert set(scores) <= set(ctx.metrics)
        assert config.search is not None
        seen.append(scores[config.search.metric or next(iter(ctx.metrics))])
        directions.update({name: metric.higher_is_better for name, metric in ctx.metrics.items()})

    with after_fit(monkeypatch, class_of(resolved.spec), look):
        record = stages.execute(config, tmp_path)

    assert record.status == "ok", record.error
    assert record.selection is not None
    assert seen == [trial.value for trial in record.selection.trials]
    assert directions == {name: metric.higher_is_better for name, metric in record.metrics.items()}


def test_stereo_is_scored_too_without_a_fit_around_it():
    resolved, data, model = fitted("task=scenes-stereo", "model=block_matching", *SMALL)

    scores = FitScores(resolved, data)(model, data.splits["val"])

    assert set(scores) <= set(FitScores(resolved, data).metrics)
    assert 0 < scores["bad_2"] < 1


def test_metrics_that_are_undefined_are_left_out():
    resolved, data, model = fitted("task=digits", "model=majority")
    few = data.splits["val"].take(np.flatnonzero(data.splits["val"].targets()["label"] == 3))

    scores = FitScores(resolved, data)(model, few)

    assert "top1" in scores
    assert all(np.isfinite(value) for value in scores.values())


def test_each_part_of_a_network_stays_in_the_mode_it_was_in():
    resolved, data, model = fitted("task=digits", "model=mlp", "fit.epochs=1")
    assert isinstance(model, TorchModel)
    model.module.train()
    frozen = list(model.module.modules())[-1]
    frozen.eval()
    before = [module.training for module in model.module.modules()]
    hooked: list[bool] = []
    model.module.register_forward_hook(lambda *_: hooked.append(torch.is_inference_mode_enabled()))

    FitScores(resolved, data)(model, data.splits["val"])

    assert [module.training for module in model.module.modules()] == before
    assert len(set(before)) == 2
    assert set(hooked) == {True}


def test_a_batch_size_of_the_run_does_not_decide_what_is_fitted():
    """The fit is shared by runs of every batch size."""
    resolved, data, model = fitted("task=digits", "model=majority")
    sizes: set[int] = set()
    predict = model.predict
    model.predict = lambda batch: (sizes.add(len(batch)), predict(batch))[1]  # type: ignore[method-assign,func-returns-value]

    other = replace(resolved, config=replace(resolved.config, batch_size=7))
    FitScores(other, data)(model, data.splits["val"])

    assert sizes == {64, 200 % 64}


def test_pairs_of_a_split_are_drawn_once(monkeypatch: pytest.MonkeyPatch):
    resolved, data, model = fitted("task=faces", "model.components=2", *FACES)
    drawn: list[str] = []
    scorable = type(resolved.task).scorable

    def counting(self: Any, split: Split, *rest: Any) -> Any:
        drawn.append(split.name)
        return scorable(self, split, *rest)

    monkeypatch.setattr(type(resolved.task), "scorable", counting)
    score = FitScores(resolved, data)

    assert score(model, data.splits["val"]) == score(model, data.splits["val"])
    assert drawn == ["val"]


def test_a_split_without_the_targets_of_test_is_refused_with_what_it_lacks():
    resolved, data, model = fitted("task=scenes-mono", "model=constant_depth", *SMALL)
    bare = data.splits["val"].take([0, 1])
    targets = {name: column for name, column in bare.targets().items() if name != "depth"}
    bare.targets = lambda: targets  # type: ignore[method-assign]

    with pytest.raises(DataError) as caught:
        FitScores(resolved, data)(model, bare)

    assert str(caught.value).startswith(
        "data set 'scenes-mono': split 'val' has no depth, as test has, so nothing can be "
    )


def test_outside_a_run_there_is_no_protocol_to_score_by():
    from mlcvbench.contract import Device

    _, data, model = fitted("task=digits", "model=majority")
    context = FitContext(seed=0, device=Device())

    assert context.score(model, data.splits["val"]) == {}
    assert context.metrics == {}
    context.report(1, loss=0.5)
