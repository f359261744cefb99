"""The tables of sizes, depths and poses on the page hold the numbers of the test splits."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from support.paths import ROOT

from mlcvbench.contract import LoadedData
from mlcvbench_depth.scenes import load_scenes_mono, load_scenes_mono_varied
from mlcvbench_detection.scenes import load_scenes, load_scenes_256
from mlcvbench_scenes.dataset import FIRST_NUMBER
from mlcvbench_scenes.faces import draw_shot

PAGE = ROOT / "docs" / "scenes.md"
SMALL, MEDIUM = 32**2, 96**2
"""The most pixels of a small and of a medium object, as in COCO's protocol."""
ENDS = (5, 50, 95)


def table(first: str) -> dict[str, list[str]]:
    """Return the rows of the page's table whose first heading is `first`, by their own first cell."""
    (text,) = re.findall(rf"^\| {re.escape(first)} \|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE.read_text(), re.MULTILINE)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    return {row[0].replace("`", ""): row[1:] for row in rows}


def sizes_of(data: LoadedData) -> list[str]:
    """Return what there is to find in an image, mean and 5th to 95th percentile, and the shares of the three sizes."""
    targets = data.splits["test"].targets()
    kept = [np.asarray(area)[~crowd] for area, crowd in zip(targets["area"], targets["crowd"], strict=True)]
    area, count = np.concatenate(kept), np.array([len(own) for own in kept])
    low, high = np.percentile(count, [5, 95])
    shares = (area <= SMALL).mean(), ((area > SMALL) & (area <= MEDIUM)).mean(), (area > MEDIUM).mean()
    side = np.percentile(np.sqrt(area), ENDS)
    return [
        f"{count.mean():.1f} ({low:.0f}-{high:.0f})",
        *(f"{100 * share:.1f}" for share in shares),
        ", ".join(f"{value:.0f}" for value in side),
    ]


def depths_of(data: LoadedData) -> list[str]:
    """Return percentiles of depth over all pixels, and of cameras' heights, pitches and focal lengths over images."""
    test = data.splits["test"]
    batch, targets = test.read(slice(0, len(test)))
    pose, depth = batch.meta["pose"], np.asarray(targets["depth"])
    down = np.degrees(np.arcsin(-pose[:, 2, 2]))  # the forward axis points this far below the horizon
    columns = (
        (depth, "{:.1f}"),
        (pose[:, 2, 3], "{:.1f}"),
        (down, "{:.0f}"),
        (batch.meta["intrinsics"][:, 0, 0] / depth.shape[2], "{:.2f}"),
    )
    return [", ".join(form.format(value + 0.0) for value in np.percentile(own, ENDS)) for own, form in columns]


def turns_of(level: str) -> list[str]:
    """Return percentiles of how far faces are turned aside, up or down, and tilted, degrees without sign."""
    shots = [draw_shot(0, FIRST_NUMBER["test"] + person, shot, level) for person in range(300) for shot in range(8)]
    columns = [np.degrees(2 * np.arctan(np.abs([getattr(shot, name) for shot in shots]))) for name in TURNS]
    return [", ".join(f"{value:.0f}" for value in np.percentile(own, ENDS)) for own in columns]


TURNS = ("yaw", "pitch", "roll")
COUNTS = {"train": 0, "val": 0}
SIZES = {
    **{
        f"scenes, {level}": (load_scenes, {"level": level, "size": (128, 128), "test": 150})
        for level in ("easy", "medium", "hard")
    },
    **{
        f"scenes-256, {level}": (
            load_scenes_256,
            {"level": level, "size": (256, 256), "half_size": (0.15, 0.9), "test": 500},
        )
        for level in ("easy", "medium", "hard")
    },
}
DEPTHS = {
    "scenes-mono": (load_scenes_mono, {"test": 150}),
    "scenes-mono-varied": (load_scenes_mono_varied, {"test": 500}),
}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_sizes_of_objects_are_those_on_the_page():
    found = {name: sizes_of(load({**params, **COUNTS}, 0)) for name, (load, params) in SIZES.items()}

    assert found == table("to find in the test split")


@pytest.mark.slow
def test_depths_and_cameras_are_those_on_the_page():
    found = {name: depths_of(load({**params, **COUNTS}, 0)) for name, (load, params) in DEPTHS.items()}

    assert found == table("test split, 5th, 50th and 95th percentile")


def test_turns_of_faces_are_those_on_the_page():
    assert {level: turns_of(level) for level in ("easy", "medium", "hard")} == table("photographs, `level`")


def test_scenes_256_fills_each_size_and_scenes_has_no_large_object():
    few = {"size": (256, 256), "half_size": (0.15, 0.9), "test": 24, **COUNTS}

    small, medium, large = map(float, sizes_of(load_scenes_256(few, 0))[1:4])

    assert min(small, medium, large) > 5
    assert math.isclose(small + medium + large, 100, abs_tol=0.2)
    assert float(sizes_of(load_scenes({"size": (128, 128), "test": 24, **COUNTS}, 0))[3]) == 0
