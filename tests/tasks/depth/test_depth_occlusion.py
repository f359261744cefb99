"""Protocols that leave occluded pixels out or fill holes as KITTI does, against loops over pixels; their folders."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from support.depth_maps import disparities, write_image, write_pfm, write_png16, write_stereo_folder

from mlcvbench.errors import DataError
from mlcvbench.running.scoring import tabulate
from mlcvbench_depth.folders import load_stereo_folder
from mlcvbench_depth.measuring import fill_background, measure_disparity
from mlcvbench_depth.motorcycle import load_motorcycle
from mlcvbench_depth.protocols import STEREO_PROTOCOLS, parse_stereo
from mlcvbench_depth.scoring import scorer_of
from mlcvbench_depth.task import DepthTask

STEPS = st.sampled_from([0, 0, 0, 128, 512, 1024, 5120, 20480, 21504])
maps = arrays(np.uint16, (5, 6), elements=STEPS)


def kit_fill(disparity: np.ndarray) -> np.ndarray:
    """The kit's filling as its readme tells it: pixel by pixel, row by row, then up and down; -1 is none."""
    filled = np.where(disparity > 0, disparity, -1.0)
    height, width = filled.shape
    for row in filled:
        known = [u for u in range(width) if row[u] >= 0]
        for left, right in itertools.pairwise(known):
            row[left + 1 : right] = min(row[left], row[right])
        if known:
            row[: known[0]] = row[known[0]]
            row[known[-1] + 1 :] = row[known[-1]]
    for column in filled.T:
        known = [v for v in range(height) if column[v] >= 0]
        if known:
            column[: known[0]] = column[known[0]]
            column[known[-1] + 1 :] = column[known[-1]]
    return filled


def counted(truth, estimate, occluded, *, seen_only: bool, holes: str, cap: float | None):
    """The definition, a pixel at a time; KITTI's ratio in float32 against a double, ours against a float32 share.

    Returns every metric, None where undefined.
    """
    filled = kit_fill(estimate) if holes == "filled" else estimate
    errors, total, estimated, distances = {"0_5": 0, "1": 0, "2": 0, "3": 0, "d1": 0}, 0, 0, []
    for t, e, f, o in zip(truth.ravel(), estimate.ravel(), filled.ravel(), occluded.ravel(), strict=True):
        if t <= 0 or (seen_only and o) or (cap is not None and t >= cap):
            continue
        total += 1
        estimated += e > 0
        if holes == "left out" and e <= 0:
            continue
        hole = holes == "bad" and e <= 0
        error = abs(np.float32(f) - t)
        if not hole:
            distances.append(float(error))
        for name in ("0_5", "1", "2", "3"):
            errors[name] += hole or error > float(name.replace("_", "."))
        far = float(np.float32(error) / t) > 0.05 if "filled" in holes else error > np.float32(0.05) * t
        errors["d1"] += hole or (error > 3 and far)
    pixels = estimated if holes == "left out" else total
    values = {f"bad_{name}": errors[name] / pixels if pixels else None for name in ("0_5", "1", "2", "3")}
    return values | {
        "d1": errors["d1"] / pixels if pixels else None,
        "epe": sum(distances) / len(distances) if distances else None,
        "density": estimated / total if total else None,
    }


@settings(deadline=None, max_examples=40)
@pytest.mark.parametrize("protocol", [*STEREO_PROTOCOLS, "stereo/cap4@1", "stereo/noc/holes-bad/cap20/per-image@1"])
@given(st.lists(st.tuples(maps, maps, arrays(bool, (5, 6))), min_size=1, max_size=3))
def test_every_stereo_protocol_equals_its_definition(protocol, images):
    """The pixels of all images as one, or the mean of the images that have the metric."""
    scorer, rules = scorer_of(protocol), parse_stereo(protocol)
    truth, estimate = (
        [np.asarray(column) for column in part] for part in zip(*[one[:2] for one in images], strict=True)
    )
    truth, occluded = [one.astype(np.float32) / 256 for one in truth], [one[2] for one in images]
    words = {"seen_only": rules.seen_only, "holes": rules.holes, "cap": rules.cap}
    floats = [one / np.float32(256) for one in estimate]

    table = scorer.rows({"disparity": estimate}, {"disparity": truth, "occluded": occluded}, np.arange(len(truth)))

    if rules.per_image:
        each = [counted(*one, **words) for one in zip(truth, floats, occluded, strict=True)]
        having = {name: [one[name] for one in each if one[name] is not None] for name in each[0]}
        wanted = {name: sum(values) / len(values) if values else None for name, values in having.items()}
    else:
        wanted = pooled(truth, floats, occluded, words)
    assert scorer.summarise(table) == pytest.approx(wanted, abs=1e-6)


def pooled(truth, estimate, occluded, words):
    """The definition over all images: holes are filled image by image, then their pixels stand side by side."""
    if words["holes"] == "filled":
        known = [kit_fill(one) for one in estimate]
        sides = [np.concatenate([one.ravel() for one in part])[None] for part in (truth, known, occluded)]
        values = counted(*sides, **{**words, "holes": "as filled"})
        flat = [np.concatenate([one.ravel() for one in part])[None] for part in (truth, estimate, occluded)]
        return values | {"density": counted(*flat, **{**words, "holes": "left out"})["density"]}
    flat = [np.concatenate([one.ravel() for one in part])[None] for part in (truth, estimate, occluded)]
    return counted(*flat, **words)


@settings(deadline=None, max_examples=150)
@given(arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 6)), elements=st.sampled_from([0, 0, 1, 2, 7.5])))
def test_holes_are_filled_as_the_kit_fills_them(disparity):
    assert np.array_equal(fill_background(disparity), kit_fill(disparity))


def test_exactly_five_percent_is_an_error_for_the_kit_only():
    truth, estimate = np.float32([[80]]), np.uint16([[84 * 256]])

    assert measure_disparity(truth, estimate, fill=True).d1 == 1
    assert measure_disparity(truth, estimate).d1 == 0


def test_kitti_puts_d1_first_and_counts_a_map_without_estimates_as_wrong():
    scorer = scorer_of("kitti-d1/all@1")
    truth, nothing = np.full((2, 2), 9, np.float32), np.zeros((2, 2), np.uint16)

    values = scorer.summarise(scorer.rows({"disparity": [nothing]}, {"disparity": [truth]}, np.arange(1)))

    assert scorer.primary().name == "d1"
    assert (values["d1"], values["density"], values["epe"]) == (1.0, 0.0, 10.0)


def test_data_without_the_mask_refuse_a_protocol_that_wants_it():
    data = load_motorcycle({}, 0)
    targets = data.splits["test"].targets()

    with pytest.raises(DataError) as caught:
        scorer_of("stereo/noc@1").rows({"disparity": targets["disparity"]}, targets, np.arange(1))

    assert str(caught.value) == (
        "protocol 'stereo/noc@1' wants targets of 'occluded', which this data set does not have; got disparity."
    )


@pytest.fixture
def hidden():
    return [np.random.default_rng(seed).random(one.shape) < 0.3 for seed, one in enumerate(disparities())]


def estimates(truth):
    rng = np.random.default_rng(5)
    return [np.rint(one * 256).astype(np.uint16) + rng.integers(0, 1500, one.shape, np.uint16) for one in truth]


def kitti_folder(root, truth, hidden):
    """Write KITTI's layout of 2015, with the second frames that have no truth."""
    for index, (one, mask) in enumerate(zip(truth, hidden, strict=True)):
        for frame in ("10", "11"):
            write_image(root / f"image_2/{index:06d}_{frame}.png", one.shape, index)
            write_image(root / f"image_3/{index:06d}_{frame}.png", one.shape, index + 9)
        write_png16(root / f"disp_occ_0/{index:06d}_10.png", one)
        write_png16(root / f"disp_noc_0/{index:06d}_10.png", np.where(mask, 0, one))
    return root


def occlusion_folder(root, truth, hidden):
    write_stereo_folder(root, truth)
    (root / "occlusion").mkdir()
    for index, mask in enumerate(hidden):
        Image.fromarray(mask.astype(np.uint8) * 255).save(root / f"occlusion/{index}.png")
    return root


@pytest.mark.parametrize("write", [kitti_folder, occlusion_folder])
def test_both_ways_to_write_occlusion_give_the_same_numbers(tmp_path, write, hidden):
    truth = disparities()
    data = load_stereo_folder({"root": str(write(tmp_path / "set", truth, hidden))}, 0)
    DepthTask().check_data(data)
    test, scorer = data.splits["test"], scorer_of("kitti-d1/noc@1")

    values = scorer.summarise(tabulate(scorer, {"disparity": estimates(truth)}, test.targets(), 3))

    columns = {"disparity": truth, "occluded": hidden}
    assert values == scorer.summarise(tabulate(scorer, {"disparity": estimates(truth)}, columns, 3))
    assert values != scorer_of("kitti-d1/all@1").summarise(
        tabulate(scorer_of("kitti-d1/all@1"), {"disparity": estimates(truth)}, columns, 3)
    )
    batch, targets = test.read([1])
    assert np.array_equal(targets["occluded"][0], hidden[1] & (truth[1] > 0) if write is kitti_folder else hidden[1])
    assert batch.inputs["left"][0].shape[:2] == truth[1].shape


def test_shards_give_the_same_bits_with_masks(tmp_path, hidden):
    truth = disparities()
    targets = load_stereo_folder({"root": str(occlusion_folder(tmp_path, truth, hidden))}, 0).splits["test"].targets()
    scorer = scorer_of("stereo/noc/holes-bad@1")

    values = [
        scorer.summarise(tabulate(scorer, {"disparity": estimates(truth)}, targets, 3, shards=k)) for k in (1, 2, 3)
    ]

    assert values[0] == values[1] == values[2]


def test_a_mask_without_a_map_or_of_another_size_is_named(tmp_path, hidden):
    truth = disparities()
    root = occlusion_folder(tmp_path, truth, hidden)
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(root / "occlusion/2.png")
    data = load_stereo_folder({"root": str(root)}, 0)

    with pytest.raises(DataError) as caught:
        tabulate(scorer_of("stereo/noc@1"), {"disparity": estimates(truth)}, data.splits["test"].targets(), 3)

    assert str(caught.value) == f"{root / 'occlusion/2.png'}: has 4 x 4 pixels, but its disparity map has 8 x 9."
    (root / "occlusion/2.png").unlink()
    with pytest.raises(DataError) as caught:
        load_stereo_folder({"root": str(root)}, 0)
    assert str(caught.value) == f"{root / 'disparity/2.npz'}: has no occlusion mask of that name in {root}."


def test_truth_without_occluded_pixels_of_another_size_is_named(tmp_path, hidden):
    root = kitti_folder(tmp_path, disparities(), hidden)
    write_pfm(root / "disp_noc_0/000001_10.pfm", np.ones((2, 2), np.float32))
    (root / "disp_noc_0/000001_10.png").unlink()
    targets = load_stereo_folder({"root": str(root)}, 0).splits["test"].targets()

    with pytest.raises(DataError) as caught:
        targets["occluded"][1]

    assert str(caught.value) == (
        f"{root / 'disp_noc_0/000001_10.pfm'}: has 2 x 2 pixels, but {root / 'disp_occ_0/000001_10.png'} has 7 x 9."
    )
