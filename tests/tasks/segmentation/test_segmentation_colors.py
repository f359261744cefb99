"""Palettes and colours of label files are compared by what they mean, or refused."""

from __future__ import annotations

import numpy as np
import pytest
from support.label_folders import mean_iou, write_each, write_labelled, write_palette_png, write_png
from support.read_labels import maps, message, miou, noisy

from mlcvbench_segmentation.folder import load_label_folder

VOC = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0)]


@pytest.fixture
def palettes(tmp_path):
    """Labels with the palette of VOC, and predictions whose palette has the same colours in another order."""
    labels, order = maps(4, 6), np.array([3, 2, 1, 0], np.uint8)
    guesses = noisy(labels, 4)
    root = write_labelled(tmp_path / "set", ("background", "aero", "bike", "bird"), [])
    for index, (label, guess) in enumerate(zip(labels, guesses, strict=True)):
        write_palette_png(root / f"labels/{index}.png", label, VOC + [(9, 9, 9)] * 252)
        write_palette_png(tmp_path / f"out/{index}.png", order[guess], VOC[::-1])
    return root, tmp_path / "out", labels, guesses


def test_a_palette_other_than_the_labels_is_refused_until_it_is_said_what_decides(palettes):
    root, out, labels, guesses = palettes

    assert message(lambda: miou(root, out)) == (
        f"{out / '0.png'}: value 0 has the colour (128, 128, 0) here and (0, 0, 0) in the labels; say values=colors to "
        "compare by colour, or values=labels to compare by value."
    )
    assert miou(root, out, values="colors") == pytest.approx(mean_iou(labels, guesses, 4), abs=1e-12)
    for by_value in ("labels", "indices"):
        right = mean_iou(labels, [3 - one for one in guesses], 4)
        assert miou(root, out, values=by_value) == pytest.approx(right, abs=1e-12)


def test_palettes_that_differ_where_no_pixel_is_are_the_same(palettes):
    root, out, labels, guesses = palettes
    for index, guess in enumerate(guesses):
        write_palette_png(out / f"{index}.png", guess, [*VOC, (1, 2, 3), (4, 5, 6)])

    assert miou(root, out) == pytest.approx(mean_iou(labels, guesses, 4), abs=1e-12)


def test_predictions_in_the_colours_of_the_labels_palette_are_read_by_them(palettes):
    root, out, labels, guesses = palettes
    write_each(out, [np.array(VOC, np.uint8)[guess] for guess in guesses])

    assert miou(root, out) == pytest.approx(mean_iou(labels, guesses, 4), abs=1e-12)


def test_label_files_that_give_a_value_different_colours_are_refused_unless_a_map_says_what_it_means(palettes):
    root, out, labels, guesses = palettes
    write_each(out, guesses)
    write_palette_png(root / "labels/1.png", 3 - labels[1], VOC[::-1])

    assert message(lambda: miou(root, out)) == (
        f"{root / 'labels/1.png'}: value 0 has the colour (128, 128, 0) here and (0, 0, 0) in {root / 'labels/0.png'}; "
        "say what the values (value,class) or the colours (r,g,b,class) mean with data.label_map=FILE."
    )
    (root / "label_map.csv").write_text("0,0,0,0\n128,0,0,1\n0,128,0,2\n128,128,0,3\n")
    assert miou(root, out) == pytest.approx(mean_iou(labels, guesses, 4), abs=1e-12)
    (root / "label_map.csv").write_text("0,0\n1,1\n2,2\n3,3\n")
    by_value = mean_iou([labels[0], 3 - labels[1], labels[2]], guesses, 4)
    assert miou(root, out) == pytest.approx(by_value, abs=1e-12)


@pytest.mark.parametrize(
    "table",
    [
        "0,0,0,background\n128,0,0,aero\n0,128,0,bike\n128,128,0,bird\n9,9,9,ignore\n",
        "#000000,background\n#800000,aero\n#008000,2\n#808000,bird\n#090909,ignore\n",
        "name,r,g,b\nbackground,0,0,0\naero,128,0,0\nbike,0,128,0\nbird,128,128,0\nignore,9,9,9\n",
        "Colour,Class\n#000000,background\n#800000,aero\n#008000,bike\n#808000,bird\n#090909,ignore\n",
    ],
)
def test_colour_labels_are_read_by_a_table_of_colours(tmp_path, table):
    labels = maps(4, 7)
    guesses = noisy(labels, 4)
    scored = [np.where(np.arange(one.size).reshape(one.shape) < 30, 255, one) for one in labels]
    colors = np.array([*VOC, *[(9, 9, 9)] * 252], np.uint8)
    root = write_labelled(
        tmp_path / "set", ("background", "aero", "bike", "bird"), [colors[one] for one in scored], table
    )
    right = mean_iou(scored, guesses, 4)

    assert miou(root, write_each(tmp_path / "indices", guesses)) == pytest.approx(right, abs=1e-12)
    assert miou(root, write_each(tmp_path / "colours", [colors[one] for one in guesses])) == pytest.approx(
        right, abs=1e-12
    )
    for index, guess in enumerate(guesses):
        write_palette_png(tmp_path / f"palette/{index}.png", 3 - guess, VOC[::-1])
    assert miou(root, tmp_path / "palette") == pytest.approx(right, abs=1e-12)


def test_a_fourth_channel_is_left_out_where_it_is_opaque(tmp_path):
    labels = maps(2, 7)
    colors = np.array([(*VOC[0], 255), (*VOC[1], 255)], np.uint8)
    root = write_labelled(tmp_path / "set", ("a", "b"), [colors[one] for one in labels], "0,0,0,a\n128,0,0,b\n")

    assert miou(root, write_each(tmp_path / "out", labels)) == 1


def test_colour_labels_without_a_table_are_refused_with_what_to_say(tmp_path):
    labels = [np.array(VOC, np.uint8)[one] for one in maps(4, 7)]
    root = write_labelled(tmp_path / "set", ("background", "aero", "bike", "bird"), labels)

    assert message(lambda: miou(root, write_each(tmp_path / "out", maps(4, 8)))) == (
        f"{root / 'labels/0.png'}: holds colours (RGB); save the class numbers, or say with data.label_map=FILE which "
        "colour is which class (lines r,g,b,class)."
    )


def test_a_mixed_colour_is_named_with_the_number_of_such_pixels(tmp_path):
    labels = [np.array(VOC, np.uint8)[one] for one in maps(2, 7)]
    labels[1][0, :3] = (64, 0, 0)
    root = write_labelled(tmp_path / "set", ("background", "aero"), labels, "0,0,0,background\n128,0,0,aero\n")

    assert message(lambda: miou(root, write_each(tmp_path / "out", maps(2, 8)))) == (
        f"{root / 'labels/1.png'}: 3 pixels have colours of no class, such as (64, 0, 0); resizing and JPEG mix "
        "colours, and data.label_map=FILE says which there are."
    )


def test_black_and_white_pictures_are_colours_in_grey_files_too(tmp_path):
    labels = maps(2, 11)
    guesses = noisy(labels, 2)
    files = [np.repeat((one * 255)[..., None], 3, axis=2) for one in labels]
    files[1] = files[1][..., 0]  # some tools save such a picture with one channel
    root = write_labelled(tmp_path / "set", ("background", "lesion"), files, "#000000,background\n#ffffff,lesion\n")
    grey = write_each(tmp_path / "grey", [one * 255 for one in guesses])
    right = mean_iou(labels, guesses, 2)

    assert miou(root, write_each(tmp_path / "indices", guesses)) == pytest.approx(right, abs=1e-12)
    assert miou(root, grey, values="labels") == pytest.approx(right, abs=1e-12)
    assert miou(root, grey, values="colors") == pytest.approx(right, abs=1e-12)
    write_png(grey / "2.png", np.full_like(guesses[2], 7))
    assert message(lambda: miou(root, grey, values="colors")) == (
        f"{grey / '2.png'}: grey level 7 is not the colour of a class; "
        "prediction_map=FILE says which colours there are."
    )


def test_a_map_may_give_values_and_colours(tmp_path):
    labels = maps(3, 12)
    guesses = noisy(labels, 3)
    table = "value,r,g,b,class\n10,255,0,0,a\n20,0,255,0,b\n30,0,0,255,c\n"
    root = write_labelled(tmp_path / "set", ("a", "b", "c"), [(one + 1) * 10 for one in labels], table)
    colors = 255 * np.eye(3, dtype=np.uint8)

    value = miou(root, write_each(tmp_path / "out", [colors[one] for one in guesses]))

    assert value == pytest.approx(mean_iou(labels, guesses, 3), abs=1e-12)


def test_predictions_by_colour_without_any_colours_are_refused(tmp_path):
    root = write_labelled(tmp_path / "set", ("a", "b"), maps(2, 13))

    assert message(lambda: miou(root, write_each(tmp_path / "out", maps(2, 14)), values="colors")) == (
        "values=colors: the labels have no colours, neither in a label map nor in a palette; say which colour is which "
        "class with prediction_map=FILE (lines r,g,b,class)."
    )


def test_the_fingerprint_knows_the_meaning_of_colours(tmp_path):
    labels = [np.array(VOC, np.uint8)[one] for one in maps(2, 18)]
    prints = set()
    for table in ("0,0,0,a\n128,0,0,b\n", "0,0,0,b\n128,0,0,a\n", "0,0,0,a\n128,0,0,ignore\n"):
        root = write_labelled(tmp_path / "set", ("a", "b"), labels, table)
        prints.add(load_label_folder({"root": str(root)}, 0).fingerprint())

    assert len(prints) == 3
