"""The settings of a network that stands on a backbone, declared for specs. Imports nothing heavy."""

from __future__ import annotations

from mlcvbench.specs import Param

STAGES = 4
"""C2 to C5."""


def backbone_params(default: str = "small") -> tuple[Param, ...]:
    """Return `model.backbone`, `model.backbone_weights` and `model.freeze`, which every `NetworkModel` takes."""
    return (
        Param("backbone", "str", default, "small, medium, darknet53, timm:NAME or torchvision:NAME"),
        *transfer_params(),
    )


def transfer_params() -> tuple[Param, ...]:
    """Return `model.backbone_weights` and `model.freeze`, for a network whose backbone is given."""
    return (
        Param(
            "backbone_weights",
            "path",
            help="checkpoint that the backbone starts from, safetensors or .pth of tensors; its head is left out",
        ),
        Param(
            "freeze",
            "int",
            0,
            "stages of the backbone that do not learn: 1 is all before the map at stride 4, 4 all of it",
            low=0,
            high=STAGES,
        ),
    )
