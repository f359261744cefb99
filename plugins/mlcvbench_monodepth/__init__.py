"""Depth from one image. Hooks only; the code behind the targets is imported on first use."""

from __future__ import annotations

from mlcvbench.hookspecs import hookimpl
from mlcvbench.specs import ModelSpec, Param

_SIZE = Param("size", "ints", default=(128, 128), low=16, high=1024, length=2, help="working height and width, pixels")


@hookimpl
def mlcvbench_models() -> list[ModelSpec]:
    """Return the monocular methods."""
    return [
        ModelSpec(
            name="depth_prior",
            kinds=("depth",),
            target="mlcvbench_monodepth.depth_prior:DepthPrior",
            summary="Predicts the geometric mean of the training depths at each image position; ignores the pixels.",
            params=(_SIZE,),
            ragged=True,
            family="monodepth",
            reference="The mean depth map, the floor of Saxena et al., 3-D depth reconstruction, IJCV 2008",
            year=2008,
        ),
        ModelSpec(
            name="patch_depth",
            kinds=("depth",),
            target="mlcvbench_monodepth.patch_depth:PatchDepth",
            summary="Ridge regression of a patch's log depth on colour and texture around it; one for each row.",
            params=(
                _SIZE,
                Param("cell", "int", default=4, low=1, high=64, help="side of a patch, working pixels"),
                Param("penalty", "float", default=100.0, low=0.0, help="weight of the squared coefficients"),
            ),
            ragged=True,
            family="monodepth",
            reference="After Saxena, Chung and Ng, Learning depth from single monocular images, NIPS 2005, without MRF",
            year=2005,
        ),
    ]
