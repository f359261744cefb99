"""Protocol ids of depth: everything that changes a number is part of the id."""

from __future__ import annotations

import re
from typing import NamedTuple

from mlcvbench.errors import UnknownNameError

LEFT_OUT, BAD, FILLED = "left out", "bad", "filled"
CROPS: dict[str, tuple[float, float, float, float] | None] = {
    "full": None,
    "garg": (0.40810811, 0.99189189, 0.03594771, 0.96405229),
    "eigen": (0.3324324, 0.91351351, 0.0359477, 0.96405229),
    "nyu": (45 / 480, 471 / 480, 41 / 640, 601 / 640),
}
"""Top, bottom, left, right as shares of the image. garg: Garg et al. 2016; eigen, nyu: Eigen et al. 2014."""
SCALINGS = ("metric", "median-scale")
_CAPS = (10, 50, 80)
MONO_PROTOCOLS = tuple(f"mono/{crop}/cap{cap}/{scaling}@1" for crop in CROPS for cap in _CAPS for scaling in SCALINGS)
_MONO = re.compile(r"mono/(full|garg|eigen|nyu)/cap([1-9]\d{0,3})/(metric|median-scale)@1")


class StereoRules(NamedTuple):
    """What a stereo id says: only pixels that the right camera sees, and what a pixel without an estimate is."""

    seen_only: bool
    holes: str


STEREO_RULES = {
    "stereo/all@1": StereoRules(seen_only=False, holes=LEFT_OUT),
    "stereo/holes-bad@1": StereoRules(seen_only=False, holes=BAD),
    "stereo/noc@1": StereoRules(seen_only=True, holes=LEFT_OUT),
    "stereo/noc/holes-bad@1": StereoRules(seen_only=True, holes=BAD),
    "kitti-d1/all@1": StereoRules(seen_only=False, holes=FILLED),
    "kitti-d1/noc@1": StereoRules(seen_only=True, holes=FILLED),
}
STEREO_PROTOCOLS = tuple(STEREO_RULES)
PROTOCOLS = STEREO_PROTOCOLS + MONO_PROTOCOLS


class MonoRules(NamedTuple):
    """What a monocular id says."""

    crop: str
    cap: float
    median_scale: bool


def parse_mono(protocol: str) -> MonoRules:
    """Return the rules of a monocular id; any whole number of metres may be the cap.

    >>> parse_mono("mono/garg/cap80/median-scale@1")
    MonoRules(crop='garg', cap=80.0, median_scale=True)
    """
    match = _MONO.fullmatch(protocol)
    if match is None:
        raise UnknownNameError("depth protocol", protocol, PROTOCOLS)
    return MonoRules(match[1], float(match[2]), match[3] == "median-scale")


def crop_window(crop: str, height: int, width: int) -> tuple[slice, slice]:
    """Return the rows and columns of a crop, bounds cut to whole pixels as the published code does.

    >>> crop_window("garg", 375, 1242)
    (slice(153, 371, None), slice(44, 1197, None))
    """
    shares = CROPS[crop]
    if shares is None:
        return slice(0, height), slice(0, width)
    top, bottom, left, right = shares
    return slice(int(top * height), int(bottom * height)), slice(int(left * width), int(right * width))
