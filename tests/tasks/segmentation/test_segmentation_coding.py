"""What files of labels and of predictions hold is said, known or refused: values and arrays."""

from __future__ import annotations

import numpy as np
import pytest
from support.label_folders import mean_iou, write_each, write_labelled, write_png
from support.read_labels import maps, message, miou, noisy

from mlcvbench.errors import DataError, OverrideError
from mlcvbench_segmentation.folder import load_label_folder

UNSAID = (
    "the labels have a label map, and it is not known whether predictions are coded like them; say values=labels (they "
    "are), values=indices (they hold 0 to {}, places in the class list) or prediction_map=FILE."
)


@pytest.fixture
def painted(tmp_path):
    """Masks of 0 and 255 as painting tools save them, and predictions of 0 and 1 as argmax gives them."""
    labels = maps(2, 1)
    root = write_labelled(tmp_path / "set", ("background", "lesion"), [one * 255 for one in labels])
    guesses = noisy(labels, 2)
    (tmp_path / "map.csv").write_text("0,background\n255,lesion\n")
    return root, write_each(tmp_path / "out", guesses), mean_iou(labels, guesses, 2), tmp_path


def test_masks_of_0_and_255_are_scored_by_a_label_map_and_class_indices(painted):
    root, out, right, folder = painted

    assert miou(root, out, label_map=str(folder / "map.csv"), values="indices") == pytest.approx(right, abs=1e-12)


def test_predictions_of_0_and_255_have_a_map_of_their_own(tmp_path):
    labels = maps(2, 2)
    guesses = noisy(labels, 2)
    root = write_labelled(tmp_path / "set", ("background", "lesion"), labels)
    out = write_each(tmp_path / "out", [one * 255 for one in guesses])
    (tmp_path / "map.csv").write_text("0,background\n255,lesion\n")

    assert message(lambda: miou(root, out)) == (
        f"{out / '0.png'}: value 255 is not a class; classes have the values 0 and 1 unless prediction_map=FILE says "
        "otherwise."
    )
    right = mean_iou(labels, guesses, 2)
    assert miou(root, out, prediction_map=str(tmp_path / "map.csv")) == pytest.approx(right, abs=1e-12)


@pytest.fixture
def from_one(tmp_path):
    """ADE20K's coding: labels from 1, 0 = not scored; predictions are class indices and never 0."""
    labels = maps(4, 3)
    files = [np.where(one == 3, 0, one + 1).astype(np.uint8) for one in labels]
    root = write_labelled(tmp_path / "set", ("wall", "floor", "tree"), files, "0,ignore\n1,wall\n2,floor\n3,tree\n")
    guesses = [np.maximum(one, 1).astype(np.uint8) for one in noisy([one % 3 for one in labels], 3)]
    scored = [np.where(one == 3, 255, one) for one in labels]
    return root, write_each(tmp_path / "out", guesses), scored, guesses


def test_values_that_may_be_the_labels_or_class_indices_are_refused_until_it_is_said(from_one):
    root, out, labels, guesses = from_one

    assert message(lambda: miou(root, out)) == f"{out / '0.png'}: {UNSAID.format(2)}"
    assert miou(root, out, values="indices") == pytest.approx(mean_iou(labels, guesses, 3), abs=1e-12)
    shifted = [one - 1 for one in guesses]
    assert miou(root, out, values="labels") == pytest.approx(mean_iou(labels, shifted, 3), abs=1e-12)


def test_training_ids_are_scored_against_label_ids_like_those_of_street_scenes(tmp_path):
    ids = np.array([7, 8, 11, 0], np.uint8)  # road, sidewalk, building, and one that is not scored
    labels = maps(4, 4)
    table = "value,class\n0,ignore\n7,road\n8,sidewalk\n11,building\n"
    root = write_labelled(tmp_path / "set", ("road", "sidewalk", "building"), [ids[one] for one in labels], table)
    guesses = noisy([one % 3 for one in labels], 3)
    scored = [np.where(one == 3, 255, one) for one in labels]

    by_index = miou(root, write_each(tmp_path / "train-ids", guesses), values="indices")
    by_label = miou(root, write_each(tmp_path / "label-ids", [ids[one] for one in guesses]), values="labels")

    assert by_index == by_label == pytest.approx(mean_iou(scored, guesses, 3), abs=1e-12)


def test_a_label_map_that_leaves_classes_their_places_needs_no_word(tmp_path):
    labels = maps(3, 5)
    guesses = noisy(labels, 3)
    files = [np.where(one == 2, 7, one).astype(np.uint8) for one in labels]
    root = write_labelled(tmp_path / "set", ("a", "b", "c"), files, "0,a\n1,b\n2,c\n7,c\n")

    value = miou(root, write_each(tmp_path / "out", guesses))

    assert value == pytest.approx(mean_iou(labels, guesses, 3), abs=1e-12)


def test_two_settings_that_say_what_predictions_hold_are_refused(from_one):
    root, out, *_ = from_one

    with pytest.raises(OverrideError) as caught:
        miou(root, out, values="labels", prediction_map=str(root / "label_map.csv"))
    assert str(caught.value) == "values=labels has no effect: prediction_map defines the values of predictions."


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.uint16, bool])
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_arrays_of_labels_are_read_like_images(tmp_path, dtype, suffix):
    labels = maps(2, 15)
    guesses = noisy(labels, 2)
    root = write_labelled(tmp_path / "set", ("a", "b"), labels)
    (tmp_path / "out").mkdir()
    for index, guess in enumerate(guesses):
        save = np.save if suffix == "npy" else np.savez_compressed
        save(tmp_path / f"out/{index}.{suffix}", guess.astype(dtype))

    assert miou(root, tmp_path / "out") == pytest.approx(mean_iou(labels, guesses, 2), abs=1e-12)


def test_images_are_read_where_arrays_lie_beside_them(tmp_path):
    labels = maps(2, 16)
    root, out = write_labelled(tmp_path / "set", ("a", "b"), labels), write_each(tmp_path / "out", labels)
    np.save(out / "0.npy", np.zeros((2, 16, 20), np.float32))

    assert miou(root, out) == 1


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (
            np.zeros((16, 20), np.float32),
            "wanted whole numbers (H, W) of at most 50000000 pixels, got float32 (16, 20).",
        ),
        (
            np.zeros((2, 16, 20), np.float32),
            "wanted whole numbers (H, W) of at most 50000000 pixels, got float32 (2, 16, 20); "
            "of scores save the class of the largest.",
        ),
        (np.full((16, 20), -1), "wanted values from 0 to 65535, got -1."),
        (np.full((16, 20), 70000), "wanted values from 0 to 65535, got 70000."),
        (
            np.full((16, 20), 300),
            "value 300 is not a class; classes have the values 0 and 1 unless prediction_map=FILE says otherwise.",
        ),
    ],
)
def test_arrays_that_are_no_label_maps_are_refused(tmp_path, array, said):
    root = write_labelled(tmp_path / "set", ("a", "b"), maps(2, 17, count=1))
    (tmp_path / "out").mkdir()
    np.save(tmp_path / "out/0.npy", array)

    assert message(lambda: miou(root, tmp_path / "out")) == f"{tmp_path / 'out/0.npy'}: {said}"


def test_an_npz_of_several_arrays_is_refused(tmp_path):
    root = write_labelled(tmp_path / "set", ("a", "b"), maps(2, 17, count=1))
    (tmp_path / "out").mkdir()
    np.savez(tmp_path / "out/0.npz", a=np.zeros(1), b=np.zeros(1))

    assert message(lambda: miou(root, tmp_path / "out")) == (
        f"{tmp_path / 'out/0.npz'}: wanted a single array, got a, b."
    )


def test_a_first_label_that_cannot_be_read_is_named_when_it_is_wanted(tmp_path):
    root = write_labelled(tmp_path / "set", ("a", "b"), maps(2, 20))
    (root / "labels/0.png").write_bytes(b"\x89PNG")

    data = load_label_folder({"root": str(root)}, 0)

    with pytest.raises(DataError):
        data.splits["test"].targets()["label_map"][0]


def test_files_that_begin_with_a_dot_are_no_samples(tmp_path):
    labels = maps(2, 19)
    root, out = write_labelled(tmp_path / "set", ("a", "b"), labels), write_each(tmp_path / "out", labels)
    for folder in (root / "labels", out):
        (folder / "._0.png").write_bytes(b"\0\5\x16\7\0\2\0\0")
        (folder / ".hidden").mkdir()
        write_png(folder / ".hidden/9.png", labels[0])

    assert miou(root, out) == 1
