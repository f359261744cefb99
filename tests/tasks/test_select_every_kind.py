"""`select=` for each task kind on its built-in data: the validation split decides, scored as the test split is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.faces import face_split, write_faces

from mlcvbench.errors import DataError
from mlcvbench.loading.data import load_data
from mlcvbench.loading.holdout import validation_of
from mlcvbench.loading.resolved import resolve
from mlcvbench.plan.config import RunConfig
from mlcvbench.plan.planning import plan
from mlcvbench.records.schema import Record, SelectionInfo
from mlcvbench.running import stages

SMALL = ("data.train=6", "data.val=4", "data.test=4", "data.size=[48,48]")
BALANCED = Path(__file__).with_name("balanced-faces.yaml")
"""Pairs whose accuracy ranks: it needs fewer of them than a rate of false accepts."""
FACES = (f"task={BALANCED}", "data.train=8", "data.val=8", "data.test=20", "data.shots=3", "data.size=24")
REQUESTS = {
    "classification": (("task=digits", "model=knn", "model.k=1,101"), "val"),
    "detection": (("task=detection", "model=box_prior", "model.boxes=1,4", *SMALL), "val"),
    "segmentation": (
        ("task=segmentation", "model=pixel_forest", "model.trees=1", "model.depth=2,6", "model.samples=40", *SMALL),
        "val",
    ),
    "verification": ((*FACES, "model=eigenfaces", "model.components=2,8"), "val, 48 pairs drawn with data.seed=0"),
    "identification": ((*FACES, "task=faces-identification", "model=eigenfaces", "model.components=2,8"), "val"),
    "depth": (("task=scenes-mono", "model=patch_depth", "model.cell=4,8", "model.size=[32,32]", *SMALL), "val"),
    "stereo": (("task=scenes-stereo", "model=block_matching", "model.block=5,9", *SMALL), "val"),
}


def request(*words: str) -> RunConfig:
    """Return the one configuration of these words; of a key given twice the last counts."""
    pairs = dict(word.split("=", 1) for word in words)
    (config,) = plan([f"{key}={value}" for key, value in pairs.items()]).configs
    return config


def carry_out(folder: Path, *words: str) -> tuple[Record, SelectionInfo]:
    folder.mkdir()
    record = stages.execute(request(*words, "time=off", "intervals=off"), folder)
    assert record.status == "ok", record.error
    assert record.selection is not None
    return record, record.selection


@pytest.mark.parametrize("kind", REQUESTS)
def test_the_validation_split_decides_for_each_kind(kind: str, tmp_path: Path):
    words, decided = REQUESTS[kind]

    record, selection = carry_out(tmp_path / "run", *words, "select=grid")

    sign = 1 if selection.higher_is_better else -1
    values = [sign * trial.value for trial in selection.trials if trial.value is not None]
    assert len(values) == 2
    assert selection.winner == values.index(max(values))
    assert (selection.split, selection.metric) == (decided, record.primary_metric)
    assert record.dataset is not None
    assert selection.fingerprint != record.dataset.fingerprint
    assert record.contaminated is None


def test_pairs_of_the_people_of_val_are_those_that_a_test_split_of_them_would_have():
    """Eight people of three photographs: four folds of two people, 6 genuine and 6 impostor pairs in each."""
    config = request(*FACES, "model=eigenfaces", "model.components=2,8", "select=grid")
    data = load_data(resolve(config))

    judge = validation_of(data, resolve(config)).split

    pairs, identity = judge.targets()["pairs"], np.asarray(judge.targets()["identity"])
    people = identity - identity.min()
    same = identity[pairs.first] == identity[pairs.second]
    assert np.bincount(pairs.fold, same).tolist() == [6, 6, 6, 6]
    assert np.bincount(pairs.fold, ~same).tolist() == [6, 6, 6, 6]
    assert (people[pairs.first] % 4 == pairs.fold).all()
    assert (people[pairs.second] % 4 == pairs.fold).all()
    assert judge.fingerprint() != data.splits["val"].fingerprint()


def test_the_data_seed_alone_draws_the_pairs():
    config = request(*FACES, "model=eigenfaces", "model.components=2,8", "select=grid")
    data = load_data(resolve(config))

    first, again, other = (validation_of(data, resolve(replace(config, data_seed=seed))).split for seed in (0, 0, 1))

    assert first.fingerprint() == again.fingerprint()
    assert first.fingerprint() != other.fingerprint()


def test_data_keep_their_fingerprint_so_that_runs_without_a_search_keep_their_keys():
    config = request(*FACES, "model=eigenfaces", "model.components=2,8", "select=grid")
    data = load_data(resolve(config))
    before = data.fingerprint()

    validation_of(data, resolve(config))

    assert data.fingerprint() == before
    assert "pairs" not in data.splits["val"].targets()


def test_people_of_train_are_held_out_where_there_is_no_val(tmp_path: Path):
    words = ("data.train=22", "data.val=0", "model=eigenfaces", "model.components=2,8", "select=grid")

    record, selection = carry_out(tmp_path / "run", *FACES, *words)

    assert selection.split == "20 % of train, held out, 24 pairs drawn with data.seed=0"
    assert (selection.n, selection.train_samples, record.fit.train_samples) == (12, 54, 66)


def test_folders_of_faces_are_compared_on_all_pairs_of_the_people_held_out(tmp_path: Path):
    root = tmp_path / "faces"
    for name in ("train", "test"):
        write_faces(root / name, count=10, each=3)
    words = ("task=face-pairs", f"data.root={root}", "model=eigenfaces", "model.components=1,3", "select=grid")

    _, selection = carry_out(tmp_path / "run", *words)

    assert (selection.split, selection.n) == ("20 % of train, held out, all pairs", 6)
    assert selection.train_samples == 24


def test_too_few_people_are_refused_with_what_to_do(tmp_path: Path):
    words = (*FACES, "data.val=3", "model=eigenfaces", "model.components=2,8", "select=grid")

    record = stages.execute(request(*words, "time=off"), tmp_path)

    assert record.error is not None
    assert (record.status, record.error.stage, record.error.message) == (
        "error",
        "select",
        "split 'val' has 3 people with two images or more; wanted at least 4 to draw pairs that settings can be "
        "compared on: give it more, or leave it out so that people are held out of train.",
    )


def test_data_with_nothing_to_learn_from_are_refused_with_what_to_do():
    config = request(*FACES, "model=eigenfaces", "model.components=2,8", "select=grid")
    data = load_data(resolve(config))
    alone = replace(data, splits={"test": data.splits["test"]})

    with pytest.raises(DataError) as caught:
        validation_of(alone, resolve(config))

    assert str(caught.value) == (
        "data set 'faces' has no training split, so no settings can be fitted and compared on it; choose them on data "
        "that have one, and give them here as single values."
    )


def test_pairs_that_a_split_has_are_kept():
    from mlcvbench_verification.drawing_pairs import with_pairs

    split = face_split(4, 2)

    assert with_pairs(split, "pairs/declared@1", 0) == (split, "")


def test_many_images_of_a_fold_are_paired_in_part_but_people_whole():
    from mlcvbench_verification.drawing_pairs import draw_folds

    owner = np.arange(12).repeat(5)

    pairs = draw_folds(owner, 2, seed=0, most=12)

    used, counts = np.unique(owner[np.r_[pairs.first, pairs.second]], return_counts=True)
    assert used.tolist() == [0, 1, 2, 3]
    assert (counts >= 20).all()  # every genuine pair of each
    assert (owner[pairs.first] % 2 == owner[pairs.second] % 2).all()
