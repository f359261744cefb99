"""Every classifier of timm and torchvision, every detector and segmenter of torchvision, by name.

Hooks only; the libraries are imported on first use.
"""

from __future__ import annotations

from dataclasses import replace

from mlcvbench.hookspecs import hookimpl
from mlcvbench.specs import ModelSpec, Param
from mlcvbench_hub.detector_settings import DETECTOR_FIT, SEGMENTER_FIT
from mlcvbench_networks.backbone_params import transfer_params
from mlcvbench_training.settings import Settings, fit_params, network_fit_params

HUB_FIT = Settings(
    optimizer="adamw", lr=0.001, batch=64, epochs=10, weight_decay=0.05, schedule="one_cycle", augmentation="none"
)
_WEIGHTS, _FREEZE = transfer_params()
PARAMS = (
    Param("pretrained", "bool", False, "start from the weights that the library's hub has; needs a network"),
    Param(
        "size", "int", help="pixels per side that images are resized to; default: what the network was made for", low=8
    ),
    replace(_WEIGHTS, when=(("pretrained", (False,)),)),
    _FREEZE,
)
AUXILIARY = Param(
    "auxiliary", "bool", False, "train googlenet or inception_v3 with their auxiliary classifiers (weight 0.3)"
)

_START = (replace(_WEIGHTS, help="checkpoint of the network, or of its backbone, that the fit starts from"), _FREEZE)
DETECTOR_PARAMS = (
    Param("min_size", "int", help="pixels that the shorter side is resized to; unset, the network's", low=32),
    Param("max_size", "int", help="the most that the longer side may have; unset, the network's", low=32),
    *_START,
)
SEGMENTER_PARAMS = (
    Param("size", "int", help="pixels that the shorter side is resized to; unset, torchvision's 520", low=32),
    Param("auxiliary", "bool", False, "the second classifier of FCN and DeepLabv3 is trained beside (weight 0.5)"),
    *_START,
)
TORCHVISION = "TorchVision maintainers and contributors, https://github.com/pytorch/vision"


@hookimpl
def mlcvbench_models() -> list[ModelSpec]:
    """Return one open-ended name per library and task kind."""
    return [
        ModelSpec(
            name="timm:",
            kinds=("classification",),
            target="mlcvbench_hub.timm_models:TimmClassifier",
            names="mlcvbench_hub.timm_models:names",
            summary="Any classifier of timm by its name, such as timm:resnet10t.",
            params=PARAMS,
            fit=fit_params(HUB_FIT, backbone=True),
            family="hub",
            reference="Wightman, PyTorch Image Models, https://github.com/huggingface/pytorch-image-models",
            licence="as each network's weights say",
        ),
        ModelSpec(
            name="torchvision:",
            kinds=("classification",),
            target="mlcvbench_hub.torchvision_models:TorchvisionClassifier",
            names="mlcvbench_hub.torchvision_models:names",
            check="mlcvbench_hub.auxiliary:check_settings",
            summary="Any classifier of torchvision by its name, such as torchvision:regnet_y_400mf.",
            params=(*PARAMS, AUXILIARY),
            fit=fit_params(HUB_FIT, backbone=True),
            family="hub",
            reference=TORCHVISION,
            licence="BSD-3-Clause; as each network's weights say",
        ),
        ModelSpec(
            name="torchvision:",
            kinds=("detection",),
            target="mlcvbench_hub.torchvision_detectors:detector",
            names="mlcvbench_hub.torchvision_detectors:names",
            check="mlcvbench_hub.detector_limits:check_settings",
            summary="Any detector or instance segmenter of torchvision, such as torchvision:fcos_resnet50_fpn.",
            params=DETECTOR_PARAMS,
            fit=network_fit_params(DETECTOR_FIT),
            ragged=True,
            family="hub",
            reference=TORCHVISION,
            licence="BSD-3-Clause; as each network's weights say",
        ),
        ModelSpec(
            name="torchvision:",
            kinds=("segmentation",),
            target="mlcvbench_hub.torchvision_segmenters:TorchvisionSemantic",
            names="mlcvbench_hub.torchvision_segmenters:names",
            check="mlcvbench_hub.segmenter_limits:check_settings",
            summary="Any segmenter of torchvision by its name, such as torchvision:lraspp_mobilenet_v3_large.",
            params=SEGMENTER_PARAMS,
            fit=network_fit_params(SEGMENTER_FIT),
            ragged=True,
            family="hub",
            reference=TORCHVISION,
            licence="BSD-3-Clause; as each network's weights say",
        ),
    ]
