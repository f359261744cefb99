"""The networks by name: what each is, its settings and where it comes from. Imports nothing heavy."""

from __future__ import annotations

from mlcvbench.specs import ModelSpec, Param
from mlcvbench_cnn.settings import NORMED_FIT, PLAIN_FIT, SMALL_CNN_FIT
from mlcvbench_training.settings import Settings, fit_params

KRIZHEVSKY = "Krizhevsky, Sutskever and Hinton, ImageNet classification with deep CNNs, NeurIPS 2012"
ZEILER = "Zeiler and Fergus, Visualizing and understanding convolutional networks, ECCV 2014"
SIMONYAN = "Simonyan and Zisserman, Very deep convolutional networks, ICLR 2015"
SZEGEDY = "Szegedy et al., Going deeper with convolutions, CVPR 2015"
HE = "He et al., Deep residual learning for image recognition, CVPR 2016"
XIE = "Xie et al., Aggregated residual transformations, CVPR 2017"
HU = "Hu, Shen and Sun, Squeeze-and-excitation networks, CVPR 2018"
HOWARD_2017 = "Howard et al., MobileNets, arXiv 1704.04861"
HOWARD_2019 = "Howard et al., Searching for MobileNetV3, ICCV 2019"

SIZE = Param(
    "size", "int", 224, "pixels per side that images are resized to; 0 leaves them as they are", low=0, high=2048
)
NATIVE = Param("size", "int", 0, SIZE.help, low=0, high=2048)
WIDTH = Param("width", "float", 1.0, "all channels times this", low=0.01, high=4.0)
STEM = Param(
    "stem", "str", "imagenet", "first layers: for 224 pixels, or for small images", choices=("imagenet", "small")
)
BATCH_NORM = Param("batch_norm", "bool", False, "a batch norm after each convolution")
STRIDE = Param(
    "stride", "str", "3x3", "the convolution of a bottleneck that halves the maps: v1.5, v1", choices=("3x3", "1x1")
)


def specs() -> list[ModelSpec]:
    """Return every network of the family."""
    return [_small_cnn(), *_plain(), *_residual(), *_small_residual(), *_mobile()]


def _network(
    name: str,
    target: str,
    summary: str,
    reference: str,
    year: int,
    params: tuple[Param, ...],
    settings: Settings = NORMED_FIT,
) -> ModelSpec:
    return ModelSpec(
        name=name,
        kinds=("classification",),
        target=f"mlcvbench_cnn.{target}",
        check="mlcvbench_cnn.limits:check_settings",
        summary=summary,
        params=params,
        fit=fit_params(settings),
        family="cnn",
        reference=reference,
        year=year,
    )


def _dropout(default: float) -> Param:
    return Param("dropout", "float", default, "share of features dropped in training", low=0.0, high=0.99)


def _zero_init(default: bool) -> Param:
    return Param("zero_init", "bool", default, "the last batch norm of each block starts at zero")


def _small_cnn() -> ModelSpec:
    norms = ("batch", "layer", "channels", "none")
    return _network(
        "small_cnn",
        "small:SmallCNN",
        "Stages of two 3x3 convolutions with batch norm and a pool, then an average and one linear layer.",
        "A VGG-style net (Simonyan and Zisserman, ICLR 2015) with batch norm and global average pooling.",
        2015,
        (
            Param("width", "int", 16, "channels of the first stage; each next stage has twice as many", low=1),
            Param("stages", "int", 3, "stages; each halves height and width", low=1, high=8),
            Param("dropout", "float", 0.0, "share of averaged features dropped in training", low=0.0, high=0.99),
            Param("norm", "str", "batch", "over the batch, an image, the channels of a place, or none", choices=norms),
            Param("pool", "str", "max", "what ends a stage", choices=("max", "average")),
        ),
        SMALL_CNN_FIT,
    )


def _plain() -> list[ModelSpec]:
    """Return the networks without shortcuts."""
    variant = Param(
        "variant", "str", "notes", "one tower; the paper's two towers; torchvision's", choices=("notes", "2012", "owt")
    )
    auxiliary = Param("auxiliary", "bool", False, "train with the two auxiliary classifiers (weight 0.3)")
    vggs = [
        _network(
            f"vgg{depth}",
            f"vgg:VGG{depth}",
            f"{depth - 3} convolutions of 3x3 in five stages, three fully connected layers.",
            SIMONYAN,
            2014,
            (BATCH_NORM, SIZE, WIDTH, _dropout(0.5)),
            PLAIN_FIT,
        )
        for depth in (11, 13, 16, 19)
    ]
    return [
        _network(
            "alexnet",
            "alexnet:AlexNet",
            "Five convolutions, three fully connected layers, ReLU, dropout.",
            KRIZHEVSKY,
            2012,
            (variant, SIZE, WIDTH, STEM, _dropout(0.5)),
            PLAIN_FIT,
        ),
        _network(
            "zfnet",
            "zfnet:ZFNet",
            "AlexNet with a finer first layer: 7x7, stride 2.",
            ZEILER,
            2014,
            (SIZE, WIDTH, _dropout(0.5)),
            PLAIN_FIT,
        ),
        _network(
            "googlenet",
            "googlenet:GoogLeNet",
            "Nine inception modules, an average over the map, one linear layer.",
            SZEGEDY,
            2014,
            (auxiliary, BATCH_NORM, SIZE, WIDTH, STEM, _dropout(0.4)),
            PLAIN_FIT,
        ),
        *vggs,
    ]


def _residual() -> list[ModelSpec]:
    """Return the networks with shortcuts for large images."""
    basic = (SIZE, WIDTH, STEM, _dropout(0.0), _zero_init(True))
    bottleneck = (*basic, STRIDE)
    return [
        *(
            _network(
                f"resnet{d}", f"resnet:ResNet{d}", f"Residual network of {d} layers, basic blocks.", HE, 2015, basic
            )
            for d in (18, 34)
        ),
        *(
            _network(
                f"resnet{d}",
                f"resnet:ResNet{d}",
                f"Residual network of {d} layers, bottlenecks (v1.5).",
                HE,
                2015,
                bottleneck,
            )
            for d in (50, 101, 152)
        ),
        *(
            _network(
                f"resnext{d}",
                f"resnet:ResNeXt{d}",
                f"ResNet-{d} with grouped 3x3 convolutions ({form}).",
                XIE,
                2016,
                bottleneck,
            )
            for d, form in ((50, "32x4d"), (101, "32x8d"))
        ),
        *(
            _network(f"senet{d}", f"resnet:SENet{d}", f"ResNet-{d} with squeeze and excitation.", HU, 2017, params)
            for d, params in ((18, basic), (50, bottleneck))
        ),
    ]


def _small_residual() -> list[ModelSpec]:
    """Return the networks with shortcuts for small images."""
    shortcut = Param(
        "shortcut", "str", "A", "where sizes change: zeros (A) or a 1x1 convolution (B)", choices=("A", "B")
    )
    return [
        _network(
            f"resnet{depth}",
            f"resnet_cifar:ResNet{depth}",
            f"Residual network of {depth} layers for small images: 16, 32, 64 channels.",
            HE,
            2015,
            (shortcut, NATIVE, WIDTH, _zero_init(False)),
        )
        for depth in (20, 32, 44, 56, 110)
    ]


def _mobile() -> list[ModelSpec]:
    """Return the networks for small devices."""
    v1 = _network(
        "mobilenet_v1",
        "mobilenet:MobileNetV1",
        "Thirteen depthwise separable convolutions.",
        HOWARD_2017,
        2017,
        (SIZE, WIDTH, STEM, _dropout(0.0)),
    )
    v3 = [
        _network(
            f"mobilenet_v3_{size.lower()}",
            f"mobilenet:MobileNetV3{size}",
            "Inverted residuals with squeeze and excitation and hard swish.",
            HOWARD_2019,
            2019,
            (SIZE, WIDTH, STEM, _dropout(0.2)),
        )
        for size in ("Small", "Large")
    ]
    return [v1, *v3]
