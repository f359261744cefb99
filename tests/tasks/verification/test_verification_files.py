"""LFW and face folders, stored and external predictions, pictures, the pixel floor."""

from __future__ import annotations

import numpy as np
import pytest
from support.faces import embeddings, face_split, write_faces

from mlcvbench.contract import Batch, Problem
from mlcvbench.errors import DataError
from mlcvbench_baselines.pixel_distance import PixelDistance
from mlcvbench_verification.face_folder import load_face_folder
from mlcvbench_verification.lfw import load_lfw
from mlcvbench_verification.plots import draw
from mlcvbench_verification.scoring import scorer_of
from mlcvbench_verification.task import VerificationTask

PROBLEM = Problem("verification", (), {}, {"pairs": "pairs"})
PAIRS = "2\t1\nperson0\t1\t2\nperson0\t1\tperson1\t2\nperson1\t1\t3\nperson2\t3\tperson3\t1\n"


@pytest.fixture
def lfw(tmp_path):
    root = write_faces(tmp_path / "lfw", suffix="{name}_{number:04d}.jpg")
    (root / "pairs.txt").write_text(PAIRS)
    return load_lfw({"root": str(root)}, 0)


def test_each_image_of_the_pairs_is_one_sample(lfw):
    test = lfw.splits["test"]
    pairs = test.targets()["pairs"]

    assert test.ids[0] == "person0/person0_0001"
    assert len(test) == 7
    assert pairs.first.tolist() == [0, 0, 3, 5]
    assert pairs.second.tolist() == [1, 2, 4, 6]
    assert pairs.fold.tolist() == [0, 0, 1, 1]
    assert test.groups[:3].tolist() == ["person0", "person0", "person1"]
    assert test.read([0])[0].inputs["image"][0].shape == (12, 10, 3)


def test_windows_lines_and_a_byte_order_mark_change_nothing(lfw, tmp_path):
    path = tmp_path / "other.txt"
    path.write_bytes(b"\xef\xbb\xbf" + PAIRS.replace("\n", "\r\n").encode() + b"\r\n")

    again = load_lfw({"root": str(tmp_path / "lfw"), "pairs": str(path)}, 0)

    assert again.fingerprint() == lfw.fingerprint()


def test_pairs_alone_are_enough_to_score_but_not_to_run(tmp_path):
    (tmp_path / "pairs.txt").write_text(PAIRS)

    test = load_lfw({"root": str(tmp_path)}, 0).splits["test"]

    assert len(test.targets()["pairs"]) == 4
    with pytest.raises(DataError) as caught:
        test.read([0])
    assert str(caught.value) == "split 'test' has pairs but no images, so no model can run on it."


def test_a_limited_split_keeps_the_pairs_among_its_images(lfw):
    part = lfw.splits["test"].take(np.array([4, 3, 0, 2]))

    pairs = part.targets()["pairs"]
    assert part.ids[pairs.first].tolist() == ["person0/person0_0001", "person1/person1_0001"]
    assert part.ids[pairs.second].tolist() == ["person1/person1_0002", "person1/person1_0003"]


def test_a_face_folder_has_all_pairs_or_those_of_a_list(tmp_path):
    root = write_faces(tmp_path / "faces")
    path = tmp_path / "pairs.csv"
    path.write_text(
        "a,b,fold\nperson0/person0_0001,person0/person0_0002,0\nperson0/person0_0001,person1/person1_0001,1\n"
    )

    every = load_face_folder({"root": str(root)}, 0).splits["test"].targets()["pairs"]
    some = load_face_folder({"root": str(root), "pairs": str(path)}, 0).splits["test"].targets()["pairs"]

    assert len(every) == 12 * 11 // 2
    assert (some.first.tolist(), some.second.tolist(), some.fold.tolist()) == ([0, 0], [1, 3], [0, 1])


def test_train_and_test_folders_become_splits(tmp_path):
    for name in ("train", "test"):
        write_faces(tmp_path / name)

    data = load_face_folder({"root": str(tmp_path)}, 0)

    assert sorted(data.splits) == ["test", "train"]
    assert data.splits["train"].read([0, 3])[1]["identity"].tolist() == [0, 1]


def test_the_fingerprint_knows_images_and_pairs(lfw, tmp_path):
    changed = tmp_path / "changed.txt"
    changed.write_text(PAIRS.replace("person1\t1\t3", "person1\t2\t3"))

    other = load_lfw({"root": str(tmp_path / "lfw"), "pairs": str(changed)}, 0)

    assert other.fingerprint() != lfw.fingerprint()


def test_embeddings_are_checked_and_stored_as_they_are_scored(tmp_path):
    split, task = face_split(), VerificationTask()
    raw = embeddings(split)

    checked = task.check({"embedding": raw["embedding"].astype(np.float64), "distance": "cosine"}, split.ids, PROBLEM)
    path = task.save(checked, split.ids, tmp_path)
    loaded = task.load(path, split.ids, PROBLEM)

    assert loaded["embedding"].dtype == np.float32
    assert np.array_equal(loaded["embedding"], raw["embedding"])
    assert set(loaded["distance"]) == {"cosine"}


def test_pair_values_are_stored_in_full_precision(tmp_path):
    split, task = face_split(), VerificationTask()
    values = np.array([0.1, 0.1 + 1e-16, 1 / 3])

    path = task.save({"similarity": values}, split.ids, tmp_path)

    assert task.load(path, split.ids, PROBLEM)["similarity"].tolist() == values.tolist()


def test_an_npz_of_embeddings_is_aligned_by_id(tmp_path):
    split, task = face_split(), VerificationTask()
    raw = embeddings(split)
    order = np.random.default_rng(0).permutation(len(split))
    path = tmp_path / "e.npz"
    np.savez(path, ids=split.ids[order], embedding=raw["embedding"][order], distance=np.array("l2"))

    external = task.read_external(path, split, PROBLEM, {})

    assert np.array_equal(external.predictions["embedding"], raw["embedding"])
    assert set(external.predictions["distance"]) == {"l2"}
    assert task.scored_as(external.predictions, "lfw/10fold/l2@1") == "lfw/10fold/l2@1"


@pytest.mark.parametrize("value", ["distance", "similarity"])
def test_pair_values_by_name_may_come_in_any_order_and_direction(tmp_path, value):
    split, task = face_split(count=2, each=2), VerificationTask()
    pairs, ids = split.targets()["pairs"], split.ids
    lines = [f"{ids[b]},{ids[a]},{k}" for k, (a, b) in enumerate(zip(pairs.first, pairs.second, strict=True))]
    path = tmp_path / "values.csv"
    path.write_text("a,b,value\n" + "\n".join(reversed(lines)))

    external = task.read_external(path, split, PROBLEM, {"value": value})

    sign = -1 if value == "distance" else 1
    assert external.predictions["similarity"].tolist() == [sign * k for k in range(6)]
    assert task.scored_as(external.predictions, "pairs/cosine@1") == "pairs/given@1"


@pytest.mark.parametrize(
    "text",
    ["0.5\n-1e-3\n7\n.25\n3.\n1E2\n", "0.5\r\n-1e-3\r\n7\r\n.25\r\n3.\r\n1E2", "v\n0.5\n-1e-3\n7\n\n.25\n3.\n1E2"],
)
def test_plain_values_are_read_exactly_whatever_ends_their_lines(tmp_path, text):
    split, path = face_split(count=2, each=2), tmp_path / "values.txt"
    path.write_bytes(text.encode())

    external = VerificationTask().read_external(path, split, PROBLEM, {"value": "similarity"})

    assert external.predictions["similarity"].tolist() == [0.5, -1e-3, 7.0, 0.25, 3.0, 100.0]


@pytest.mark.parametrize(
    ("protocol", "files"),
    [
        ("pairs/cosine@1", ["roc.png", "det.png", "similarity.png", "worst.png"]),
        ("identification/closed-set/cosine@1", ["cmc.png"]),
    ],
)
def test_pictures_are_drawn_the_same_every_time(tmp_path, protocol, files):
    test = load_face_folder({"root": str(write_faces(tmp_path / "faces"))}, 0).splits["test"]
    scorer = scorer_of(protocol)
    table = scorer.rows(embeddings(test), test.targets(), np.arange(len(test)))

    plots = [draw(tmp_path / name, test, table) for name in ("a", "b")]

    assert [plot.file for plot in plots[0]] == files
    for plot in plots[0]:
        assert (tmp_path / "a" / plot.file).read_bytes() == (tmp_path / "b" / plot.file).read_bytes()


def test_worst_pairs_need_images(tmp_path):
    split = face_split()
    scorer = scorer_of("pairs/cosine@1")
    table = scorer.rows(embeddings(split), split.targets(), np.arange(len(split)))

    assert [plot.file for plot in draw(tmp_path / "a", split, table)] == ["roc.png", "det.png", "similarity.png"]


@pytest.mark.parametrize("distance", ["cosine", "l2", "l1"])
def test_the_pixel_floor_finds_noisy_copies(tmp_path, distance):
    test = load_face_folder({"root": str(write_faces(tmp_path / "faces"))}, 0).splits["test"]
    model, task = PixelDistance(PROBLEM, side=8, distance=distance), VerificationTask()
    batches = [task.check(model.predict(batch), batch.ids, PROBLEM) for batch in test.inputs(5)]
    scorer = scorer_of("pairs/declared@1")

    table = scorer.rows(task.merge(batches), test.targets(), np.arange(len(test)))

    assert scorer.summarise(table)["auc"] > 0.95


def test_an_image_of_one_grey_level_still_has_a_direction():
    model = PixelDistance(PROBLEM, side=4, distance="cosine")

    predictions = model.predict(Batch(np.array(["a"]), {"image": [np.full((9, 9, 3), 77, np.uint8)]}))

    assert predictions["embedding"].tolist() == [[1.0] * 16]
