"""Convolutional networks, from AlexNet to MobileNet. Hooks only; the networks are imported on first use."""

from __future__ import annotations

from mlcvbench.hookspecs import hookimpl
from mlcvbench.specs import ModelSpec, Param
from mlcvbench_cnn.settings import NORMED_FIT, PLAIN_FIT
from mlcvbench_training.settings import Settings, fit_params

SMALL_CNN_FIT = Settings(
    optimizer="adamw", lr=0.01, batch=64, epochs=15, weight_decay=0.01, schedule="one_cycle", augmentation="shift"
)
SIZE = Param(
    "size", "int", 224, "pixels a side that images are resized to; 0 leaves them as they are", low=0, high=2048
)
NATIVE = Param("size", "int", 0, SIZE.help, low=0, high=2048)
WIDTH = Param("width", "float", 1.0, "all channels times this", low=0.01, high=4.0)
STEM = Param(
    "stem", "str", "imagenet", "first layers: for 224 pixels, or for small images", choices=("imagenet", "small")
)


@hookimpl
def mlcvbench_models() -> list[ModelSpec]:
    """Return every network of the course's chapters 6 and 7."""
    return [_small_cnn(), *_plain(), *_residual(), *_mobile()]


def _small_cnn() -> ModelSpec:
    return ModelSpec(
        name="small_cnn",
        kinds=("classification",),
        target="mlcvbench_cnn.small:SmallCNN",
        summary="Stages of two 3x3 convolutions with batch norm and a pool, then an average and one linear layer.",
        params=(
            Param("width", "int", 16, "channels of the first stage; each next stage has twice as many", low=1),
            Param("stages", "int", 3, "stages; each halves height and width", low=1, high=8),
            Param("dropout", "float", 0.0, "share of averaged features dropped in training", low=0.0, high=0.99),
        ),
        fit=fit_params(SMALL_CNN_FIT),
        family="cnn",
        reference="A VGG-style net (Simonyan and Zisserman, ICLR 2015) with batch norm and global average pooling.",
        year=2015,
    )


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
        summary=summary,
        params=params,
        fit=fit_params(settings),
        family="cnn",
        reference=reference,
        year=year,
    )


def _dropout(default: float) -> Param:
    return Param("dropout", "float", default, "share of features dropped in training", low=0.0, high=0.99)


def _plain() -> list[ModelSpec]:
    """Networks without shortcuts."""
    variant = Param(
        "variant", "str", "notes", "one tower; the paper's two towers; torchvision's", choices=("notes", "2012", "owt")
    )
    norm = Param("batch_norm", "bool", False, "a batch norm after each convolution")
    auxiliary = Param("auxiliary", "bool", False, "train with the two auxiliary classifiers (weight 0.3)")
    vgg = "Simonyan and Zisserman, Very deep convolutional networks, ICLR 2015"
    specs = [
        _network(
            "alexnet",
            "alexnet:AlexNet",
            "Five convolutions, three fully connected layers, ReLU, dropout.",
            "Krizhevsky, Sutskever and Hinton, ImageNet classification with deep CNNs, NeurIPS 2012",
            2012,
            (variant, SIZE, WIDTH, STEM, _dropout(0.5)),
            PLAIN_FIT,
        ),
        _network(
            "zfnet",
            "alexnet:ZFNet",
            "AlexNet with a finer first layer: 7x7, stride 2.",
            "Zeiler and Fergus, Visualizing and understanding convolutional networks, ECCV 2014",
            2014,
            (SIZE, WIDTH, _dropout(0.5)),
            PLAIN_FIT,
        ),
        _network(
            "googlenet",
            "googlenet:GoogLeNet",
            "Nine inception modules, an average over the map, one linear layer.",
            "Szegedy et al., Going deeper with convolutions, CVPR 2015",
            2014,
            (auxiliary, norm, SIZE, WIDTH, STEM, _dropout(0.4)),
            PLAIN_FIT,
        ),
    ]
    for depth in (11, 13, 16, 19):
        summary = f"{depth - 3} convolutions of 3x3 in five stages, three fully connected layers."
        params = (norm, SIZE, WIDTH, _dropout(0.5))
        specs.append(_network(f"vgg{depth}", f"vgg:VGG{depth}", summary, vgg, 2014, params, PLAIN_FIT))
    return specs


def _residual() -> list[ModelSpec]:
    """Networks with shortcuts."""
    params = (SIZE, WIDTH, STEM, _dropout(0.0))
    he = "He et al., Deep residual learning for image recognition, CVPR 2016"
    named = (
        *((f"resnet{d}", f"ResNet{d}", f"Residual network of {d} layers, basic blocks.", he, 2015) for d in (18, 34)),
        *(
            (f"resnet{d}", f"ResNet{d}", f"Residual network of {d} layers, bottlenecks (v1.5).", he, 2015)
            for d in (50, 101, 152)
        ),
        *(
            (f"resnext{d}", f"ResNeXt{d}", f"ResNet-{d} with grouped 3x3 convolutions ({form}).", xie, 2016)
            for d, form, xie in (
                (50, "32x4d", "Xie et al., Aggregated residual transformations, CVPR 2017"),
                (101, "32x8d", "Xie et al., Aggregated residual transformations, CVPR 2017"),
            )
        ),
        *(
            (f"senet{d}", f"SENet{d}", f"ResNet-{d} with squeeze and excitation.", hu, 2017)
            for d, hu in (
                (18, "Hu, Shen and Sun, Squeeze-and-excitation networks, CVPR 2018"),
                (50, "Hu, Shen and Sun, Squeeze-and-excitation networks, CVPR 2018"),
            )
        ),
    )
    specs = [_network(name, f"resnet:{cls}", text, source, year, params) for name, cls, text, source, year in named]
    shortcut = Param(
        "shortcut", "str", "A", "where sizes change: zeros (A) or a 1x1 convolution (B)", choices=("A", "B")
    )
    for depth in (20, 32, 44, 56, 110):
        text = f"Residual network of {depth} layers for small images: 16, 32, 64 channels."
        specs.append(
            _network(f"resnet{depth}", f"resnet_cifar:ResNet{depth}", text, he, 2015, (shortcut, NATIVE, WIDTH))
        )
    return specs


def _mobile() -> list[ModelSpec]:
    """Networks for small devices."""
    v1 = _network(
        "mobilenet_v1",
        "mobilenet:MobileNetV1",
        "Thirteen depthwise separable convolutions.",
        "Howard et al., MobileNets, arXiv 1704.04861",
        2017,
        (SIZE, WIDTH, STEM, _dropout(0.0)),
    )
    v3 = [
        _network(
            f"mobilenet_v3_{size.lower()}",
            f"mobilenet:MobileNetV3{size}",
            "Inverted residuals with squeeze and excitation and hard swish.",
            "Howard et al., Searching for MobileNetV3, ICCV 2019",
            2019,
            (SIZE, WIDTH, STEM, _dropout(0.2)),
        )
        for size in ("Small", "Large")
    ]
    return [v1, *v3]
