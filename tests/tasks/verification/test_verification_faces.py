"""Rendered faces: disjoint people, pairs without bias, an oracle that tells all apart and pixels that do not."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from PIL import Image
from support.faces import write_faces

import mlcvbench
from mlcvbench.contract import JoinedSplit
from mlcvbench.errors import DataError
from mlcvbench.plan.definitions import load_definition
from mlcvbench.registry import get_registry
from mlcvbench.storage import cache
from mlcvbench.testing import check_dataset
from mlcvbench_scenes.dataset import FIRST_NUMBER
from mlcvbench_scenes.faces import draw_identity, draw_shot, render_face
from mlcvbench_verification import faces as module
from mlcvbench_verification.clusters import pair_clusters
from mlcvbench_verification.drawing_pairs import with_pairs
from mlcvbench_verification.face_folder import load_face_folder
from mlcvbench_verification.faces import draw_pairs, load_faces
from mlcvbench_verification.pairs import all_pairs
from mlcvbench_verification.pictures import FRAME, TILE, preview
from mlcvbench_verification.scoring import scorer_of
from mlcvbench_verification.split import FaceSplit
from mlcvbench_verification.task import VerificationTask

SMALL = {"level": "medium", "size": 16, "shots": 3, "train": 4, "val": 2, "test": 20}


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(cache.VARIABLE, str(tmp_path_factory.mktemp("cache")))
        yield


def faces(seed=0, **params):
    return load_faces(SMALL | params, seed)


def values_of(split, embedding):
    scorer = scorer_of("pairs/10fold/declared@1")
    predictions = {"embedding": embedding.astype(np.float32), "distance": np.full(len(split), "l2")}
    return scorer.summarise(scorer.rows(predictions, split.targets(), np.arange(len(split))))


def test_a_sample_is_the_renderers_photograph_of_its_person():
    test = faces().splits["test"]

    batch, targets = test.read([7])

    number = FIRST_NUMBER["test"] + 2
    assert (batch.ids.tolist(), test.groups[7], targets["identity"].tolist()) == (
        ["test-00002-1"],
        "test-00002",
        [number],
    )
    drawn = render_face(draw_identity(0, number), draw_shot(0, number, 1, "medium"), 16)
    np.testing.assert_array_equal(batch.inputs["image"][0], drawn)


def test_splits_share_no_person_no_image_and_no_id():
    splits = faces().splits

    assert {name: len(split) for name, split in splits.items()} == {"train": 12, "val": 6, "test": 60}
    for one, other in itertools.combinations(splits.values(), 2):
        assert not set(one.groups) & set(other.groups)
        assert not set(one.ids) & set(other.ids)
        assert not set(one.targets()["identity"].tolist()) & set(other.targets()["identity"].tolist())
        both = (one.read(slice(None))[0].inputs["image"], other.read(slice(None))[0].inputs["image"])
        assert not {image.tobytes() for image in both[0]} & {image.tobytes() for image in both[1]}


def test_people_of_joined_splits_keep_numbers_of_their_own():
    splits = faces().splits

    joined = JoinedSplit([splits["train"], splits["val"]], "train+val").targets()["identity"]

    assert len(np.unique(joined)) == 6


@pytest.mark.parametrize(("people", "shots"), [(20, 2), (43, 3), (300, 8)])
def test_pairs_are_unique_balanced_and_within_folds_that_share_nobody(people, shots):
    pairs = draw_pairs(people, shots, seed=0)
    one, other = pairs.first // shots, pairs.second // shots
    same = one == other

    assert (pairs.first < pairs.second).all()
    assert len(set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))) == len(pairs)
    assert same.sum() == people * shots * (shots - 1) // 2 == len(pairs) / 2
    assert set(pairs.fold.tolist()) == set(range(10))
    for person in (one, other):
        np.testing.assert_array_equal(person % 10, pairs.fold)
    for fold in range(10):
        assert same[pairs.fold == fold].mean() == 0.5


def test_impostor_pairs_favour_nobody():
    people, shots, seeds = 40, 3, 200
    counts = np.zeros(people)
    for seed in range(seeds):
        pairs = draw_pairs(people, shots, seed)
        one, other = pairs.first // shots, pairs.second // shots
        for person in (one, other):
            counts += np.bincount(person[one != other], minlength=people)

    expected = 2 * 3 * seeds  # a fold: 4 people, 12 impostor pairs, each with two people
    assert counts.mean() == expected
    assert np.abs(counts - expected).max() < 4.5 * np.sqrt(expected)


def test_the_seed_says_which_people_and_pairs_and_counts_do_not_change_people():
    base, again, other = faces(), faces(), faces(seed=1)
    fewer = faces(train=2).splits["train"]

    assert base.fingerprint() == again.fingerprint() != other.fingerprint()
    assert draw_pairs(20, 3, 0).second.tolist() != draw_pairs(20, 3, 1).second.tolist()
    assert base.splits["train"].take(range(6), "train").fingerprint() == fewer.fingerprint()


def test_pairs_are_part_of_the_fingerprint_and_of_a_cut():
    test = faces().splits["test"]
    changed = faces().splits["test"]
    changed._pairs.second[0] = 2

    cut = test.take(np.arange(42))
    kept = cut.targets()["pairs"]

    assert test.fingerprint() != changed.fingerprint()
    assert cut.ids.tolist() == test.ids[:42].tolist()
    assert set(kept.fold.tolist()) == set(range(10))
    assert max(kept.first.max(), kept.second.max()) < 42
    assert cut.take([0, 1]).targets()["identity"].tolist() == [FIRST_NUMBER["test"]] * 2


@pytest.mark.parametrize("level", ["easy", "hard"])
def test_an_oracle_tells_all_people_apart_and_raw_pixels_do_not(level):
    test = faces(level=level, test=40).splits["test"]
    numbers = test.targets()["identity"]

    known = values_of(test, np.array([draw_identity(0, int(number)).vector for number in numbers]))
    pixels = values_of(test, test.read(slice(None))[0].inputs["image"].reshape(len(test), -1) / 255)

    assert known["auc"] == known["accuracy_10fold"] == known["tar_at_far_1e-1"] == 1
    assert 0.5 < pixels["auc"] < 0.8
    assert pixels["accuracy_10fold"] < 0.75


def test_people_are_resampled_for_these_pairs_are_many_a_person():
    test = faces().splits["test"]

    assert pair_clusters(test.targets()["pairs"], test.targets()["identity"]) is None


def test_ten_folds_are_scored_as_those_of_lfw():
    test = faces().splits["test"]
    embedding = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    embedding[:, 0] += np.repeat(np.arange(20), 3) % 7
    predictions = {"embedding": embedding, "distance": np.full(60, "l2")}

    values = []
    for family in ("pairs", "lfw"):
        scorer = scorer_of(f"{family}/10fold/declared@1")
        values.append(scorer.summarise(scorer.rows(predictions, test.targets(), np.arange(60))))

    assert scorer_of("pairs/10fold/declared@1").primary().name == "accuracy_10fold"
    assert values[0] == values[1]
    assert values[0]["accuracy_10fold"] > 0.6


def test_a_photograph_is_drawn_once(monkeypatch):
    first = faces().splits["val"].fingerprint()
    monkeypatch.setattr(module, "render_face", None)

    assert faces().splits["val"].fingerprint() == first


def test_splits_of_nobody_do_not_exist():
    assert list(faces(train=0, val=0).splits) == ["test"]


def test_the_data_set_keeps_the_contract():
    results = check_dataset(get_registry().dataset("faces", "verification").spec, params=SMALL)

    assert [result for result in results if result.passed is False] == []


def test_a_preview_shows_the_person_a_genuine_and_an_impostor_pair():
    data = faces()
    test = data.splits["test"]

    panels = VerificationTask().preview(test, data.problem, 2)

    scale = TILE // 16
    image, side = panels[1].image, 16 * scale
    photograph = test.read([59])[0].inputs["image"][0].repeat(scale, axis=0).repeat(scale, axis=1)
    assert len(panels) == 2
    np.testing.assert_array_equal(image[FRAME : FRAME + side, FRAME : FRAME + side], photograph)
    below = image[side + 2 * FRAME :]
    np.testing.assert_array_equal(below[FRAME : FRAME + side, FRAME : FRAME + side], photograph)
    assert below[0, 0].tolist() == [33, 102, 172]
    assert below[0, 2 * side + 2 * FRAME].tolist() == [178, 24, 43]
    assert panels[1].caption.startswith("test-00019: 3 photographs; test-00019-2 with test-00019-")
    assert panels[1].caption.endswith(": two people (red)")


def test_a_preview_without_pairs_shows_people_only():
    train = faces().splits["train"]

    panels = preview(train, 99)

    assert len(panels) == 12
    assert panels[0].caption == "train-00000: 3 photographs"
    assert panels[0].image.shape[0] == TILE + 2 * FRAME


def test_previews_of_files_shrink_large_pictures_and_show_grey_ones(tmp_path):
    grey, wide = tmp_path / "a.png", tmp_path / "b.png"
    Image.new("L", (30, 40), 90).save(grey)
    Image.new("RGB", (400, 200), (10, 20, 30)).save(wide)
    split = FaceSplit("test", ["x/a", "x/b"], ["x", "x"], [grey, wide], all_pairs(2))

    (panel,) = preview(split, 1)

    assert panel.caption == "x: 2 photographs; x/a with x/b: same person (blue)"
    assert panel.image[FRAME, FRAME].tolist() == [90, 90, 90]
    assert panel.image[FRAME, FRAME + 90].tolist() == [10, 20, 30]
    assert panel.image.shape[1] == 90 + TILE + 2 * FRAME


def test_people_of_a_folder_have_one_number_in_all_its_splits(tmp_path):
    write_faces(tmp_path / "train", count=3)
    write_faces(tmp_path / "test", count=2)
    (tmp_path / "test" / "person1").rename(tmp_path / "test" / "person2")

    splits = load_face_folder({"root": str(tmp_path)}, 0).splits

    assert np.unique(splits["train"].targets()["identity"]).tolist() == [0, 1, 2]
    assert np.unique(splits["test"].targets()["identity"]).tolist() == [0, 2]
    assert splits["test"].take([3, 4]).targets()["identity"].tolist() == [2, 2]


def test_too_few_people_for_two_folds_are_refused_when_scored():
    test = faces().splits["test"].take(np.arange(0, 6))

    with pytest.raises(DataError, match="wanted both kinds"):
        values_of(test, np.eye(6))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("definition", "protocol", "metric"),
    [
        ("verification", "pairs/10fold/tar1e-3/declared@1", "accuracy_10fold"),
        ("faces-identification", "identification/closed-set/declared@1", "rank1"),
    ],
)
def test_both_definitions_run_their_starters_and_rank_the_one_that_learns_people_first(
    definition, protocol, metric, tmp_path, monkeypatch
):
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    small = ["data.level=easy", "data.size=32", "data.shots=6", "data.train=40", "data.val=5", "data.test=40"]

    records = mlcvbench.run(f"task={definition}", *small, "time=off", f"out={tmp_path / 'runs'}")

    values = {record.model.name: record.metrics[metric].value for record in records}
    assert {record.task.protocol_id for record in records} == {protocol}
    assert list(values) == ["pixel_distance", "eigenfaces", "fisherfaces"]
    assert max(values, key=values.get) == "fisherfaces"
    assert values["fisherfaces"] > values["pixel_distance"] + 0.1


@pytest.mark.parametrize("name", ["faces", "faces-large"])
def test_the_boards_of_faces_rank_by_genuine_pairs_accepted_with_a_thousandth_of_the_impostors(name):
    definition = load_definition(name, get_registry())
    test = faces(test=24).splits["test"]
    embedding = np.random.default_rng(0).normal(size=(72, 4)).astype(np.float32)
    predictions = {"embedding": embedding, "distance": np.full(72, "l2")}

    strict, plain = (scorer_of(protocol) for protocol in (definition.protocol, "pairs/10fold/declared@1"))

    assert strict.primary().name == definition.metrics[0] == "tar_at_far_1e-3"
    assert {metric.name for metric in strict.metrics} == {metric.name for metric in plain.metrics}
    tables = [one.rows(predictions, test.targets(), np.arange(72)) for one in (strict, plain)]
    assert strict.summarise(tables[0]) == plain.summarise(tables[1])


def test_settings_can_be_chosen_by_that_rate_on_the_people_of_val():
    """Thirty people of eight photographs: as many impostors as genuine pairs, 840, would not show a rate of 1e-3."""
    val = faces(val=30, shots=8).splits["val"]

    judged, said = with_pairs(val, "pairs/10fold/tar1e-3/declared@1", seed=0)
    few, _ = with_pairs(val, "pairs/10fold/declared@1", seed=0)

    same = [judge.targets()["pairs"].genuine(judge.targets()["identity"], slice(None)) for judge in (judged, few)]
    assert (int(same[0].sum()), int((~same[0]).sum())) == (840, 1920)
    assert (int(same[1].sum()), int((~same[1]).sum())) == (840, 840)
    assert said == "2,760 pairs drawn with data.seed=0"
    scorer = scorer_of("pairs/10fold/tar1e-3/declared@1")
    embedding = {"embedding": np.eye(240, dtype=np.float32), "distance": np.full(240, "l2")}
    assert "tar_at_far_1e-3" not in scorer.undefined(scorer.rows(embedding, judged.targets(), np.arange(240)))
