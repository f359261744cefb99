"""The methods by name: what each is, its settings and where it comes from. Imports nothing heavy.

The defaults are small networks for images of 128 pixels on a CPU; the module of each method says which settings give
the published one.
"""

from __future__ import annotations

from mlcvbench.specs import ModelSpec, Param
from mlcvbench_monodepth.settings import EIGEN_FIT, FIT, MONODEPTH2_FIT, MONODEPTH_FIT
from mlcvbench_networks.backbone_params import backbone_params
from mlcvbench_training.settings import network_fit_params

_SIZE = Param("size", "ints", default=(128, 128), low=16, high=1024, length=2, help="working height and width, pixels")
_DECODER = (
    Param("finest", "int", 1, "where the decoder ends: 0 at the image's size, 1 at half of it", low=0, high=1),
    Param("decoder", "str", "normed", "batch norm and ReLU, or as published ELU", choices=("normed", "published")),
)


def specs() -> list[ModelSpec]:
    """Return every method of the family."""
    return [_depth_prior(), _patch_depth(), _eigen(), _depth_encoder_decoder(), _monodepth(), _monodepth2()]


def _widths(length: int | None = 5, further: str = " and 16") -> Param:
    what = f"channels of the decoder at strides 1, 2, 4, 8{further}"
    return Param("widths", "ints", (16, 16, 32, 64, 96), what, low=4, high=1024, length=length)


def _depth_prior() -> ModelSpec:
    return ModelSpec(
        name="depth_prior",
        kinds=("depth",),
        target="mlcvbench_monodepth.depth_prior:DepthPrior",
        summary="Predicts the geometric mean of the training depths at each image position; ignores the pixels.",
        params=(_SIZE,),
        ragged=True,
        family="monodepth",
        reference="The mean depth map, the floor of Saxena et al., 3-D depth reconstruction, IJCV 2008",
        year=2008,
    )


def _patch_depth() -> ModelSpec:
    return ModelSpec(
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
    )


def _eigen() -> ModelSpec:
    return ModelSpec(
        name="eigen",
        kinds=("depth",),
        target="mlcvbench_monodepth.eigen:Eigen",
        summary="Layers that see the whole image tell a coarse map of log depth, others refine it close by.",
        params=(
            Param(
                "size", "ints", default=(128, 128), low=64, high=1024, length=2, help="working height and width, pixels"
            ),
            Param("width", "int", 48, "channels of the first layer; published 96", low=3, high=1024),
            Param("hidden", "int", 1024, "width of the fully connected layer; published 4096", low=8, high=16384),
        ),
        fit=network_fit_params(EIGEN_FIT, without=("sizes",)),
        ragged=True,
        family="monodepth",
        reference="Eigen, Puhrsch and Fergus, Depth map prediction from a single image, NeurIPS 2014",
        year=2014,
    )


def _depth_encoder_decoder() -> ModelSpec:
    return ModelSpec(
        name="depth_encoder_decoder",
        kinds=("depth",),
        target="mlcvbench_monodepth.depth_encoder_decoder:DepthEncoderDecoder",
        summary="A backbone and a decoder beside its maps tell the logarithm of depth, learned from depth.",
        params=(
            *backbone_params(),
            _widths(),
            *_DECODER,
            Param(
                "loss",
                "str",
                "log_l1",
                "what depth is learned by; ssi learns relative inverse depth, for protocols that fit it",
                choices=("log_l1", "l1", "berhu", "silog", "ssi"),
            ),
            Param("focal", "bool", False, "depth is in proportion to the focal length that the data tell"),
        ),
        fit=network_fit_params(FIT),
        ragged=True,
        family="monodepth",
        reference="Laina et al., Deeper depth prediction with fully convolutional residual networks, 3DV 2016",
        year=2016,
    )


def _monodepth() -> ModelSpec:
    return ModelSpec(
        name="monodepth",
        kinds=("depth",),
        target="mlcvbench_monodepth.monodepth:Monodepth",
        summary="Learns from pairs without depth: one image tells both disparities, which make each view of the other.",
        params=(
            *backbone_params(),
            _widths(None, ", 16, and up to 64 for the backbone monodepth"),
            *_DECODER,
            Param("flips", "bool", False, "post-processing: the mirrored image is looked at too, and both are joined"),
        ),
        fit=network_fit_params(MONODEPTH_FIT, without=("rotate",)),
        ragged=True,
        family="monodepth",
        reference="Godard, Mac Aodha and Brostow, Unsupervised monocular depth estimation, CVPR 2017",
        year=2017,
    )


def _monodepth2() -> ModelSpec:
    return ModelSpec(
        name="monodepth2",
        kinds=("depth",),
        target="mlcvbench_monodepth.monodepth2:Monodepth2",
        summary="Learns from sequences without depth: neighbouring frames, moved as told, make the middle one.",
        params=(
            *backbone_params(),
            _widths(),
            *_DECODER,
            Param("scales", "int", 1, "scales that are judged, each at the image's size; published 4", low=1, high=4),
            Param("automask", "bool", True, "leave out pixels that frames as they are explain better"),
            Param("minimum", "bool", True, "the least error over the frames counts, otherwise their mean"),
        ),
        fit=network_fit_params(MONODEPTH2_FIT, without=("rotate", "upside_down")),
        ragged=True,
        family="monodepth",
        reference="Godard et al., Digging into self-supervised monocular depth estimation, ICCV 2019",
        year=2019,
    )
