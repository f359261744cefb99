"""Folders of image files: layouts, splits, fingerprints, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.classification import write_image_folder

from mlcvbench.contract import LoadedData
from mlcvbench.errors import DataError, MlcvbenchError
from mlcvbench_classification.image_folder import load_image_folder


def load(root: Path, seed: int = 0, **params: object) -> LoadedData:
    return load_image_folder({"root": str(root), **params}, seed)


def sizes(data: LoadedData) -> dict[str, int]:
    return {name: len(split) for name, split in sorted(data.splits.items())}


def refusal(root: Path, **params: object) -> str:
    with pytest.raises(MlcvbenchError) as caught:
        load(root, **params)
    return str(caught.value).replace(str(root), "ROOT")


def test_train_and_test_folders_are_the_splits(tmp_path):
    write_image_folder(tmp_path, {"train/cat": 12, "train/dog": 8, "test/cat": 2, "test/dog": 3})

    data = load(tmp_path)

    assert sizes(data) == {"test": 5, "train": 18, "val": 2}
    assert data.problem.classes == ("cat", "dog")
    assert data.problem.inputs["image"].shape == (4, 5, 3)
    assert data.splits["test"].ids.tolist() == [
        "cat/000.png",
        "cat/001.png",
        "dog/000.png",
        "dog/001.png",
        "dog/002.png",
    ]
    assert np.asarray(data.splits["test"].targets()["label"]).tolist() == [0, 0, 1, 1, 1]
    assert set(np.asarray(data.splits["val"].targets()["label"]).tolist()) <= {0, 1}


def test_a_val_folder_validates_and_tests_where_there_is_no_test_folder(tmp_path):
    write_image_folder(tmp_path, {f"{part}/{name}": 4 for part in ("train", "val") for name in ("a", "b")})

    imagenet = sizes(load(tmp_path))
    write_image_folder(tmp_path, {"test/a": 1, "test/b": 2})

    assert imagenet == {"test": 8, "train": 8}
    assert sizes(load(tmp_path)) == {"test": 3, "train": 8, "val": 8}


def test_without_parts_a_fifth_of_each_class_is_drawn_for_the_test(tmp_path):
    write_image_folder(tmp_path, {"a": 20, "b": 10})

    data = load(tmp_path)

    assert sizes(data) == {"test": 6, "train": 22, "val": 2}
    assert np.bincount(np.asarray(data.splits["test"].targets()["label"])).tolist() == [4, 2]
    assert data.fingerprint() == load(tmp_path).fingerprint()
    assert data.fingerprint() != load(tmp_path, seed=1).fingerprint()


def test_batches_hold_what_the_files_hold(tmp_path):
    write_image_folder(tmp_path, {"test/a": 3})

    batch, targets = next(iter(load(tmp_path).splits["test"].batches(2)))

    image = np.asarray(Image.open(tmp_path / "test" / "a" / "001.png"))
    assert np.array_equal(batch.inputs["image"][1], image)
    assert batch.inputs["image"].shape == (2, 4, 5, 3)
    assert targets["label"].tolist() == [0, 0]


def test_images_of_unequal_size_are_ragged_until_a_size_is_given(tmp_path):
    write_image_folder(tmp_path, {"test/a": 2})
    write_image_folder(tmp_path, {"test/b": 2}, size=(7, 9))

    ragged, resized = load(tmp_path), load(tmp_path, size=[6, 8])

    assert ragged.splits["test"].ragged
    assert ragged.problem.inputs["image"].shape == (None, None, 3)
    assert [image.shape for image in ragged.splits["test"].read([0, 2])[0].inputs["image"]] == [(4, 5, 3), (9, 7, 3)]
    assert not resized.splits["test"].ragged
    assert resized.splits["test"].arrays()[0]["image"].shape == (4, 6, 8, 3)


def test_grey_gives_images_without_a_channel_axis(tmp_path):
    write_image_folder(tmp_path, {"test/a": 2})

    data = load(tmp_path, color="grey")

    assert data.problem.inputs["image"].shape == (4, 5)
    assert data.splits["test"].arrays()[0]["image"].shape == (2, 4, 5)
    assert data.fingerprint() != load(tmp_path).fingerprint()


def test_one_changed_byte_changes_the_fingerprint(tmp_path):
    write_image_folder(tmp_path, {"test/a": 2})
    before = load(tmp_path).fingerprint()
    path = tmp_path / "test" / "a" / "000.png"
    path.write_bytes(path.read_bytes() + b"\0")

    assert load(tmp_path).fingerprint() != before


def test_hidden_files_and_litter_of_file_browsers_are_passed_over(tmp_path):
    write_image_folder(tmp_path, {"test/a": 2})
    for name in (".DS_Store", "test/.hidden", "test/a/Thumbs.db"):
        (tmp_path / name).write_bytes(b"x")

    assert sizes(load(tmp_path)) == {"test": 2}


def test_a_link_inside_the_root_is_followed_and_one_out_of_it_is_refused(tmp_path):
    root = write_image_folder(tmp_path / "root", {"test/a": 2})
    (root / "test" / "a" / "z.png").symlink_to(root / "test" / "a" / "000.png")
    inside = sizes(load(root))
    Image.new("RGB", (5, 4)).save(tmp_path / "secret.png")
    (root / "test" / "a" / "out.png").symlink_to(tmp_path / "secret.png")

    assert inside == {"test": 3}
    assert refusal(root) == (
        "ROOT/test/a/out.png: is a link out of ROOT; wanted every file inside data.root."
    )  # fmt: skip


def test_a_link_to_nowhere_or_to_itself_is_refused(tmp_path):
    write_image_folder(tmp_path, {"test/a": 2})
    link = tmp_path / "test" / "a" / "b.png"
    link.symlink_to(link)

    assert refusal(tmp_path) == "ROOT/test/a/b.png: is a link that leads nowhere."


@pytest.mark.parametrize(
    ("counts", "extra", "message"),
    [
        ({}, None, "ROOT: holds no class folders; wanted a folder of images for each class."),
        ({"train/a": 2}, None, "ROOT: has a folder 'train' but none named 'test' or 'val'."),
        ({"test/a": 0}, None, "ROOT/test: holds no images."),
        ({"a": 2, "b": 2}, None, "4 images are too few to draw a test set from; wanted at least 5."),
        ({"train/a": 2, "test/b": 1}, None, "ROOT/test/b: class 'b' is not among the 1 classes."),
        ({"test/a": 1}, "test/readme.txt", "ROOT/test/readme.txt: wanted only class folders in 'test', got a file."),
        ({"test/a": 1}, "test/a/notes.txt", "ROOT/test/a/notes.txt: wanted an image file (.bmp, .gif, .jpeg, .jpg, "
         ".pbm, .pgm, .png, .pnm, .ppm, .tif, .tiff, .webp)."),
        ({"test/a": 1}, "test/a/a\nb.png", "ROOT/test/a: file name 'a\\nb.png' is not plain text; rename it."),
    ],
)  # fmt: skip
def test_a_folder_that_is_no_data_set_says_why(tmp_path, counts, extra, message):
    write_image_folder(tmp_path, counts)
    if extra:
        (tmp_path / extra).write_bytes(b"x")

    assert refusal(tmp_path) == message


def test_a_missing_root_is_named(tmp_path):
    said = refusal(tmp_path / "none")

    assert said == "ROOT: no such folder; data.root wants a folder with a folder of images for each class."


@pytest.mark.parametrize("size", [[5], [0, 4], [1, 2, 3], [100_000, 100_000]])
def test_a_size_that_is_no_size_is_refused(tmp_path, size):
    write_image_folder(tmp_path, {"test/a": 1})

    assert (
        refusal(tmp_path, size=size)
        == f"data.size={size}: wanted [height,width], at least 1 and 50000000 pixels at most."
    )


def test_a_damaged_image_is_named_when_it_is_read(tmp_path):
    write_image_folder(tmp_path, {"test/a": 3})
    path = tmp_path / "test" / "a" / "001.png"
    path.write_bytes(path.read_bytes()[:-30])
    split = load(tmp_path, size=[4, 5]).splits["test"]

    with pytest.raises(DataError) as caught:
        split.arrays()

    assert str(caught.value).startswith(f"{path}: cannot be decoded as PNG")


def test_a_file_that_changed_its_size_after_loading_is_an_error(tmp_path):
    write_image_folder(tmp_path, {"test/a": 3})
    split = load(tmp_path).splits["test"]
    Image.new("RGB", (9, 9)).save(tmp_path / "test" / "a" / "001.png")

    with pytest.raises(DataError) as caught:
        split.arrays()

    assert str(caught.value) == "split 'test': images of one size when they were listed now differ in size."


def listed(folder: Path, *lines: str, name: str = "classes.txt") -> str:
    """Write lines to a file beside the data and return its path."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def labels_of(data: LoadedData, split: str = "test") -> dict[str, str]:
    """Return the class name of each sample by its id."""
    labels = np.asarray(data.splits[split].targets()["label"])
    return {str(name): data.problem.classes[label] for name, label in zip(data.splits[split].ids, labels, strict=True)}


def test_a_file_says_the_order_of_the_classes(tmp_path):
    write_image_folder(tmp_path / "set", {"train/cat": 10, "train/dog": 10, "test/dog": 1})
    order = listed(tmp_path, "dog", "", "cow", "cat")

    data = load(tmp_path / "set", classes=order)

    assert data.problem.classes == ("dog", "cow", "cat")
    assert labels_of(data) == {"dog/000.png": "dog"}
    assert set(np.asarray(data.splits["train"].targets()["label"]).tolist()) == {0, 2}


def test_class_folders_that_are_numbers_have_the_order_of_text_and_that_is_said(tmp_path):
    write_image_folder(tmp_path / "set", {f"test/{k}": 1 for k in range(12)})

    data = load(tmp_path / "set")

    assert data.problem.classes[:4] == ("0", "1", "10", "11")
    (notice,) = data.notices
    assert (notice.code, notice.count) == ("class-order-as-text", 12)
    assert notice.text == (
        "the classes have the order of their names as text, 0, 1, 10, 11, 2 ... (12), as in torchvision's ImageFolder, "
        "not that of the numbers; data.classes=FILE sets another order, one class per line."
    )
    said = load(tmp_path / "set", classes=listed(tmp_path, *map(str, range(12))))
    assert (said.problem.classes[:3], said.notices) == (("0", "1", "2"), ())


@pytest.mark.parametrize("counts", [{"test/0": 1, "test/1": 1}, {"test/08": 1, "test/11": 1}, {"test/a": 1}])
def test_an_order_that_goes_without_saying_is_not_said(tmp_path, counts):
    write_image_folder(tmp_path, counts)

    assert load(tmp_path).notices == ()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["cat", "cat"], "FILE, line 2: class 'cat' is named twice."),
        ([""], "FILE: names no class; wanted one class per line."),
        (["cat", "cow"], "ROOT/test/dog: class 'dog' is not among the 2 classes."),
    ],
)
def test_a_list_of_classes_that_does_not_fit_is_refused(tmp_path, lines, message):
    write_image_folder(tmp_path / "set", {"test/cat": 1, "test/dog": 1})
    file = listed(tmp_path, *lines)

    assert refusal(tmp_path / "set", classes=file).replace(file, "FILE") == message


@pytest.mark.parametrize(
    "lines",
    [
        ["id,label", "000.png,dog", "001.png,cat"],
        ["File,Class", "x/000.png,dog", "x/001.png,cat"],
        ["000.png dog", "001.png cat"],
        ["000 dog", "001 cat"],
    ],
    ids=["csv", "paths", "blanks", "no endings"],
)
def test_a_file_labels_images_in_any_folder(tmp_path, lines):
    write_image_folder(tmp_path / "set", {"x": 2})
    (tmp_path / "set" / "notes.txt").touch()

    data = load(tmp_path / "set", labels=listed(tmp_path, *lines, name="labels.csv"))

    assert data.problem.classes == ("cat", "dog")
    assert list(labels_of(data).values()) == ["dog", "cat"]
    first = np.asarray(Image.open(tmp_path / "set" / "x" / "000.png"))
    assert np.array_equal(data.splits["test"].read([0])[0].inputs["image"][0], first)
    assert (sizes(data), data.notices) == ({"test": 2}, ())


def test_labels_that_are_numbers_sort_as_numbers(tmp_path):
    write_image_folder(tmp_path, {"x": 3})

    data = load(tmp_path, labels=listed(tmp_path, "000.png,10", "001.png,9", "002.png,10", name="labels.csv"))

    assert (data.problem.classes, data.notices) == (("9", "10"), ())
    assert list(labels_of(data).values()) == ["10", "9", "10"]


def test_numbers_count_the_classes_of_a_list_aloud(tmp_path):
    write_image_folder(tmp_path / "set", {"x": 2})
    order = listed(tmp_path, "dog", "cow", "cat")

    data = load(tmp_path / "set", classes=order, labels=listed(tmp_path, "000.png 2", "001.png 0", name="labels.txt"))

    assert list(labels_of(data).values()) == ["cat", "dog"]
    (notice,) = data.notices
    assert (notice.code, notice.count) == ("class-order-assumed", 2)
    assert notice.text == (
        "the labels of labels.txt are numbers and count classes from 0: dog, cow, cat; give names instead."
    )


def test_train_may_have_class_folders_beside_labelled_test_images(tmp_path):
    write_image_folder(tmp_path / "set", {"train/cat": 20, "train/dog": 10, "val": 2})

    data = load(tmp_path / "set", labels=listed(tmp_path, "000.png,dog", "001.png,cat", name="labels.csv"))

    assert sizes(data) == {"test": 2, "train": 27, "val": 3}
    assert labels_of(data) == {"000.png": "dog", "001.png": "cat"}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([""], "FILE: labels no image; wanted lines id,label."),
        (["id,label"], "FILE: labels no image; wanted lines id,label."),
        (["000.png"], "FILE, line 1: wanted an image and its class, got '000.png'."),
        (["000.png,a,b"], "FILE, line 1: wanted an image and its class, got '000.png,a,b'."),
        (["id,label", "9.png,a"], "FILE, line 2: no image '9.png' below ROOT."),
        (["001.png,a"], "FILE, line 1: image '001.png' could be x/001.png or y/001.png; give its path."),
        (["000.png,a", "000.png,b"], "FILE, line 2: image '000.png' is labelled twice."),
    ],
)
def test_labels_that_do_not_fit_name_the_line(tmp_path, lines, message):
    write_image_folder(tmp_path / "set", {"x": 2})
    write_image_folder(tmp_path / "set", {"y": 2})
    (tmp_path / "set" / "y" / "000.png").unlink()
    file = listed(tmp_path, *lines, name="labels.csv")

    assert refusal(tmp_path / "set", labels=file).replace(file, "FILE") == message


def test_a_label_that_is_no_class_of_the_list_is_named(tmp_path):
    write_image_folder(tmp_path / "set", {"x": 2})
    file = listed(tmp_path, "000.png,dgo", name="labels.csv")

    message = refusal(tmp_path / "set", labels=file, classes=listed(tmp_path, "cat", "dog"))

    assert message.replace(file, "FILE") == "FILE, line 1: unknown class 'dgo'. Did you mean 'dog'?"


def test_a_listed_path_cannot_leave_the_folder(tmp_path):
    write_image_folder(tmp_path, {"set": 1, "other": 1})
    file = listed(tmp_path, "../other/000.png,a", name="labels.csv")

    message = refusal(tmp_path / "set", labels=file)

    assert message == "ROOT/../other/000.png: is a link out of ROOT; wanted every file inside data.root."
