"""How predictions and truth in files become metres and pixels: units, sizes, 8 bits, KITTI's folders, first samples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from support.depth_maps import write_image, write_pfm, write_png16

from mlcvbench.cli import main
from mlcvbench_depth.resizing import WAYS, resized, resized_disparity

SHAPE = (20, 60)


def metres(seed: int, low: float = 2, high: float = 70, steps: float = 256) -> np.ndarray:
    return np.round(np.random.default_rng(seed).uniform(low, high, SHAPE) * steps) / steps


def depth_folder(root: Path, maps: list[np.ndarray], scale: float = 256) -> Path:
    for index, one in enumerate(maps):
        write_image(root / f"images/{index}.png", one.shape, index)
        write_png16(root / f"depth/{index}.png", one, scale)
    return root


def stereo_folder(root: Path, maps: list[np.ndarray]) -> Path:
    for index, one in enumerate(maps):
        for side in ("left", "right"):
            write_image(root / side / f"{index}.png", one.shape, index)
        write_pfm(root / f"disparity/{index}.pfm", one)
    return root


def save(folder: Path, maps: list[np.ndarray]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for index, one in enumerate(maps):
        np.save(folder / f"{index}.npy", one.astype(np.float32))
    return folder


def score(capsys: pytest.CaptureFixture[str], folder: Path, *words: str) -> dict[str, Any]:
    """Return the record of `mlcvbench score`, or what it said on standard error as `error`."""
    capsys.readouterr()
    settings_ = ["as=m", "intervals=off", f"out={folder / 'runs'}", "--json"]
    code = main(["score", *words, *settings_])
    printed = capsys.readouterr()
    return json.loads(printed.out) if code == 0 else {"error": printed.err.strip(), "code": code}


def value(record: dict[str, Any], name: str) -> float:
    assert "metrics" in record, record
    found = record["metrics"][name]["value"]
    assert isinstance(found, float)
    return found


def codes(record: dict[str, Any]) -> list[str]:
    return [notice["code"] for notice in record["notices"]]


def test_predictions_of_inf_score_like_those_at_the_cap(tmp_path, capsys):
    truth = [metres(seed, 5, 79) for seed in range(3)]
    root = depth_folder(tmp_path / "d", truth)
    noise = np.random.default_rng(9).normal(1, 0.02, SHAPE)
    far = [np.where(one > 75, np.inf, one * noise) for one in truth]
    words = ["task=depth-folder", f"data.root={root}"]

    endless = score(capsys, tmp_path, *words, f"predictions={save(tmp_path / 'inf', far)}")
    capped = score(
        capsys, tmp_path, *words, f"predictions={save(tmp_path / 'far', [np.minimum(one, 80) for one in far])}"
    )

    assert endless["metrics"] == capped["metrics"]
    assert value(endless, "abs_rel") < 0.05
    assert codes(endless) == ["estimates-of-inf"]


def test_scale_says_what_the_numbers_of_predictions_are_divided_by(tmp_path, capsys):
    truth = [metres(seed, 1, 9, 1000) for seed in range(2)]
    root = depth_folder(tmp_path / "d", truth, scale=1000)
    for index, one in enumerate(truth):
        write_png16(tmp_path / f"p/{index}.png", one * 1.1, 256)
    words = ["task=depth-folder", f"data.root={root}", "data.scale=1000", f"predictions={tmp_path / 'p'}"]

    wrong, right = score(capsys, tmp_path, *words), score(capsys, tmp_path, *words, "scale=256")

    assert value(wrong, "abs_rel") == pytest.approx(1 - 1.1 * 0.256, abs=1e-3)
    assert wrong["notices"][0]["text"].startswith("one factor explains the estimates: they are 0.2816 times the truth")
    assert value(right, "abs_rel") == pytest.approx(0.1, abs=1e-3)
    assert right["command"].endswith(" data.scale=1000.0 scale=256.0 intervals=false")


@pytest.mark.parametrize("suffix", [".npy", ".pfm", ".npz"])
def test_scale_divides_floats_too(tmp_path, capsys, suffix):
    truth = metres(0)
    root = depth_folder(tmp_path / "d", [truth])
    millimetres = (truth * 1000).astype(np.float32)
    (tmp_path / "p").mkdir()
    if suffix == ".npz":
        np.savez(tmp_path / "p/0.npz", depth=millimetres)
    elif suffix == ".npy":
        np.save(tmp_path / "p/0.npy", millimetres)
    else:
        write_pfm(tmp_path / "p/0.pfm", millimetres)
    words = ["task=depth-folder", f"data.root={root}", f"predictions={tmp_path / 'p'}"]

    assert value(score(capsys, tmp_path, *words, "scale=1000"), "abs_rel") == pytest.approx(0, abs=1e-6)
    assert codes(score(capsys, tmp_path, *words)) == ["one-factor"]


def test_predictions_at_the_networks_size_are_refused_by_default_and_resized_when_asked(tmp_path, capsys):
    truth = [np.full(SHAPE, 7.0), np.repeat(np.repeat(metres(1)[::2, ::2], 2, 0), 2, 1)]
    root = depth_folder(tmp_path / "d", truth)
    predictions = save(tmp_path / "half", [one[::2, ::2] for one in truth])
    words = ["task=depth-folder", f"data.root={root}", f"predictions={predictions}"]

    refused = score(capsys, tmp_path, *words)
    nearest, bilinear = (score(capsys, tmp_path, *words, f"resize={way}") for way in ("nearest", "bilinear"))

    assert refused == {
        "error": f"mlcvbench: error: {predictions / '0.npy'}: field 'depth': wanted 20 x 60 pixels like the truth, got "
        "10 x 30. Say resize=bilinear or resize=nearest to have predictions brought to the truth's size.",
        "code": 2,
    }
    assert value(nearest, "abs_rel") == 0
    assert value(bilinear, "abs_rel") > 0.01
    assert " resize=nearest" in nearest["command"]
    assert nearest["run_key"] != bilinear["run_key"]


def test_resized_disparities_grow_with_the_width(tmp_path, capsys):
    truth = np.full(SHAPE, 12.0, np.float32)
    root = stereo_folder(tmp_path / "s", [truth])
    predictions = save(tmp_path / "third", [np.full((10, 20), 4.25)])

    record = score(
        capsys, tmp_path, "task=stereo-folder", f"data.root={root}", f"predictions={predictions}", "resize=bilinear"
    )

    assert value(record, "epe") == 0.75
    assert value(record, "density") == 1


sizes = st.tuples(st.integers(1, 9), st.integers(1, 9))


@settings(deadline=None, max_examples=60)
@given(st.data(), sizes, sizes, st.sampled_from(WAYS))
def test_resizing_equals_torchs(data, had, wanted, way):
    import torch

    values = data.draw(arrays(np.float32, had, elements=st.floats(0, 100, width=16)))
    mode = {"mode": "bilinear", "align_corners": False} if way == "bilinear" else {"mode": "nearest-exact"}

    torchs = torch.nn.functional.interpolate(torch.from_numpy(values)[None, None], size=wanted, **mode)[0, 0].numpy()

    assert resized(values, wanted, way) == pytest.approx(torchs, rel=1e-5, abs=1e-4)


def test_a_pixel_blended_with_a_hole_is_a_hole_and_inf_spreads_no_further_than_its_weight():
    holes = resized_disparity(np.float32([[4, 4, 0, 4]]), (1, 8), "bilinear")

    assert holes.tolist() == [[8, 8, 8, 0, 0, 0, 0, 8]]
    assert resized(np.float32([[1, 1, np.inf]]), (1, 3), "bilinear").tolist() == [[1, 1, np.inf]]
    assert resized(np.float32([[1, np.inf]]), (1, 4), "bilinear").tolist() == [[1, np.inf, np.inf, np.inf]]


@pytest.mark.parametrize("scale", [4, 8])
def test_8_bit_truth_is_read_when_its_scale_is_said(tmp_path, capsys, scale):
    steps = np.random.default_rng(0).integers(8, 240, SHAPE).astype(np.uint8)
    steps[:2] = 0
    root = tmp_path / "m"
    for side in ("left", "right"):
        write_image(root / side / "0.png", SHAPE)
    (root / "disparity").mkdir()
    Image.fromarray(steps).save(root / "disparity/0.png")
    predictions = save(tmp_path / "p", [np.where(steps > 0, steps / scale + 1, 5)])
    words = ["task=stereo-folder", f"data.root={root}", f"predictions={predictions}"]

    assert value(score(capsys, tmp_path, *words, f"data.scale={scale}"), "epe") == 1.0
    assert "wanted a 16-bit PNG, got 8 bits" in score(capsys, tmp_path, *words)["error"]


def test_8_bit_predictions_are_read_when_their_scale_is_said(tmp_path, capsys):
    truth = np.random.default_rng(0).integers(8, 60, SHAPE).astype(np.float32)
    root = stereo_folder(tmp_path / "s", [truth])
    (tmp_path / "p").mkdir()
    Image.fromarray((truth * 4 + 4).astype(np.uint8)).save(tmp_path / "p/0.png")
    words = ["task=stereo-folder", f"data.root={root}", f"predictions={tmp_path / 'p'}"]

    assert value(score(capsys, tmp_path, *words, "scale=4"), "epe") == 1.0
    assert "scale=N for predictions" in score(capsys, tmp_path, *words)["error"]


@pytest.mark.parametrize("year", ["2015", "2012"])
def test_kittis_root_is_the_folder_above_training_too(tmp_path, capsys, year):
    names = {"2015": ("image_2", "image_3", "disp_occ_0", "disp_noc_0")}
    left, right, occ, noc = names.get(year, ("colored_0", "colored_1", "disp_occ", "disp_noc"))
    truth = metres(0, 2, 60)
    for side in (left, right):
        write_image(tmp_path / f"kitti/training/{side}/000000_10.png", SHAPE)
        write_image(tmp_path / f"kitti/testing/{side}/000000_10.png", SHAPE)
    for kind in (occ, noc):
        write_png16(tmp_path / f"kitti/training/{kind}/000000_10.png", truth)
    write_png16(tmp_path / "p/000000_10.png", truth + 1)
    words = ["task=kitti2015", f"predictions={tmp_path / 'p'}"]

    above, itself = (
        score(capsys, tmp_path, *words, f"data.root={tmp_path / root}") for root in ("kitti", "kitti/training")
    )

    assert value(above, "epe") == 1.0
    assert above["metrics"] == itself["metrics"]
    assert above["dataset"]["fingerprint"] == itself["dataset"]["fingerprint"]


@pytest.mark.parametrize("task", ["depth-folder", "stereo-folder"])
def test_the_first_samples_are_scored_out_of_predictions_for_all(tmp_path, capsys, task):
    truth = [metres(seed, 2, 60).astype(np.float32) for seed in range(3)]
    make = depth_folder if task == "depth-folder" else stereo_folder
    root = make(tmp_path / "set", truth)
    predictions = save(tmp_path / "p", [one + 1 + index for index, one in enumerate(truth)])
    words = [f"task={task}", f"data.root={root}", f"predictions={predictions}"]

    first = score(capsys, tmp_path, *words, "limit=2")

    assert (first["partial"], first["dataset"]["n"]) == (True, 2)
    wanted = np.mean([(1 + index) / truth[index] for index in range(2)]) if task == "depth-folder" else 1.5
    assert value(first, "abs_rel" if task == "depth-folder" else "epe") == pytest.approx(wanted, rel=1e-3)


def test_relative_inverse_depth_is_scored_by_a_protocol_that_fits_it(tmp_path, capsys):
    truth = [metres(seed) for seed in range(3)]
    depth_folder(tmp_path / "d", truth)
    predictions = save(tmp_path / "p", [37 / one + 0.5 for one in truth])

    def under(protocol: str) -> dict[str, Any]:
        definition = tmp_path / "mine.yaml"
        data = f"{{name: depth-folder, root: {tmp_path / 'd'}}}"
        definition.write_text(f"name: mine\nkind: depth\ndata: {data}\nprotocol: {protocol}\n")
        return score(capsys, tmp_path, f"task={definition}", f"predictions={predictions}")

    fitted, median = (under(f"mono/full/cap80/{scaling}@1") for scaling in ("scale-shift-inverse", "median-scale"))

    assert (value(fitted, "abs_rel"), value(fitted, "delta1")) == (pytest.approx(0, abs=1e-5), 1)
    assert fitted["notices"] == []
    assert value(median, "abs_rel") > 1
    assert codes(median) == ["near-and-far-swapped"]


def test_images_are_pooled_or_averaged_and_truth_beyond_the_range_left_out_as_the_id_says(tmp_path, capsys):
    near, far = np.random.default_rng(0).uniform(2, 60, SHAPE), np.full(SHAPE, np.inf)
    far[0, :10] = 250
    root = stereo_folder(tmp_path / "m", [near.astype(np.float32), far.astype(np.float32)])
    predictions = save(tmp_path / "p", [near + 1, np.where(np.isfinite(far), far + 20, 9)])

    def epe(protocol: str) -> float:
        definition = tmp_path / "mine.yaml"
        data = f"{{name: stereo-folder, root: {root}}}"
        definition.write_text(f"name: mine\nkind: depth\ndata: {data}\nprotocol: {protocol}\n")
        return value(score(capsys, tmp_path, f"task={definition}", f"predictions={predictions}"), "epe")

    assert epe("stereo/all@1") == pytest.approx((1200 + 200) / 1210, abs=1e-3)
    assert epe("stereo/all/per-image@1") == pytest.approx((1 + 20) / 2, abs=1e-3)
    assert epe("stereo/cap192/per-image@1") == pytest.approx(1, abs=1e-3)
    assert epe("stereo/cap192@1") == pytest.approx(1, abs=1e-3)
