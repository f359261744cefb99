"""The numbers of a study: fits on train, scores on both sides, resampling, and the errors read off them."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.runs import config_for

from mlcvbench.analysis.studies.drawing import axis_of, draw
from mlcvbench.analysis.studies.fits import Axis, Fits, Point, bootstrap
from mlcvbench.analysis.studies.planning import Job, Study, plan_study
from mlcvbench.analysis.studies.running import StudyNumbers
from mlcvbench.analysis.studies.summary import best_place, errors_of, to_csv, to_text
from mlcvbench.contract import ArraySplit
from mlcvbench.processes.progress import silent

TOP1 = Axis("top1", "fraction", True, "val", 200)


def split(count: int = 40, groups: np.ndarray | None = None) -> ArraySplit:
    images = np.arange(count, dtype=np.uint8).reshape(-1, 1, 1)
    return ArraySplit("train", {"image": images}, {"label": np.arange(count) % 2}, groups=groups)


def curve(*points: Point, words: str = "model=knn model.k=1,5,25") -> tuple[Study, StudyNumbers]:
    study = plan_study("capacity", ["task=digits", "threads=1", *words.split()])
    return study, StudyNumbers(TOP1, points)


def test_a_nearest_neighbour_makes_no_error_on_what_it_remembers():
    fits = Fits(None)
    config = config_for("model=knn", "model.k=1")

    point = fits.point(Job(config, 0), silent)

    assert (point.train, point.validation, point.message) == (1.0, 0.965, "")
    assert point.low is not None
    assert 0.92 < point.low < 0.965
    assert point.high is not None
    assert 0.965 < point.high < 0.99
    assert fits.axis(config) == TOP1


def test_the_validation_samples_are_not_learned_from(monkeypatch: pytest.MonkeyPatch):
    from mlcvbench_knn.knn import KNN

    seen = []
    fit = KNN.fit
    monkeypatch.setattr(
        KNN, "fit", lambda self, train, val, ctx: (seen.append((len(train), val)), fit(self, train, val, ctx))[1]
    )

    Fits(None).point(Job(config_for("model=knn", "model.k=2", "seed=77"), 0), silent)

    assert seen == [(800, None)]


def test_what_fails_is_a_point_with_its_message():
    point = Fits(None).point(Job(config_for("model=knn", "model.k=801"), 3), silent)

    assert (point.place, point.train, point.validation) == (3, None, None)
    assert point.message == "knn: k=801 needs as many training images, got 800; set a smaller model.k."


def test_a_bootstrap_draws_as_many_with_replacement_under_ids_of_their_own():
    drawn = bootstrap(split(1000), seed=0)

    assert len(drawn) == 1000
    assert len(set(drawn.ids.tolist())) == 1000
    assert len({name.partition("#")[0] for name in drawn.ids.tolist()}) == pytest.approx(632, abs=30)  # 1 - 1/e
    batch, targets = drawn.read(slice(0, 5))
    assert batch.ids.tolist() == drawn.ids[:5].tolist()
    assert [int(name.partition("#")[0]) % 256 for name in batch.ids.tolist()] == batch.inputs["image"][:, 0, 0].tolist()
    assert np.asarray(targets["label"]).tolist() == [int(name.partition("#")[0]) % 2 for name in batch.ids.tolist()]


def test_the_seed_alone_decides_a_bootstrap():
    first, again, other = (bootstrap(split(), seed).fingerprint() for seed in (0, 0, 1))

    assert first == again != other


def test_a_bootstrap_draws_groups_whole():
    drawn = bootstrap(split(40, groups=np.repeat(np.arange(8), 5)), seed=0)

    _, counts = np.unique(drawn.groups, return_counts=True)
    assert (counts % 5 == 0).all()
    assert len(drawn) == 40


def test_repeats_spread_where_the_training_data_change():
    fits = Fits(None)
    config = config_for("model=knn", "model.k=1")

    values = [fits.point(Job(config, 0, sample), silent).validation for sample in range(4)]

    assert len(set(values)) > 1
    assert all(value is not None and 0.9 < value < 0.99 for value in values)


def test_errors_are_bias_gap_and_spread():
    study, measured = curve(Point(0, 1.0, 0.9), Point(0, 0.9, 0.8), Point(1, 0.5, 0.5), Point(2, message="broke."))

    first, second, third = errors_of(replace(study, jobs=(study.jobs[0], *study.jobs)), measured)

    assert (first.bias, first.gap, first.error) == pytest.approx((5, 10, 15))
    assert first.spread == pytest.approx(np.std([10, 20], ddof=1))
    assert (second.gap, second.spread, third.failed) == (0, 0, ("broke.",))
    assert best_place([first, second, third], lower_is_better=True) == 0


def test_seeds_share_the_validation_samples_so_their_intervals_are_averaged_and_turned_into_errors():
    study, measured = curve(Point(0, 1.0, 0.9, 0.8, 0.95), Point(0, 1.0, 0.8, 0.7, 0.85), Point(1, 1.0, 0.9))

    first, second, _ = errors_of(study, measured)

    assert first.interval == pytest.approx((10, 25))
    assert second.interval is None


def test_a_curve_is_a_table_and_a_csv_with_its_failures():
    study, measured = curve(
        Point(0, 1.0, 0.9, 0.85, 0.93), Point(1, 0.95, 0.92, seconds=0.5), Point(2, message="k is too large.")
    )

    text, rows = to_text(study, measured).splitlines(), list(csv.DictReader(io.StringIO(to_csv(study, measured))))

    assert text == [
        "error (1 - top1), %; scored on 200 samples: val",
        "",
        "model.k  train  validation           95 %    gap",
        "1         0.00       10.00  [7.00, 15.00]  10.00",
        "5         5.00        8.00              -   3.00  best",
        "25           -           -              -      -  1 failed: k is too large.",
        "",
        "95 %: the interval of the validation error, ± where it is symmetric. The best",
        "value is optimistic: it looks better on the samples that chose it.",
    ]
    assert (rows[0]["validation_low"], rows[0]["validation_high"], rows[1]["validation_low"]) == ("0.85", "0.93", "")
    assert [row["model.k"] for row in rows] == ["1", "5", "25"]
    assert (rows[1]["train_top1"], rows[1]["validation_top1"], rows[2]["message"]) == (
        "0.95",
        "0.92",
        "k is too large.",
    )


@pytest.mark.parametrize(
    ("words", "scale"),
    [
        ("model=knn model.k=1,5,9", "linear"),
        ("model=knn model.k=1,5,25", "log"),
        ("model=knn model.k=1,5,25 axis=inverse", "inverse"),
        ("model=knn model.distance=lp,linf", "names"),
        ("model=mlp model.dropout=0,0.5", "linear"),
    ],
)
def test_a_picture_takes_the_scale_that_its_values_have(words: str, scale: str):
    study, _ = curve(words=words)

    assert axis_of(study) == scale


@pytest.mark.parametrize("axis", ["auto", "linear", "inverse", "names"])
def test_pictures_are_drawn_the_same_each_time_on_every_scale(axis: str, tmp_path: Path):
    from PIL import Image

    study, measured = curve(
        Point(0, 1.0, 0.9), Point(1, 0.95, 0.92), Point(2, message="no."), words=f"model=knn model.k=1,5,25 axis={axis}"
    )

    first, again = draw(study, measured), draw(study, measured)

    assert first == again
    with Image.open(io.BytesIO(first)) as image:
        assert min(image.size) > 400
