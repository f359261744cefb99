"""What a study is asked: which words it takes, which fits follow, and what cannot be meant."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from mlcvbench.analysis.studies.planning import Job, Kind, Study, plan_study
from mlcvbench.errors import MlcvbenchError


def planned(kind: Kind, words: str) -> Study:
    return plan_study(kind, ["task=digits", "threads=1", *shlex.split(words)])


def test_a_curve_has_a_place_for_each_value_and_a_fit_for_each_seed():
    study = planned("capacity", "model=knn model.k=1,3,5 model.p=1 seed=0,1")

    assert (study.setting, study.values, study.labels) == ("model.k", (1, 3, 5), ("1", "3", "5"))
    assert [(job.place, job.config.seed, job.config.model_params["k"]) for job in study.jobs] == [
        (0, 0, 1), (0, 1, 1), (1, 0, 3), (1, 1, 3), (2, 0, 5), (2, 1, 5),
    ]  # fmt: skip
    assert {job.config.model_params["p"] for job in study.jobs} == {1.0}
    assert study.out == Path("capacity-digits-knn-k.png")


def test_any_kind_of_setting_can_be_the_axis():
    study = planned("capacity", "model=mlp model.hidden=[8],[16,16] out=curve.png")

    assert (study.labels, study.out) == (("[8]", "[16,16]"), Path("curve.png"))


def test_bootstraps_change_the_samples_and_keep_the_seed():
    study = planned("bias-variance", "model=knn,linear_least_squares knn.k=1,25 repeats=3 seed=7")

    assert study.labels == ("knn k=1", "knn k=25", "linear_least_squares")
    assert [(job.place, job.sample, job.config.seed) for job in study.jobs[:3]] == [(0, 7, 7), (0, 8, 7), (0, 9, 7)]
    assert len(study.jobs) == 9


def test_seeds_change_the_fit_and_keep_the_samples():
    study = planned("bias-variance", "model=mlp by=seed repeats=2")

    assert [(job.sample, job.config.seed) for job in study.jobs] == [(None, 0), (None, 1)]


def test_a_job_survives_its_way_to_another_process():
    job = planned("bias-variance", "model=knn repeats=2").jobs[1]

    assert Job.from_dict(job.to_dict()) == job


@pytest.mark.parametrize(
    ("kind", "words", "message"),
    [
        (
            "capacity",
            "model=knn",
            "a capacity curve needs one setting with several values, such as model.k=1,3,5; got none.",
        ),
        (
            "capacity",
            "model=knn model.k=1,3 model.p=1,2",
            "a capacity curve needs one setting with several values, such as model.k=1,3,5; got model.k, model.p.",
        ),
        ("capacity", "model=knn,mlp knn.k=1,3", "a capacity curve is of one model; got knn, mlp."),
        ("capacity", "model.k=1,3", "a study needs model=NAME."),
        (
            "capacity",
            "model=knn model.k=1,3 limit=9",
            "key 'limit' has no effect on a study, which is not a whole run.",
        ),
        (
            "capacity",
            "model=knn model.k=1,3 select=grid",
            "key 'select' has no effect on a study, which is not a whole run.",
        ),
        (
            "capacity",
            "model=knn model.k=1,3 repeats=9",
            "key 'repeats' has no effect: it belongs to `mlcvbench study bias-variance`.",
        ),
        (
            "bias-variance",
            "model=knn axis=log",
            "key 'axis' has no effect: it belongs to `mlcvbench study capacity`.",
        ),
        ("bias-variance", "model=knn repeats=1", "repeats=1: wanted a whole number from 2 to 1000."),
        ("bias-variance", "model=knn by=chance", "by=chance: wanted one of bootstrap or seed."),
        (
            "bias-variance",
            "model=knn seed=0,1",
            "seed: wanted one value; the repeats of the study have their own seeds.",
        ),
        ("capacity", "model=knn model.k=1,3 axs=log", "unknown key 'axs'. Did you mean 'axis' or 'task'?"),
        ("capacity", "model=knn model.kk=1,3", "key 'model.kk' has no effect: model 'knn' declares no such setting."),
        (
            "capacity",
            "model=knn model.distance=lp,linf axis=log",
            "axis=log: wanted numbers above 0 as values of model.distance, got lp, linf.",
        ),
        (
            "capacity",
            "model=mlp model.dropout=0,0.5 axis=inverse",
            "axis=inverse: wanted numbers above 0 as values of model.dropout, got 0.0, 0.5.",
        ),
        (
            "capacity",
            "model=knn model.k=1,3 out=a.jpg",
            "out=a.jpg: wanted the name of a PNG file, such as a.png.",
        ),
        ("capacity", "model=knn model.k=1,3 out=no/a.png", "out=no/a.png: there is no folder 'no'."),
        (
            "capacity",
            "model=knn model.k=1,3 batch=8,9",
            "batch: wanted one value; of the keys of a run only seed may have several in a study.",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(kind: Kind, words: str, message: str):
    with pytest.raises(MlcvbenchError) as caught:
        planned(kind, words)

    assert str(caught.value).startswith(message)
    assert caught.value.exit_code == 2


def test_a_model_without_a_fit_has_nothing_to_study():
    with pytest.raises(MlcvbenchError) as caught:
        plan_study("capacity", ["task=depth", "model=block_matching", "model.block=5,7"])

    assert str(caught.value) == "model 'block_matching' has no fit, so there is nothing to study."
