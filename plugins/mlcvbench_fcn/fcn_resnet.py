"""A fully convolutional residual network, as torchvision has it: a small head on a dilated backbone.

Published: `model.backbone=torchvision:resnet50 model.stride=8`; 21 classes need 32,957,013 parameters, 35,322,218 with
`model.auxiliary=true`. It takes torchvision's checkpoint of `fcn_resnet50` as `weights=FILE`, with resnet101 that of
`fcn_resnet101`. Its last map is at stride 8, but it adds no finer ones: it is not FCN-8s.
"""

from __future__ import annotations

from torch import nn

from mlcvbench_fcn.dilated import simple_head
from mlcvbench_fcn.torchvision_file import TakesTorchvisions


class FCNResNet(TakesTorchvisions):
    """A 3x3 convolution and a 1x1 say what is in each cell of the backbone's last map."""

    PUBLISHED = "model.backbone=torchvision:resnet50 or resnet101, and model.stride=8"

    def classifier(self, channels: int) -> nn.Module:
        return simple_head(channels, len(self.problem.classes))
