"""Pair lists of one's own: what the header says is done; a label decides who is the same."""

from __future__ import annotations

import numpy as np
import pytest
from support.faces import write_faces

from mlcvbench.contract import Notice
from mlcvbench_verification.face_folder import load_face_folder
from mlcvbench_verification.pair_list import LABELS, people_of, read_pair_list
from mlcvbench_verification.pairs import Pairs
from mlcvbench_verification.pictures import preview
from mlcvbench_verification.scoring import scorer_of

IDS = ["x", "y", "z"]


def read(tmp_path, text: str, ids=IDS) -> Pairs:
    path = tmp_path / "pairs.csv"
    path.write_text(text)
    return read_pair_list(path, ids)


@pytest.mark.parametrize("head", ["", "a,b\n", "image1,image2\n", "Left,Right\n", "path_a,path_b\n", "first,second\n"])
def test_two_columns_are_images_with_or_without_a_header(tmp_path, head):
    pairs = read(tmp_path, f"{head}x,y\nz,x\n")

    assert (pairs.first.tolist(), pairs.second.tolist()) == ([0, 2], [1, 0])
    assert (pairs.fold.tolist(), pairs.same) == ([-1, -1], None)


def test_images_that_are_called_like_a_header_are_images(tmp_path):
    pairs = read(tmp_path, "a,b\nb,c\n", ["a", "b", "c"])

    assert (pairs.first.tolist(), pairs.second.tolist()) == ([0, 1], [1, 2])


@pytest.mark.parametrize("name", LABELS)
def test_a_label_column_says_who_is_the_same(tmp_path, name):
    pairs = read(tmp_path, f"a,b,{name.upper()}\nx,y,1\ny,z,0\n")

    assert pairs.same.tolist() == [True, False]
    assert pairs.fold.tolist() == [-1, -1]


@pytest.mark.parametrize(
    ("same", "different"),
    [("1", "0"), ("1", "-1"), ("True", "False"), ("same", "different"), ("genuine", "impostor"), ("yes", "no")],
)
def test_labels_may_be_numbers_or_words(tmp_path, same, different):
    assert read(tmp_path, f"a,b,label\nx,y,{same}\ny,z,{different}\n").same.tolist() == [True, False]


def test_columns_are_found_by_their_names_in_any_order(tmp_path):
    pairs = read(tmp_path, "same,fold,img1,img2\n0,3,x,y\n1,7,y,z\n")

    assert (pairs.first.tolist(), pairs.second.tolist()) == ([0, 1], [1, 2])
    assert (pairs.fold.tolist(), pairs.same.tolist()) == ([3, 7], [False, True])


def test_people_are_those_whom_genuine_pairs_join():
    pairs = Pairs(np.int32([4, 1, 0]), np.int32([2, 2, 3]), np.full(3, -1, np.int16), np.array([True, True, False]))

    assert people_of(pairs, 6).tolist() == [0, 1, 1, 3, 1, 5]


def shoots(tmp_path, text: str):
    """Folders that are shoots, each with photographs of several people."""
    root = write_faces(tmp_path / "shoots", count=3, each=2, suffix="{number}.png")
    path = tmp_path / "pairs.csv"
    path.write_text(text)
    return load_face_folder({"root": str(root), "pairs": str(path)}, 0)


def test_labels_decide_against_folders_and_it_is_said(tmp_path):
    text = "a,b,label\nperson0/1,person1/2,1\nperson1/2,person2/1,1\nperson0/1,person0/2,0\nperson1/1,person2/2,0\n"

    data = shoots(tmp_path, text)

    test = data.splits["test"]
    assert data.notices == (
        Notice(
            "labels-overrule-folders",
            "the labels of 3 of 4 pairs contradict the folders of their images; the labels decide, and "
            "people are those joined by genuine pairs.",
            3,
        ),
    )
    assert test.groups.tolist() == ["person0/1", "person0/2", "person1/1", "person0/1", "person0/1", "person2/2"]
    scorer = scorer_of("pairs/given@1")
    table = scorer.rows({"similarity": np.array([0.9, 0.8, 0.1, 0.2])}, test.targets(), np.arange(6))
    assert table["same"].tolist() == [True, True, False, False]
    assert scorer.summarise(table)["auc"] == 1.0
    assert len(preview(test, 2)) == 2


def test_labels_that_agree_with_the_folders_change_nothing_but_the_fingerprint(tmp_path):
    plain, text = (
        "a,b\nperson0/1,person0/2\nperson0/1,person1/2\n",
        "a,b,same\nperson0/1,person0/2,1\nperson0/1,person1/2,0\n",
    )

    labelled, named = shoots(tmp_path, text), shoots(tmp_path / "other", plain)

    assert labelled.notices == ()
    assert labelled.splits["test"].groups.tolist() == named.splits["test"].groups.tolist()
    scorer, values = scorer_of("pairs/given@1"), {"similarity": np.array([0.9, 0.3])}
    tables = [scorer.rows(values, data.splits["test"].targets(), np.arange(6)) for data in (labelled, named)]
    assert all(tables[0][name].tolist() == tables[1][name].tolist() for name in tables[0].columns)
    assert labelled.fingerprint() != named.fingerprint()


def test_a_pair_that_is_different_though_others_join_it_stays_different_and_is_drawn_as_one(tmp_path):
    """As with kin: a child resembles both parents, who are not alike."""
    text = "a,b,label\nperson0/1,person1/1,1\nperson1/1,person2/1,1\nperson0/1,person2/1,0\n"
    test = shoots(tmp_path, text).splits["test"]

    table = scorer_of("pairs/given@1").rows({"similarity": np.array([3.0, 2.0, 1.0])}, test.targets(), np.arange(6))

    assert table["same"].tolist() == [True, True, False]
    assert table["joint"].tolist() == [True, True, True]


def test_labels_stay_with_their_pairs_in_a_part_and_in_shards(tmp_path):
    text = "a,b,label\nperson0/1,person1/2,1\nperson1/2,person2/1,0\nperson0/2,person1/2,0\n"
    test = shoots(tmp_path, text).splits["test"]

    part = test.take([0, 3, 1]).targets()["pairs"]

    assert (part.first.tolist(), part.second.tolist(), part.same.tolist()) == ([0, 2], [1, 1], [True, False])
    scorer = scorer_of("pairs/given@1")
    rows = [scorer.rows({"similarity": np.arange(3.0)}, test.targets(), units) for units in ([0], [1, 2, 3, 4, 5])]
    assert [row["same"].tolist() for row in rows] == [[True], [False, False]]


def test_pairs_that_are_in_a_list_twice_are_counted_and_scored_twice(tmp_path):
    text = "a,b\nperson0/1,person0/2\nperson0/2,person0/1\nperson1/1,person2/1\n"

    data = shoots(tmp_path, text)

    assert data.notices == (Notice("pairs-repeated", "1 of 3 pairs of the list are repeated, and count each time.", 1),)
    assert len(data.splits["test"].targets()["pairs"]) == 3
