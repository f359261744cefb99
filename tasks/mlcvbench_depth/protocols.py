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
METRIC, MEDIAN, FITTED, FITTED_INVERSE = "metric", "median-scale", "scale-shift", "scale-shift-inverse"
SCALINGS = (METRIC, MEDIAN, FITTED, FITTED_INVERSE)
_CAPS = (10, 50, 80)
_USUAL_RANGE = 192
"""Pixels; the search range of the networks that SceneFlow is reported with."""
MONO_PROTOCOLS = tuple(f"mono/{crop}/cap{cap}/{scaling}@1" for crop in CROPS for cap in _CAPS for scaling in SCALINGS)
_MONO = re.compile(rf"mono/({'|'.join(CROPS)})/cap([1-9]\d{{0,3}})/({'|'.join(SCALINGS)})@1")
_STEREO = re.compile(r"stereo(/all)?(/noc)?(/holes-bad)?(?:/cap([1-9]\d{0,3}))?(/per-image)?@1")


class StereoRules(NamedTuple):
    """The rules of a stereo id.

    Whether only pixels that the right camera sees are scored, how a pixel without an estimate counts, the cap of the
    truth in pixels, and whether metrics are averaged over images instead of pooling the pixels of all images.
    """

    seen_only: bool
    holes: str
    cap: float | None = None
    per_image: bool = False

    @property
    def protocol(self) -> str:
        """Return the id."""
        if self.holes == FILLED:
            return f"kitti-d1/{'noc' if self.seen_only else 'all'}@1"
        words = ["noc"] * self.seen_only + ["holes-bad"] * (self.holes == BAD)
        words += [] if self.cap is None else [f"cap{self.cap:g}"]
        return "/".join(["stereo", *(words or ["all"]), *["per-image"] * self.per_image]) + "@1"


_KITTI = {rules.protocol: rules for rules in (StereoRules(seen, FILLED) for seen in (False, True))}
STEREO_PROTOCOLS = tuple(
    StereoRules(seen, holes, cap, per_image).protocol
    for per_image in (False, True)
    for cap in (None, _USUAL_RANGE)
    for seen in (False, True)
    for holes in (LEFT_OUT, BAD)
) + tuple(_KITTI)
PROTOCOLS = STEREO_PROTOCOLS + MONO_PROTOCOLS


class MonoRules(NamedTuple):
    """The rules of a monocular id."""

    crop: str
    cap: float
    scaling: str


def is_stereo(protocol: str) -> bool:
    """Return whether an id is one of disparity, not of depth."""
    return protocol.startswith(("stereo", "kitti-d1"))


def parse_stereo(protocol: str) -> StereoRules:
    """Return the rules of a stereo id; the cap may be any integer number of pixels.

    >>> parse_stereo("stereo/noc/cap192/per-image@1")
    StereoRules(seen_only=True, holes='left out', cap=192.0, per_image=True)
    """
    if protocol in _KITTI:
        return _KITTI[protocol]
    match = _STEREO.fullmatch(protocol)
    if match is not None:
        cap = None if match[4] is None else float(match[4])
        rules = StereoRules(bool(match[2]), BAD if match[3] else LEFT_OUT, cap, bool(match[5]))
        if rules.protocol == protocol:  # one id for one set of rules
            return rules
    raise UnknownNameError("depth protocol", protocol, PROTOCOLS)


def parse_mono(protocol: str) -> MonoRules:
    """Return the rules of a monocular id; the cap may be any integer number of metres.

    >>> parse_mono("mono/garg/cap80/median-scale@1")
    MonoRules(crop='garg', cap=80.0, scaling='median-scale')
    """
    match = _MONO.fullmatch(protocol)
    if match is None:
        raise UnknownNameError("depth protocol", protocol, PROTOCOLS)
    return MonoRules(match[1], float(match[2]), match[3])


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


def about(protocol: str) -> str:
    """Describe what the protocols of a family score, what the parts of their ids mean and how they average."""
    if not is_stereo(protocol):
        return _MONO_WORDS
    return _KITTI_WORDS if parse_stereo(protocol).holes == FILLED else _STEREO_WORDS


_MONO_WORDS = (
    "Depth of the pixels of a crop (full, garg, eigen, nyu) nearer than the cap in metres; estimates are clipped to "
    "it. metric: estimates are metres; median-scale: times median(truth) / median(estimate); scale-shift: with the "
    "scale and shift that fit the truth best; scale-shift-inverse: relative inverse depth with those that fit 1 / "
    "truth best, all image by image. Errors are means over an image's pixels, metrics means over images."
)
_STEREO_WORDS = (
    "Disparity of the pixels with truth. noc: only those that both cameras see; capN: only those of a truth below N "
    "px; holes-bad: a pixel without estimate is bad, else it is left out of the errors. The pixels of all images are "
    "pooled; per-image: each image has its own value, and the mean over images counts."
)
_KITTI_WORDS = (
    "Disparity of the pixels with truth (noc: only those that both cameras see), holes filled from their neighbours as "
    "KITTI's development kit does. The pixels of all images are pooled."
)
