"""Damaged IDX, npz and CSV files: the same numbers, changed numbers, or one error that names the file."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.classification import idx_bytes, problem_of, split_of, write_image_folder
from support.mutations import assert_one_line_about, mutations

from mlcvbench.errors import MlcvbenchError
from mlcvbench_classification.idx import read_idx
from mlcvbench_classification.image_folder import load_image_folder
from mlcvbench_classification.task import ClassificationTask

TASK = ClassificationTask()
IDS = ["a", "b", "c"]
PROBLEM = problem_of(["cat", "dog"])
SCORES = np.array([[1.5, -2.0], [0.25, 0.5], [3.0, 3.0]], np.float32)
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 4, 5), dtype=np.uint8)
MOST_BYTES = 8 * 2**20


def outcome(read: Callable[[Path], np.ndarray], path: Path, data: bytes) -> bytes | None:
    """Return the bytes of what was read, or None for an error that is one line and names the file."""
    path.write_bytes(data)
    try:
        return read(path).tobytes()
    except MlcvbenchError as error:
        assert_one_line_about(error, path)
        return None


def read_images(path: Path) -> np.ndarray:
    return read_idx(path, 3)


def read_scores(path: Path) -> np.ndarray:
    (column,) = TASK.read_external(path, split_of(IDS), PROBLEM, {}).predictions.values()
    return column


def read_stored(path: Path) -> np.ndarray:
    return TASK.load(path, np.array(IDS), PROBLEM)["scores"]


def campaign(read: Callable[[Path], np.ndarray], path: Path, data: bytes) -> dict[str, int]:
    """Try every damage of a small file; return how often the numbers stayed, changed, or were refused."""
    good = outcome(read, path, data)
    assert good is not None
    counts = {"same": 0, "changed": 0, "refused": 0}
    tracemalloc.start()
    for what, damaged in mutations(data):
        tracemalloc.reset_peak()
        got = outcome(read, path, damaged)
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES, what
        counts["refused" if got is None else "same" if got == good else "changed"] += 1
    tracemalloc.stop()
    return counts


def test_a_plain_idx_file_damaged_anywhere_is_refused_or_read_with_changed_pixels(tmp_path):
    counts = campaign(read_images, tmp_path / "images", idx_bytes(IMAGES))

    assert counts["changed"] == 3 * IMAGES.size
    assert counts["same"] == 0


def test_a_gzipped_idx_file_damaged_anywhere_never_gives_other_pixels(tmp_path):
    counts = campaign(read_images, tmp_path / "images.gz", gzip.compress(idx_bytes(IMAGES), mtime=0))

    assert counts["changed"] == 0
    assert counts["refused"] > counts["same"]


def test_stored_predictions_damaged_anywhere_never_give_other_numbers(tmp_path):
    path = TASK.save({"scores": SCORES}, np.array(IDS), tmp_path)

    counts = campaign(read_stored, path, path.read_bytes())

    assert counts["changed"] == 0
    assert counts["refused"] > counts["same"]


def test_a_packed_npz_damaged_anywhere_never_gives_other_numbers(tmp_path):
    path = tmp_path / "packed.npz"
    np.savez_compressed(path, ids=np.array(IDS), scores=SCORES)

    counts = campaign(read_scores, path, path.read_bytes())

    assert counts["changed"] == 0


def test_a_csv_file_damaged_anywhere_is_refused_or_read(tmp_path):
    counts = campaign(read_scores, tmp_path / "scores.csv", b"id,cat,dog\na,1.5,-2\nb,0.25,0.5\nc,3,3\n")

    assert counts["refused"] > counts["changed"] > 0


@pytest.mark.parametrize("text", [b"id,label\n000.png,cat\n001.png,1\n", b"000.png cat\n001.png 1\n"])
def test_a_list_of_labels_damaged_anywhere_is_refused_or_read(tmp_path, text):
    root = write_image_folder(tmp_path / "set", {"x": 2})
    classes = tmp_path / "classes.txt"
    classes.write_text("dog\ncat\n")
    settings = {"root": str(root), "classes": str(classes), "labels": str(tmp_path / "labels.csv")}

    def read_labels(path: Path) -> np.ndarray:
        return np.asarray(load_image_folder(settings, 0).splits["test"].targets()["label"])

    counts = campaign(read_labels, tmp_path / "labels.csv", text)

    assert counts["refused"] > counts["changed"] > 0


def test_a_list_of_classes_damaged_anywhere_is_refused_or_read(tmp_path):
    def read_columns(path: Path) -> np.ndarray:
        settings = {"class_file": str(path)}
        return TASK.read_external(tmp_path / "p.npz", split_of(IDS), PROBLEM, settings).predictions["scores"]

    np.savez(tmp_path / "p.npz", scores=SCORES)

    counts = campaign(read_columns, tmp_path / "classes.txt", b"dog\ncat\n")

    assert counts["refused"] > counts["changed"] == 0


def test_a_zip_bomb_is_refused_without_unpacking_it(tmp_path):
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, scores=np.zeros((4_000_000, 2), np.float32))
    tracemalloc.start()

    with pytest.raises(MlcvbenchError) as caught:
        read_scores(path)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert str(caught.value) == f"{path}: wanted array 'scores' of shape (3, 2), got float32 (4000000, 2)."
    assert peak < MOST_BYTES


def test_a_gzip_bomb_behind_an_honest_header_stops_after_the_data(tmp_path):
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(idx_bytes(IMAGES) + bytes(64 * 2**20)))
    tracemalloc.start()

    with pytest.raises(MlcvbenchError) as caught:
        read_images(path)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert str(caught.value) == f"{path}: its header says 3 x 4 x 5 = 60 bytes of data, but more follow."
    assert peak < MOST_BYTES
