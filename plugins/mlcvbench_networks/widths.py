"""How large an EfficientDet is by one number (Tan et al. 2020, table 1). Imports nothing heavy."""

from __future__ import annotations

from typing import NamedTuple


class Scale(NamedTuple):
    """Backbone of timm; pixels a side; channels and cells of the BiFPN; layers of the box and the class head."""

    backbone: str
    size: int
    width: int
    cells: int
    layers: int


EFFICIENTDET = (
    Scale("tf_efficientnet_b0", 512, 64, 3, 3),
    Scale("tf_efficientnet_b1", 640, 88, 4, 3),
    Scale("tf_efficientnet_b2", 768, 112, 5, 3),
    Scale("tf_efficientnet_b3", 896, 160, 6, 4),
    Scale("tf_efficientnet_b4", 1024, 224, 7, 4),
    Scale("tf_efficientnet_b5", 1280, 288, 7, 4),
    Scale("tf_efficientnet_b6", 1280, 384, 8, 5),
    Scale("tf_efficientnet_b6", 1536, 384, 8, 5),
)
"""D0 to D7. The table, for the paper's equations 1 to 3 are not what it has: 64 x 1.35^phi is 117 at D2, not 112."""
