"""Dilation in the place of strides: a residual network's last stages at the resolution of an earlier one.

Yu, Koltun and Funkhouser, "Dilated Residual Networks" (2017), section 2: where a stride is dropped, all that comes
after it has its taps twice as far apart, so that each output sees what it saw before. 3x3 convolutions whose taps are
1, 2 and 4 apart, one after the other, see 3, 7 and 15 pixels (Yu and Koltun 2016, section 3).
"""

from __future__ import annotations

from torch import nn

from mlcvbench.errors import RequestError
from mlcvbench_networks.backbone_base import STRIDES, Backbone
from mlcvbench_networks.backbones import SmallResidual
from mlcvbench_networks.library_backbones import LibraryBackbone


def dilated(backbone: Backbone, stride: int) -> Backbone:
    """Return a residual backbone whose maps beyond output stride 4, 8, 16 or 32 keep the resolution of that one.

    The convolution that loses its stride keeps the taps of those before it, as in torchvision. RequestError for a
    backbone whose stages are not those of a residual network.
    """
    rate = 1
    for stage in _stages(backbone)[STRIDES.index(stride) + 1 :]:
        rate = _without_stride(stage, rate)
    return backbone


def _stages(backbone: Backbone) -> list[nn.Module]:
    """Return the stages that give C2 to C5."""
    if isinstance(backbone, SmallResidual):
        return list(backbone.stages)
    if isinstance(backbone, LibraryBackbone):
        layers = dict(backbone.maps.named_children())
        names = [f"layer{number}" for number in (1, 2, 3, 4)]
        pooled = any(isinstance(part, nn.AvgPool2d) for part in backbone.modules())  # their shortcuts keep a stride
        if all(name in layers for name in names) and not pooled:
            return [layers[name] for name in names]
    raise RequestError(
        "model.backbone: wanted a residual network, whose strides dilation can stand for; set small or one such as "
        "torchvision:resnet50."
    )


def _without_stride(stage: nn.Module, rate: int) -> int:
    """Drop the stride of a stage whose taps are `rate` apart at its beginning; return how far they are at its end."""
    after = rate
    for part in stage.modules():
        if not isinstance(part, nn.Conv2d):
            continue
        if part.kernel_size != (1, 1):
            part.dilation = part.padding = (after, after)
        if part.stride != (1, 1):
            if part.kernel_size != (1, 1):
                after = 2 * rate
            part.stride = (1, 1)
    return after
