"""Random forests that classify pixels, by colour and texture or by differences of depth."""

from __future__ import annotations

from mlcvbench.hookspecs import hookimpl
from mlcvbench.specs import ModelSpec, Param

_JOINTS = (("joints", (True,)),)
_LEAF = Param("leaf", "int", default=2, low=1, high=10**6, help="least number of sampled pixels per leaf")


def _by_class(name: str, default: float, bounds: tuple[float, float], what: str) -> Param:
    low, high = bounds
    what = f"{what}; one number, or one per class"
    return Param(name, "floats", default=[default], low=low, high=high, help=what, when=_JOINTS)


@hookimpl
def mlcvbench_models() -> list[ModelSpec]:
    """Return the two forests."""
    return [
        ModelSpec(
            name="pixel_forest",
            kinds=("segmentation",),
            target="mlcvbench_pixel_forest.pixel_forest:PixelForest",
            summary="A random forest on each pixel's colour, texture and position in the image.",
            params=(
                Param("trees", "int", default=16, low=1, high=1000, help="trees of the forest"),
                Param("depth", "int", default=14, low=1, high=32, help="depth of a tree, at most"),
                Param("samples", "int", default=160, low=1, high=10**6, help="pixels sampled per training image"),
                Param("balance", "float", default=0.5, low=0, high=1, help="0: frequencies unchanged; 1: balanced"),
                _LEAF,
                Param("position", "bool", default=True, help="use the pixel's position as a feature"),
                Param("smooth", "float", default=1.0, low=0, high=50, help="sigma of smoothing probabilities, pixels"),
            ),
            ragged=True,
            family="forest",
            reference="Breiman, Random forests, 2001; filters after Leung and Malik, IJCV 2001",
            year=2001,
        ),
        ModelSpec(
            name="depth_forest",
            kinds=("segmentation",),
            target="mlcvbench_pixel_forest.depth_forest:DepthForest",
            summary="A random forest on depth differences of two points beside a pixel; modes in space are joints.",
            needs=("depth",),
            params=(
                Param("trees", "int", default=8, low=1, high=1000, help="trees of the forest"),
                Param("depth", "int", default=16, low=1, high=32, help="depth of a tree, at most"),
                Param("samples", "int", default=160, low=1, high=10**6, help="pixels sampled per training image"),
                Param("balance", "float", default=1.0, low=0, high=1, help="0: frequencies unchanged; 1: balanced"),
                _LEAF,
                Param("features", "int", default=400, low=1, high=20_000, help="pairs of offsets to choose from"),
                Param("reach", "float", default=0.5, low=0.01, high=100, help="longest offset in image heights at 1 m"),
                Param("joints", "bool", default=True, help="propose joints where the data tell the camera"),
                _by_class("bandwidth", 0.2, (0.001, 10), "metres, of the density whose modes are joints"),
                _by_class("threshold", 0.14, (0, 1), "least probability of a pixel from which a mode is sought"),
                _by_class("offset", 0.0, (0, 10), "metres from the surface back to the joint"),
            ),
            ragged=True,
            family="forest",
            reference="Shotton et al., Real-time human pose recognition in parts from single depth images, CVPR 2011",
            year=2011,
        ),
    ]
