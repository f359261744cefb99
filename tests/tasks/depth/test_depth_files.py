"""PFM, 16-bit PNG, npz and npy; folders of pairs and of depth; stored and external predictions; pictures."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
from support.depth_maps import disparities, write_image, write_map, write_pfm, write_png16, write_stereo_folder

from mlcvbench.contract import Outcome
from mlcvbench.running.scoring import tabulate
from mlcvbench_depth.folders import load_depth_folder, load_stereo_folder
from mlcvbench_depth.formats import as_truth, read_map
from mlcvbench_depth.plots import draw
from mlcvbench_depth.task import DepthTask


@pytest.fixture
def truth():
    return disparities()


@pytest.fixture
def data(tmp_path, truth):
    return load_stereo_folder({"root": str(write_stereo_folder(tmp_path / "set", truth))}, 0)


@pytest.mark.parametrize("order", ["<", ">"])
def test_pfm_of_either_byte_order_is_read_top_row_first(tmp_path, order):
    values = np.arange(6, dtype=np.float32).reshape(2, 3)

    assert np.array_equal(read_map(write_pfm(tmp_path / "a.pfm", values, order), "disparity"), values)


def test_the_size_of_a_pfm_scale_is_not_applied_as_middlebury_writes_it(tmp_path):
    path = write_pfm(tmp_path / "a.pfm", np.full((1, 1), 7, np.float32), scale=0.003922)

    assert read_map(path, "disparity").tolist() == [[7.0]]


def test_pfm_equals_opencvs_reading(tmp_path):
    import cv2

    values = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    cv2.imwrite(str(tmp_path / "a.pfm"), values)

    assert np.array_equal(read_map(tmp_path / "a.pfm", "disparity"), values)


def test_png_values_are_divided_by_the_scale(tmp_path):
    path = write_png16(tmp_path / "a.png", np.array([[1.5, 255.0]]))

    assert read_map(path, "disparity").tolist() == [[1.5, 255.0]]
    assert read_map(path, "depth", 1000.0).tolist() == [[np.float32(0.384), np.float32(65.28)]]


def test_npz_gives_the_named_or_the_only_array_and_npy_its_array(tmp_path):
    values = np.ones((2, 2), np.float32)
    np.savez(tmp_path / "a.npz", disparity=values, other=values * 2)
    np.savez(tmp_path / "b.npz", anything=values)
    np.save(tmp_path / "c.npy", values.astype(np.float16))

    assert all(np.array_equal(read_map(tmp_path / name, "disparity"), values) for name in ("a.npz", "b.npz", "c.npy"))


def test_unknown_truth_is_zero_whatever_it_was_written_as(tmp_path):
    values = np.float32([[np.inf, np.nan, 0, 3]])

    assert as_truth(values, tmp_path).tolist() == [[0, 0, 0, 3]]


def test_a_stereo_folder_gives_pairs_and_truth(data, truth):
    test = data.splits["test"]

    batch, targets = test.read(slice(0, 3))

    assert sorted(batch.inputs) == ["left", "right"]
    assert [image.shape[:2] for image in batch.inputs["left"]] == [one.shape for one in truth]
    assert all(np.array_equal(a, b) for a, b in zip(targets["disparity"], truth, strict=True))
    assert data.problem.extra["field"] == "disparity"


def test_a_depth_folder_is_in_metres(tmp_path):
    metres = np.array([[1.25, 0.0], [10.0, 80.0]])
    write_png16(tmp_path / "test/depth/a/0.png", metres, 500.0)
    write_image(tmp_path / "test/images/a/0.jpg", (2, 2))

    data = load_depth_folder({"root": str(tmp_path), "scale": 500.0}, 0)

    assert data.splits["test"].ids.tolist() == ["a/0"]
    assert np.allclose(data.splits["test"].targets()["depth"][0], metres)


def test_the_fingerprint_knows_every_pixel_and_the_scale(tmp_path, truth):
    root = write_stereo_folder(tmp_path / "set", truth)
    first = load_stereo_folder({"root": str(root)}, 0).fingerprint()

    assert load_stereo_folder({"root": str(root)}, 0).fingerprint() == first
    assert load_stereo_folder({"root": str(root), "scale": 255.0}, 0).fingerprint() != first
    truth[0][0, 0] += 1
    write_map(root / "disparity", 0, truth[0])
    assert load_stereo_folder({"root": str(root)}, 0).fingerprint() != first


def test_stored_and_external_predictions_score_alike(tmp_path, data, truth):
    task, test = DepthTask(), data.splits["test"]
    for index, values in enumerate(truth):
        write_map(tmp_path / "out", index, np.where(values > 30, 0, values + np.float32(0.25)))
    scorer = task.scorer("stereo/holes-bad@1", data.problem)

    external = task.read_external(tmp_path / "out", test, data.problem, {})
    path = task.save(external.predictions, test.ids, tmp_path)
    stored = task.load(path, test.ids, data.problem)

    values = scorer.summarise(tabulate(scorer, external.predictions, test.targets(), 3))
    assert values == scorer.summarise(tabulate(scorer, stored, test.targets(), 3))
    assert values["epe"] == 0.25
    known = np.concatenate([one[one > 0] for one in truth])
    assert values["density"] == pytest.approx((known <= 30).mean())


def test_equal_predictions_give_equal_bytes(tmp_path, data):
    task, ids = DepthTask(), np.array(["a", "b"])
    maps = task.check({"disparity": np.random.default_rng(0).uniform(0, 90, (2, 5, 5))}, ids, data.problem)
    (tmp_path / "x").mkdir()

    one, other = task.save(maps, ids, tmp_path), task.save(task.merge([maps]), ids, tmp_path / "x")

    assert one.read_bytes() == other.read_bytes()


def test_pictures_are_drawn_the_same_every_time(tmp_path, data, truth):
    task, test = DepthTask(), data.splits["test"]
    guesses = {"disparity": [np.where(one > 40, 0, one + 1).astype(np.float32) for one in truth]}
    scorer = task.scorer("stereo/all@1", data.problem)
    table = tabulate(scorer, guesses, test.targets(), 3)

    outcome = Outcome(guesses, test.targets(), test, data.problem, scorer.protocol_id, table)
    plots = [draw(tmp_path / name, outcome) for name in ("a", "b")]

    assert [plot.file for plot in plots[0]] == ["worst.png", "errors.png"]
    for plot in plots[0]:
        assert (tmp_path / "a" / plot.file).read_bytes() == (tmp_path / "b" / plot.file).read_bytes()


@pytest.mark.parametrize(
    ("settings", "kept"),
    [({}, True), ({"scale": 256.0}, True), ({"scale": 128.0}, True), ({"resize": "nearest"}, False)],
)
def test_disparities_are_kept_as_they_were_handed_in_unless_they_are_resized(tmp_path, data, truth, settings, kept):
    task, test = DepthTask(), data.splits["test"]
    (tmp_path / "out").mkdir()
    files = [write_png16(tmp_path / "out" / f"{index}.png", values + 0.25) for index, values in enumerate(truth)]
    external = task.read_external(tmp_path / "out", test, data.problem, settings)
    path = task.save(external.predictions, test.ids, tmp_path)

    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist() if name.endswith(".png")}
    assert list(members.values()) == ([file.read_bytes() for file in files] if kept else [])
    stored = task.load(path, test.ids, data.problem)["disparity"]
    handed = external.predictions["disparity"]
    assert all(np.array_equal(a, b) and a.dtype == np.uint16 for a, b in zip(stored, handed, strict=True))


@pytest.mark.parametrize("scale", [None, 1000.0])
def test_depths_are_kept_as_they_were_handed_in_with_their_scale(tmp_path, scale):
    root, depth = tmp_path / "set", np.random.default_rng(0).uniform(1, 60, (2, 6, 8))
    for index, values in enumerate(depth):
        write_image(root / "images" / f"{index}.png", (6, 8))
        write_png16(root / "depth" / f"{index}.png", values)
        write_png16(tmp_path / "out" / f"{index}.png", values * 1.1)
    data, task = load_depth_folder({"root": str(root)}, 0), DepthTask()
    test = data.splits["test"]
    external = task.read_external(tmp_path / "out", test, data.problem, {"scale": scale})

    path = task.save(external.predictions, test.ids, tmp_path)
    stored = task.load(path, test.ids, data.problem)["depth"]

    with zipfile.ZipFile(path) as archive:
        assert {"depth_000000.png", "depth_000001.png", "scale.npy"} < set(archive.namelist())
    assert [one.dtype for one in stored] == [np.float32] * 2
    assert all(np.array_equal(a, b) for a, b in zip(stored, external.predictions["depth"], strict=True))
