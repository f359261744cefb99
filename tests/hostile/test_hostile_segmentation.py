"""Bad label files and predictions of segmentation: one sentence that names the file, never a number."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from PIL import Image
from support.label_folders import label_maps, write_label_folder, write_png, write_predictions

from mlcvbench.contract import Problem
from mlcvbench.errors import DataError, MlcvbenchError, PredictionError, RecordError
from mlcvbench.running import scoring
from mlcvbench_segmentation.folder import load_label_folder
from mlcvbench_segmentation.task import SegmentationTask, check_map
from mlcvbench_segmentation.voc import load_voc

WANTED = "label images (.png, .tif, .tiff, .bmp, .gif) or arrays (.npy, .npz)"


@pytest.fixture
def case(tmp_path):
    labels = label_maps()
    root = write_label_folder(tmp_path / "set", labels)
    write_predictions(tmp_path / "out", labels)
    data = load_label_folder({"root": str(root)}, 0)

    def score():
        task, test = SegmentationTask(), data.splits["test"]
        external = task.read_external(tmp_path / "out", test, data.problem, {})
        scorer = task.scorer("miou/ignore255/absent-skip@1", data.problem)
        return scoring.tabulate(scorer, external.predictions, test.targets(), len(test))

    return tmp_path, score


def message(action) -> str:
    with pytest.raises(MlcvbenchError) as caught:
        action()
    return str(caught.value)


def no_class(value: int) -> str:
    return f"value {value} is not a class; classes have the values 0 to 2 unless prediction_map=FILE says otherwise."


def test_a_missing_prediction_is_named(case):
    root, score = case
    (root / "out/1.png").unlink()

    assert message(score) == (
        f"{root / 'out'}: has no file for 1 of 3 samples, such as '1'; wanted {WANTED}, named like the samples."
    )


def test_a_prediction_of_no_sample_is_named(case):
    root, score = case
    write_png(root / "out/9.png", np.zeros((2, 2), np.uint8))

    assert message(score) == f"{root / 'out/9.png'}: is a prediction for no sample of split 'test'."


def test_a_prediction_of_no_sample_is_named_under_a_limit_too(tmp_path):
    labels = label_maps()
    root = write_label_folder(tmp_path / "set", labels)
    write_predictions(tmp_path / "out", [*labels, labels[0]])
    data = load_label_folder({"root": str(root)}, 0)
    part = data.splits["test"].take([0])
    part.beyond, part.unread = np.array(["1"]), np.array(["2"])

    assert message(lambda: SegmentationTask().read_external(tmp_path / "out", part, data.problem, {})) == (
        f"{tmp_path / 'out/3.png'}: is a prediction for no sample of split 'test'."
    )
    (tmp_path / "out/3.png").unlink()
    assert len(SegmentationTask().read_external(tmp_path / "out", part, data.problem, {}).predictions["label_map"]) == 1


def test_a_prediction_of_wrong_size_is_named(case):
    root, score = case
    write_png(root / "out/1.png", np.zeros((2, 3), np.uint8))

    assert message(score) == (
        f"{root / 'out/1.png'}: field 'label_map': wanted 7 x 8 pixels like the labels, got 2 x 3; "
        "scale it to the labels' size by nearest neighbours."
    )


def test_a_prediction_with_swapped_sides_is_named(case):
    root, score = case
    write_png(root / "out/1.png", np.zeros((8, 7), np.uint8))

    assert message(score) == (
        f"{root / 'out/1.png'}: field 'label_map': wanted 7 x 8 pixels like the labels, got 8 x 7; "
        "height and width are swapped."
    )


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        (
            (6, 8, 3),
            "holds colours (RGB); save the class numbers, or say with prediction_map=FILE which colour is which class "
            "(lines r,g,b,class).",
        ),
        ((6, 8, 4), "has transparent pixels, whose colour is unknown; save it without transparency."),
        (
            (6, 8, 2),
            "wanted one channel of 8 or 16 bits or a palette, or colours (RGB), got LA (2 channel(s)); "
            "save the numbers themselves, not their colours.",
        ),
    ],
)
def test_a_prediction_in_colours_without_a_meaning_is_refused(case, shape, said):
    root, score = case
    write_png(root / "out/0.png", np.zeros(shape, np.uint8))

    assert message(score) == f"{root / 'out/0.png'}: {said}"


@pytest.mark.parametrize("value", [3, 255])
def test_a_predicted_value_that_is_no_class_is_refused(case, value):
    root, score = case
    write_png(root / "out/0.png", np.full((6, 8), value, np.uint8))

    assert message(score) == f"{root / 'out/0.png'}: {no_class(value)}"


def test_a_16_bit_prediction_is_read_by_its_values(case):
    root, score = case
    write_png(root / "out/0.png", np.full((6, 8), 1, np.uint16))
    score()
    write_png(root / "out/0.png", np.full((6, 8), 257, np.uint16))

    assert message(score) == f"{root / 'out/0.png'}: {no_class(257)}"


def test_a_label_value_without_meaning_is_refused(case):
    root, score = case
    write_png(root / "set/labels/2.png", np.full((8, 8), 9, np.uint8))

    assert message(score) == (
        f"{root / 'set/labels/2.png'}: value 9 is not a class or the ignored value; classes have the values 0 to 2 "
        "unless data.label_map=FILE says otherwise."
    )


def test_a_truncated_or_foreign_file_is_named(case):
    root, score = case
    path = root / "out/0.png"
    whole = path.read_bytes()
    for cut in (0, 10, 40, 60):
        path.write_bytes(whole[:cut])
        assert message(score).startswith(f"{path}: cannot be read as an image (")
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    assert message(score).startswith(f"{path}: cannot be read as an image (")


def test_every_flipped_byte_gives_a_table_or_an_error_of_ours(case):
    root, score = case
    path = root / "out/0.png"
    whole = path.read_bytes()
    for place in range(0, len(whole), 3):
        changed = bytearray(whole)
        changed[place] ^= 0xFF
        path.write_bytes(changed)
        with contextlib.suppress(MlcvbenchError):
            score()


def test_a_picture_over_the_pixel_limit_is_refused_from_its_header(case, monkeypatch):
    root, score = case
    monkeypatch.setattr("mlcvbench.files.rasters.MAX_PIXELS", 20)

    assert message(score) == f"{root / 'set/labels/0.png'}: has 48 pixels; the most is 20."


def test_an_animated_label_is_refused(tmp_path):
    labels = write_label_folder(tmp_path, label_maps(1)) / "labels"
    (labels / "0.png").unlink()
    frames = [Image.fromarray(np.full((6, 8), i, np.uint8)) for i in (0, 1)]
    frames[0].save(labels / "0.gif", save_all=True, append_images=frames[1:])
    data = load_label_folder({"root": str(tmp_path)}, 0)

    assert (
        message(lambda: data.splits["test"].read([0])) == f"{labels / '0.gif'}: holds 2 frames; wanted a single image."
    )


@pytest.mark.parametrize("folder", ["labels", "images"])
def test_a_sample_without_its_partner_is_named_with_what_lies_there(tmp_path, folder):
    root = write_label_folder(tmp_path, label_maps(2))
    (root / folder / "1.png").rename(root / folder / "1_other.png")
    wanted = {
        "labels": "label images (.png, .tif, .tiff, .bmp, .gif)",
        "images": "images (.jpg, .jpeg, .webp, .ppm, .png, .tif, .tiff, .bmp, .gif)",
    }

    first = {"labels": "'1_other'; it holds 1.png", "images": "'1'; it holds 1_other.png"}
    assert message(lambda: load_label_folder({"root": str(root)}, 0)) == (
        f"{root / 'images'}: has no file for 1 of 2 samples, such as {first[folder]} of other names; "
        f"wanted {wanted['images']}."
    )
    if folder == "labels":
        (root / "labels/1_other.png").unlink()
        assert message(lambda: load_label_folder({"root": str(root)}, 0)) == (
            f"{root / 'labels'}: has no file for 1 of 2 samples, such as '1'; wanted {wanted['labels']}, "
            "named like the samples."
        )


def test_two_files_of_one_name_are_refused(tmp_path):
    root = write_label_folder(tmp_path, label_maps(1))
    write_png(root / "labels/0.bmp", np.zeros((2, 2), np.uint8))

    assert message(lambda: load_label_folder({"root": str(root)}, 0)) == (
        f"{root / 'labels/0.png'}: 0.bmp has the same name; wanted one file per sample."
    )


def test_an_image_of_another_size_than_its_labels_is_named(tmp_path):
    root = write_label_folder(tmp_path, label_maps(1))
    write_png(root / "images/0.png", np.zeros((3, 3, 3), np.uint8))
    data = load_label_folder({"root": str(root)}, 0)

    assert message(lambda: data.splits["test"].read([0])) == (
        f"{root / 'labels/0.png'}: has 6 x 8 pixels, but its image has 3 x 3."
    )


def test_missing_folders_and_class_lists_are_named(tmp_path):
    assert message(lambda: load_label_folder({"root": str(tmp_path / "no")}, 0)) == (
        f"data.root={tmp_path / 'no'}: no such folder."
    )
    (tmp_path / "masks").mkdir()
    assert message(lambda: load_label_folder({"root": str(tmp_path)}, 0)) == (
        f"{tmp_path / 'classes.txt'}: no such file; {tmp_path} holds masks; "
        "wanted the names of the classes, one per line; data.classes=FILE names another file."
    )
    (tmp_path / "classes.txt").write_text("a\nb\n")
    assert message(lambda: load_label_folder({"root": str(tmp_path)}, 0)) == (
        f"{tmp_path / 'labels'}: no such folder; {tmp_path} holds classes.txt, masks; "
        "wanted label images (.png, .tif, .tiff, .bmp, .gif) in it."
    )


def test_a_missing_label_map_is_named(tmp_path):
    root = write_label_folder(tmp_path, label_maps(1))

    assert message(lambda: load_label_folder({"root": str(root), "label_map": str(root / "map.csv")}, 0)) == (
        f"{root / 'map.csv'}: no such file."
    )


def test_an_ignored_value_that_is_a_class_is_refused(tmp_path):
    root = write_label_folder(tmp_path, label_maps(1))

    assert message(lambda: load_label_folder({"root": str(root), "ignore": 0}, 0)) == (
        "data.ignore=0 is also the value of class 'sky'; "
        "give the meaning of the values with data.label_map=FILE, or set data.ignore=-1."
    )


@pytest.mark.parametrize("name", ["../../etc/passwd", "a b"])
def test_voc_lists_cannot_leave_the_folder(tmp_path, name):
    lists = tmp_path / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text(f"{name}\n")

    assert message(lambda: load_voc({"root": str(tmp_path)}, 0)) == (
        f"{lists / 'val.txt'}, line 1: wanted a new image name, got {name!r}."
    )
    assert message(lambda: load_voc({"root": str(tmp_path), "split": "../val"}, 0)) == (
        "data.split='../val': wanted the name of a list such as val."
    )


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([[0, 1]], "wanted an integer array (H, W), got list."),
        (np.zeros((2, 2)), "wanted an integer array (H, W), got float64 (2, 2)."),
        (np.zeros((2, 2, 3), int), "wanted an integer array (H, W), got int64 (2, 2, 3)."),
        (np.zeros((0, 2), int), "wanted at least one pixel, got shape (0, 2)."),
        (np.full((2, 2), -1), "wanted labels 0 to 2, got -1."),
        (np.full((2, 2), 3), "wanted labels 0 to 2, got 3."),
    ],
)
def test_bad_predictions_of_a_model_name_the_sample(value, said):
    with pytest.raises(PredictionError) as caught:
        check_map(value, "a", 3)

    assert str(caught.value) == f"field 'label_map', sample 'a': {said}"


def test_predictions_of_the_wrong_form_are_refused():
    task, problem, ids = SegmentationTask(), Problem("segmentation", ("a", "b"), {}), np.array(["x", "y"])

    def said(predictions):
        return message(lambda: task.check(predictions, ids, problem))

    assert said([]) == "predictions have no field 'label_map'; got list."
    assert said({"scores": 1}) == "predictions have no field 'label_map'; got scores."
    assert said({"label_map": [np.zeros((2, 2), int)]}) == (
        "field 'label_map': wanted one array (H, W) for each of 2 samples, got 1 maps."
    )


def test_a_changed_prediction_file_is_refused(case):
    root, _ = case
    task, ids, problem = SegmentationTask(), np.array(["a", "b"]), Problem("segmentation", ("a", "b"), {})
    path = task.save({"label_map": [np.zeros((4, 4), np.uint8)] * 2}, ids, root)

    assert message(lambda: task.load(path, ids[:1], problem)) == (
        f"{path}: wanted ids and 1 maps, odd: label_map_000001."
    )
    assert message(lambda: task.load(path, np.array(["a", "c"]), problem)) == (
        f"{path}: its 2 ids are not the 2 of the split, in order."
    )
    whole = bytearray(path.read_bytes())
    for place in range(0, len(whole), 7):
        changed = bytearray(whole)
        changed[place] ^= 0x10
        path.write_bytes(changed)
        with contextlib.suppress(RecordError, PredictionError):
            list(task.load(path, ids, problem)["label_map"])


def test_data_error_is_what_a_user_sees(case):
    root, score = case
    (root / "out/1.png").unlink()

    with pytest.raises(DataError):
        score()
