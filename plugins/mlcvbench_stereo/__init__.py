"""Stereo: disparity by comparing the two images of a rectified pair, and the floor that compares nothing."""

from __future__ import annotations

from mlcvbench.hookspecs import hookimpl
from mlcvbench.specs import ModelSpec, Param

_DISPARITIES = Param(
    "disparities", "int", low=16, high=1024, help="search range, a multiple of 16; default: the data's"
)
_WIDEN = Param("widen", "bool", True, "widen images on the left; else its first columns have no estimate")


@hookimpl
def mlcvbench_models() -> list[ModelSpec]:
    """Return the stereo methods."""
    return [
        ModelSpec(
            name="block_matching",
            kinds=("depth",),
            target="mlcvbench_stereo.opencv:BlockMatching",
            summary="Compares windows along the row and takes the most similar one (OpenCV's StereoBM).",
            needs=("left", "right"),
            params=(
                _DISPARITIES,
                _WIDEN,
                Param("block", "int", default=15, low=5, high=255, help="side of the window, odd"),
            ),
            ragged=True,
            family="stereo",
            reference="Konolige, Small vision systems, ISRR 1997; OpenCV StereoBM",
            year=1997,
        ),
        ModelSpec(
            name="sgm",
            kinds=("depth",),
            target="mlcvbench_stereo.opencv:SemiGlobalMatching",
            summary="Matching costs plus smoothness along several scan directions (OpenCV's StereoSGBM).",
            needs=("left", "right"),
            params=(
                _DISPARITIES,
                _WIDEN,
                Param("block", "int", default=5, low=1, high=51, help="side of the window, odd"),
                Param("mode", "str", default="sgbm", choices=("sgbm", "hh", "3way"), help="5, 8 or 3 directions"),
                Param("p1", "int", low=0, help="penalty of a step by 1; default 8 x block^2"),
                Param("p2", "int", low=1, help="penalty of a larger step; default 32 x block^2"),
                Param("uniqueness", "int", default=10, low=0, high=100, help="margin of the best cost, percent"),
                Param("speckle_window", "int", default=100, low=0, help="smaller blobs are holes, pixels"),
                Param("speckle_range", "int", default=2, low=0, help="largest step inside a blob, pixels"),
                Param("consistency", "int", default=1, low=-1, help="largest left-right difference, px; -1 = off"),
            ),
            ragged=True,
            family="stereo",
            reference="Hirschmüller, Stereo processing by semiglobal matching and mutual information, PAMI 2008",
            year=2008,
        ),
    ]
