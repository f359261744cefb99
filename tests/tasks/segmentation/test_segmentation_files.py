"""Label folders, VOC, stored and external predictions: what is read is what was written, one image at a time."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.label_folders import CLASSES, label_maps, write_label_folder, write_png, write_predictions

from mlcvbench.contract import Outcome
from mlcvbench.errors import DataError, RecordError
from mlcvbench.files.lazy_columns import LazyColumn
from mlcvbench.running import scoring
from mlcvbench_segmentation.coding import Coding
from mlcvbench_segmentation.folder import load_label_folder
from mlcvbench_segmentation.plots import draw
from mlcvbench_segmentation.scoring import SegmentationScorer
from mlcvbench_segmentation.task import SegmentationTask
from mlcvbench_segmentation.voc import load_voc

PROTOCOL = "miou/ignore255/absent-skip@1"


@pytest.fixture
def labels():
    return label_maps()


@pytest.fixture
def data(tmp_path, labels):
    return load_label_folder({"root": str(write_label_folder(tmp_path / "set", labels))}, 0)


def test_palette_and_plain_labels_are_read_as_they_are(data, labels):
    test = data.splits["test"]

    batch, targets = test.read(slice(0, 3))

    assert data.problem.classes == CLASSES
    assert test.ids.tolist() == ["0", "1", "2"]
    assert all(np.array_equal(a, b) for a, b in zip(targets["label_map"], labels, strict=True))
    assert [image.shape for image in batch.inputs["image"]] == [(*lab.shape, 3) for lab in labels]


def test_labels_of_the_whole_split_are_read_one_at_a_time(data, labels):
    column = data.splits["test"].targets()["label_map"]

    assert isinstance(column, LazyColumn)
    assert len(column[np.array([2, 0])]) == 2
    assert np.array_equal(column[np.array([2, 0])][0], labels[2])


def test_train_val_and_test_folders_become_splits(tmp_path, labels):
    for name in ("train", "test"):
        write_label_folder(tmp_path / name, labels)
    (tmp_path / "classes.txt").write_text("sky\nroad\ncar\n")

    data = load_label_folder({"root": str(tmp_path)}, 0)

    assert sorted(data.splits) == ["test", "train"]


def test_a_label_map_gives_file_values_their_classes(tmp_path):
    write_png(tmp_path / "labels/a.png", np.array([[7, 8, 11, 0]], np.uint8))
    (tmp_path / "classes.txt").write_text("road\ncar\n")
    (tmp_path / "label_map.csv").write_text("value,class\n7,road\n8,1\n11,road\n0,ignore\n")

    data = load_label_folder({"root": str(tmp_path)}, 0)

    assert data.splits["test"].targets()["label_map"][0].tolist() == [[0, 1, 0, 255]]


def test_folder_predictions_score_like_arrays_in_memory(tmp_path, data, labels):
    guesses = write_predictions(tmp_path / "out", labels)
    task, test = SegmentationTask(), data.splits["test"]
    scorer = task.scorer(PROTOCOL, data.problem)

    external = task.read_external(tmp_path / "out", test, data.problem, {})

    streamed = scorer.summarise(scoring.tabulate(scorer, external.predictions, test.targets(), 3))
    direct = scorer.summarise(scoring.tabulate(scorer, {"label_map": guesses}, {"label_map": labels}, 3))
    assert streamed == direct
    assert 0.3 < streamed["miou"] < 1


def test_stored_predictions_come_back_equal_and_equal_maps_give_equal_bytes(tmp_path, data, labels):
    guesses = write_predictions(tmp_path / "out", labels)
    task, ids = SegmentationTask(), data.splits["test"].ids
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()

    path = task.save({"label_map": guesses}, ids, tmp_path / "one")
    other = task.save({"label_map": tuple(guesses)}, ids, tmp_path / "two")

    assert path.read_bytes() == other.read_bytes()
    back = task.load(path, ids, data.problem)["label_map"]
    assert all(np.array_equal(a, b) for a, b in zip(back, guesses, strict=True))
    assert np.array_equal(back[1], guesses[1])


def stored(tmp_path: Path, data) -> tuple[Path, list[np.ndarray]]:
    """Store the predictions in `out` and return their file, and the maps that it gives."""
    task, test = SegmentationTask(), data.splits["test"]
    external = task.read_external(tmp_path / "out", test, data.problem, {})
    (tmp_path / "stored").mkdir()
    path = task.save(external.predictions, test.ids, tmp_path / "stored")
    return path, list(task.load(path, test.ids, data.problem)["label_map"])


def test_label_images_that_hold_classes_are_stored_as_they_were_handed_in(tmp_path, data, labels):
    guesses = write_predictions(tmp_path / "out", labels)

    path, back = stored(tmp_path, data)

    with zipfile.ZipFile(path) as archive:
        names = [f"label_map_{number:06d}.png" for number in range(3)]
        handed_in = sorted((tmp_path / "out").glob("*.png"))
        assert archive.namelist() == ["ids.npy", *names]
        assert [archive.read(name) for name in names] == [file.read_bytes() for file in handed_in]
    assert all(np.array_equal(a, b) and a.dtype == np.uint8 for a, b in zip(back, guesses, strict=True))


def test_a_label_image_of_another_type_is_stored_as_an_array_beside_the_others(tmp_path, data, labels):
    guesses = write_predictions(tmp_path / "out", labels)
    wide = np.asarray(guesses[1], dtype=np.uint16)
    Image.fromarray(wide).save(tmp_path / "out" / "1.png")  # 16 bits, where maps of three classes are stored in 8

    path, back = stored(tmp_path, data)

    with zipfile.ZipFile(path) as archive:
        assert {"label_map_000000.png", "label_map_000001.npy", "label_map_000002.png"} < set(archive.namelist())
    assert all(np.array_equal(a, b) and a.dtype == np.uint8 for a, b in zip(back, guesses, strict=True))


def test_a_damaged_stored_picture_is_named(tmp_path, data, labels):
    write_predictions(tmp_path / "out", labels)
    path, _ = stored(tmp_path, data)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content[:40] if name == "label_map_000001.png" else content)

    with pytest.raises(RecordError, match=r"predictions\.npz: label_map_000001\.png: cannot be read as an image"):
        list(SegmentationTask().load(path, data.splits["test"].ids, data.problem)["label_map"])


def test_the_fingerprint_knows_every_pixel_and_the_meaning_of_values(tmp_path, labels):
    root = write_label_folder(tmp_path / "set", labels)
    first = load_label_folder({"root": str(root)}, 0).fingerprint()
    assert load_label_folder({"root": str(root)}, 0).fingerprint() == first

    assert load_label_folder({"root": str(root), "ignore": 254}, 0).fingerprint() != first
    labels[0][0, 0] = (labels[0][0, 0] + 1) % 3
    write_png(root / "labels/0.png", labels[0])

    assert load_label_folder({"root": str(root)}, 0).fingerprint() != first


def test_a_folder_without_images_can_be_scored_but_not_run(tmp_path, labels):
    data = load_label_folder({"root": str(write_label_folder(tmp_path, labels, images=False))}, 0)

    assert len(data.splits["test"].targets()["label_map"]) == 3
    with pytest.raises(DataError) as caught:
        data.splits["test"].read([0])
    assert str(caught.value) == "split 'test' has label files but no images, so no model can run on it."


def test_voc_lists_name_test_and_train(tmp_path, labels):
    for key in ("2007_000001", "2007_000002"):
        write_png(tmp_path / f"SegmentationClass/{key}.png", labels[0], "P")
        write_png(tmp_path / f"JPEGImages/{key}.jpg", np.zeros((*labels[0].shape, 3), np.uint8))
    lists = tmp_path / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("2007_000002\n")
    (lists / "train.txt").write_text("2007_000001\r\n")

    data = load_voc({"root": str(tmp_path), "split": "val"}, 0)

    assert data.splits["test"].ids.tolist() == ["2007_000002"]
    assert data.splits["train"].ids.tolist() == ["2007_000001"]
    assert len(data.problem.classes) == 21
    assert np.array_equal(data.splits["test"].targets()["label_map"][0], labels[0])


def test_pictures_decode_a_label_map_once(tmp_path, data, labels, monkeypatch):
    guesses = {"label_map": write_predictions(tmp_path / "out", labels)}
    test = data.splits["test"]
    scorer = SegmentationScorer(PROTOCOL, data.problem)
    table = scoring.tabulate(scorer, guesses, test.targets(), 3)
    decoded, decode = [], Coding.decode
    monkeypatch.setattr(
        Coding, "decode", lambda self, path, **kinds: decoded.append(path) or decode(self, path, **kinds)
    )

    draw(tmp_path / "a", Outcome(guesses, test.targets(), test, data.problem, scorer.protocol_id, table))

    maps = [path for path in decoded if "out" not in path.parts]
    assert len(maps) == len(set(maps)) == 3


def test_pictures_are_drawn_the_same_every_time(tmp_path, data, labels):
    guesses = {"label_map": write_predictions(tmp_path / "out", labels)}
    test = data.splits["test"]
    scorer = SegmentationScorer(PROTOCOL, data.problem)
    table = scoring.tabulate(scorer, guesses, test.targets(), 3)

    outcome = Outcome(guesses, test.targets(), test, data.problem, scorer.protocol_id, table)
    plots = [draw(tmp_path / name, outcome) for name in ("a", "b")]

    assert [plot.file for plot in plots[0]] == ["classes.png", "worst.png"]
    assert plots[0] == plots[1]
    for plot in plots[0]:
        assert (tmp_path / "a" / plot.file).read_bytes() == (tmp_path / "b" / plot.file).read_bytes()
