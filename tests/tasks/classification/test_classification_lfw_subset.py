"""The faces and non-faces that scikit-image ships: whose pixels, which class, which split."""

from __future__ import annotations

import importlib.util
from types import SimpleNamespace

import numpy as np
import pytest

from mlcvbench.contract import JoinedSplit
from mlcvbench.errors import DataError
from mlcvbench.registry import get_registry
from mlcvbench.testing import check_dataset
from mlcvbench_classification.lfw_subset import load_lfw_subset


def arrays(data, *names):
    inputs, targets = JoinedSplit([data.splits[name] for name in names], "all").arrays()
    return inputs["image"], targets["label"]


def test_pixels_and_classes_are_scikit_images_to_half_a_grey_level():
    from skimage.data import lfw_subset

    data = load_lfw_subset({}, 0)
    images, labels = arrays(data, "train", "val", "test")
    ids = np.concatenate([data.splits[name].ids for name in ("train", "val", "test")]).astype(int)

    assert data.problem.classes == ("non-face", "face")
    assert sorted(ids.tolist()) == list(range(200))
    assert images.dtype == np.uint8
    assert np.abs(images / 255 - lfw_subset()[ids]).max() <= 0.5 / 255 + 1e-12
    np.testing.assert_array_equal(labels, ids < 100)


def test_the_first_75_of_each_class_train_and_the_last_25_test_whatever_the_seed():
    data = load_lfw_subset({}, 0)
    images, _ = arrays(data, "train", "val")

    assert {name: len(split) for name, split in data.splits.items()} == {"train": 120, "val": 30, "test": 50}
    for name in data.splits:
        assert arrays(data, name)[1].mean() == 0.5
    assert set(data.splits["test"].ids.astype(int) % 100) == set(range(75, 100))
    assert images.shape == (150, 25, 25)
    assert load_lfw_subset({}, 3).fingerprint() == data.fingerprint()


def test_the_data_set_keeps_the_contract():
    results = check_dataset(get_registry().dataset("lfw_subset", "classification").spec)

    assert [result for result in results if result.passed is False] == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "skimage/data/lfw_subset.npy: cannot be read ("),
        (b"no array", "skimage/data/lfw_subset.npy: cannot be read ("),
        (
            np.zeros((2, 25, 25)),
            "skimage/data/lfw_subset.npy: wanted floats (200, 25, 25) from 0 to 1, got float64 (2, 25, 25); "
            "reinstall 'scikit-image'.",
        ),
        (
            np.full((200, 25, 25), 9.0),
            "skimage/data/lfw_subset.npy: wanted floats (200, 25, 25) from 0 to 1, got values from 9.0 to 9.0; "
            "reinstall 'scikit-image'.",
        ),
    ],
)
def test_a_damaged_installation_is_named(content, message, tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "lfw_subset.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content)
    found = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: found)

    with pytest.raises(DataError) as caught:
        load_lfw_subset({}, 0)

    assert str(caught.value).startswith(message)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(DataError) as caught:
        load_lfw_subset({}, 0)

    assert str(caught.value) == (
        "package 'skimage', which carries the data, is not installed. Run: pip install scikit-image"
    )
