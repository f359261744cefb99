"""The segmenters by name: what each is, its settings and where it comes from. Imports nothing heavy.

The defaults are small networks for images of 128 pixels on a CPU; the module of each method says which settings give
the published one.
"""

from __future__ import annotations

from dataclasses import replace

from mlcvbench.specs import ModelSpec, Param
from mlcvbench_fcn.settings import DILATED_FIT, FCN_FIT, UNET_FIT, WINDOW_FIT
from mlcvbench_networks.backbone_params import backbone_params, transfer_params
from mlcvbench_training.settings import NetworkSettings, network_fit_params

CIRESAN = "Ciresan et al., Deep neural networks segment neuronal membranes in electron microscopy images, NeurIPS 2012"
LONG = "Long, Shelhamer and Darrell, Fully convolutional networks for semantic segmentation, CVPR 2015"
RONNEBERGER = (
    "Ronneberger, Fischer and Brox, U-Net: Convolutional networks for biomedical image segmentation, MICCAI 2015"
)
YU = "Yu, Koltun and Funkhouser, Dilated residual networks, CVPR 2017"
CHEN = "Chen et al., Rethinking atrous convolution for semantic image segmentation, arXiv 1706.05587"
UPSAMPLING = ("nearest", "bilinear", "transposed")


def specs() -> list[ModelSpec]:
    """Return every segmenter of the family."""
    return [_patch_window(), *_fcns(), _fcn_resnet(), _unet(), _dilated_resnet(), _deeplab()]


def _segmenter(
    name: str,
    target: str,
    summary: str,
    reference: str,
    year: int,
    params: tuple[Param, ...],
    settings: NetworkSettings,
) -> ModelSpec:
    return ModelSpec(
        name=name,
        kinds=("segmentation",),
        target=f"mlcvbench_fcn.{target}",
        check="mlcvbench_fcn.limits:check_settings",
        summary=summary,
        params=params,
        fit=network_fit_params(settings),
        ragged=True,
        family="fcn",
        reference=reference,
        year=year,
    )


def _upsampling(default: str, what: str, choices: tuple[str, ...] = UPSAMPLING) -> Param:
    return Param("upsampling", "str", default, what, choices=choices)


def _width(default: int, what: str) -> Param:
    return Param("width", "int", default, what, low=1, high=1024)


def _normed() -> Param:
    return Param("normed", "bool", True, "a batch norm beside every 3x3 convolution; the paper has none")


def _dropout(default: float, what: str) -> Param:
    return Param("dropout", "float", default, what, low=0.0, high=0.9)


def _patch_window() -> ModelSpec:
    return _segmenter(
        "patch_window",
        "patch_window:PatchWindow",
        "A small network names each pixel by the window around it; windows share nothing.",
        CIRESAN,
        2012,
        (
            Param("window", "int", 32, "pixels a side that it sees", low=8, high=256),
            Param("step", "int", 4, "pixels between windows that are classified; 1 is every pixel", low=1, high=32),
            Param("windows", "int", 32, "windows of an image that are learned from in a step", low=1),
            _width(24, "channels of the first convolution; each next one has twice as many"),
            _upsampling("nearest", "what fills in between the windows", ("nearest", "bilinear")),
        ),
        WINDOW_FIT,
    )


def _fcns() -> list[ModelSpec]:
    params = (
        _width(16, "channels of the first stage; VGG-16's are 64"),
        Param("layers", "ints", [1, 1, 2, 2, 2], "convolutions of each stage", low=1, high=8, length=5),
        Param("hidden", "int", 256, "channels of what were the fully-connected layers", low=8, high=8192),
        _normed(),
        _dropout(0.0, "share of their channels dropped in training"),
        Param("zoom", "int", 2, "how many times images are enlarged first", choices=(1, 2, 4)),
        _upsampling("transposed", "how scores are enlarged"),
        *transfer_params(),
    )
    skips = {32: "none", 16: "those of stride 16 added", 8: "those of strides 16 and 8 added"}
    return [
        _segmenter(
            f"fcn_{stride}s",
            f"fcn:FCN{stride}s",
            f"A VGG of convolutions alone scores classes at stride 32; of finer scores, {added}.",
            LONG,
            2015,
            params,
            FCN_FIT,
        )
        for stride, added in skips.items()
    ]


def _unet() -> ModelSpec:
    return _segmenter(
        "unet",
        "unet:UNet",
        "Down and up again; on the way up each level sees what was there on the way down.",
        RONNEBERGER,
        2015,
        (
            _width(16, "channels of the first level; each next one has twice as many"),
            Param("levels", "int", 4, "times that the sides are halved", low=1, high=5),
            Param("padding", "str", "same", "at the borders of maps", choices=("same", "valid")),
            _normed(),
            _dropout(0.0, "share of the lowest level's numbers dropped in training"),
            _upsampling("transposed", "how maps are enlarged: a 2x2 of stride 2, or a 1x1 and interpolation"),
        ),
        UNET_FIT,
    )


def _dilated(*further: Param) -> tuple[Param, ...]:
    body, *transfer = backbone_params()
    return (
        replace(body, help="small, or a residual network such as timm:NAME or torchvision:NAME"),
        *transfer,
        Param(
            "stride", "int", 4, "of the last map; the backbone's further ones become dilations", choices=(4, 8, 16, 32)
        ),
        *further,
        Param("auxiliary", "bool", False, "a second classifier, of the map before the last, trained beside it"),
        _upsampling("bilinear", "how scores are enlarged"),
    )


def _fcn_resnet() -> ModelSpec:
    return _segmenter(
        "fcn_resnet",
        "fcn_resnet:FCNResNet",
        "A residual network with dilations for strides, and a head of two convolutions.",
        LONG,
        2015,
        _dilated(),
        DILATED_FIT,
    )


def _dilated_resnet() -> ModelSpec:
    return _segmenter(
        "dilated_resnet",
        "dilated_resnet:DilatedResNet",
        "A residual network with dilations for strides, smoothed and classified cell by cell.",
        YU,
        2017,
        _dilated(
            Param("degridding", "ints", [2, 1], "distances of taps of appended 3x3 layers", low=1, high=64, empty=True)
        ),
        DILATED_FIT,
    )


def _deeplab() -> ModelSpec:
    return _segmenter(
        "deeplab",
        "deeplab:DeepLab",
        "DeepLabv3: dilations at several rates side by side, and the mean of the map.",
        CHEN,
        2017,
        _dilated(
            _width(64, "channels of the head; the paper's are 256"),
            Param("rates", "ints", [3, 6, 9], "distances between taps of its 3x3 convolutions", low=1, high=256),
            _dropout(0.1, "share of the pooled numbers dropped in training"),
        ),
        DILATED_FIT,
    )
