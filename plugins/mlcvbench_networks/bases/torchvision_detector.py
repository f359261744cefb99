"""Weights that torchvision publishes of its detectors, for the networks here of the same layers.

What these networks say is read as torchvision reads it, for they were trained so: a cell's anchors stand on its corner
and have whole sides, and cells of the coarsest maps are as far apart as fits the image.
"""

from __future__ import annotations

import math
import re
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import torch
from torch import nn

from mlcvbench.contract import Notice
from mlcvbench.errors import RecordError
from mlcvbench_networks.bases.detector import Detector
from mlcvbench_networks.detection.anchors import AnchorLayout, Grid, points
from mlcvbench_networks.detection.categories import Known, coco_categories, known_classes

Renaming = tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]
"""What begins names of torchvision, and what does here."""
COUNTER = ".num_batches_tracked"
BODY = (
    (re.compile(r"^backbone\.body\."), "backbone.maps."),
    (re.compile(r"^backbone\.fpn\.inner_blocks\.(\d)(?:\.0)?\."), r"pyramid.lateral.\1."),
    (re.compile(r"^backbone\.fpn\.layer_blocks\.(\d)(?:\.0)?\."), r"pyramid.output.\1."),
    (re.compile(r"^backbone\.fpn\.extra_blocks\.p6\."), "pyramid.coarser.0."),
    (re.compile(r"^backbone\.fpn\.extra_blocks\.p7\."), "pyramid.coarser.1."),
)
"""Names of torchvision below the heads, and what they are here."""


class TakesTorchvisions(Detector):
    """A detector that `weights=FILE` may give torchvision's weights.

    `HEADS`: names of torchvision and what they are here; `LOGITS`: the layer, by torchvision's name, that tells the
    classes; `PUBLISHED`: the settings of the network that has these layers. `as_torchvisions`: whether outputs are read
    as those of such weights.
    """

    HEADS: ClassVar[Sequence[Renaming]]
    LOGITS: ClassVar[str]
    PUBLISHED: ClassVar[str]
    as_torchvisions: bool = False

    def load(self, folder: Path) -> Sequence[Notice] | None:
        given = {} if folder.is_dir() else self.read_state(folder)
        if f"{self.LOGITS}.bias" not in given:
            return super().load(folder)
        known = self.tell_classes(given, folder.name)
        try:
            self.put_in(self.renamed(given), folder.name)
        except RecordError as error:
            raise RecordError(f"{str(error).rstrip('.')}; torchvision's are for {self.PUBLISHED}.") from error
        self.as_torchvisions = True
        self.see_as_torchvision(given)
        return known.notices

    @abstractmethod
    def tell_classes(self, given: dict[str, torch.Tensor], source: str) -> Known:
        """Have the network and its tensors, by torchvision's names, tell the same classes, and return which."""

    def see_as_torchvision(self, given: Mapping[str, torch.Tensor]) -> None:
        """Read outputs as torchvision does from now on; `given` are its tensors by its names."""

    def renamed(self, given: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return tensors of torchvision by their names here, and the counters of norms that frozen ones do not have."""
        state = {name: torch.tensor(0) for name in self.module.state_dict() if name.endswith(COUNTER)}
        for name, tensor in given.items():
            here = name
            for theirs, ours in (*BODY, *self.HEADS):
                here = theirs.sub(ours, here)
            state[here] = tensor
        return state

    def known(self, outputs: int, own: int, source: str) -> Known | None:
        """Return where the classes of the data set are among COCO's; None for `own` outputs, one for each of them."""
        categories = coco_categories()
        if outputs == len(categories):
            return known_classes(self.problem.classes, categories, source)
        if outputs != own:
            raise RecordError(f"{source}: wanted logits of {len(categories)} or {own} classes, got {outputs}.")
        return None


class CornerLayout(AnchorLayout):
    """torchvision's anchors of these shapes and strides, see above."""

    @classmethod
    def retinanet(cls, strides: Sequence[int]) -> CornerLayout:
        """Return those of RetinaNet: sizes of whole pixels from four strides on."""
        return cls.sized([[4 * s, int(4 * s * 2 ** (1 / 3)), int(4 * s * 2 ** (2 / 3))] for s in strides], strides)

    @classmethod
    def rcnn(cls, strides: Sequence[int]) -> CornerLayout:
        """Return those of Faster R-CNN: one size on each level, of eight strides."""
        return cls.sized([[8 * stride] for stride in strides], strides)

    @classmethod
    def sized(cls, sizes: Sequence[Sequence[int]], strides: Sequence[int]) -> CornerLayout:
        """Return anchors of three ratios and these sizes in pixels, by level."""
        roots = [math.sqrt(ratio) for ratio in (0.5, 1.0, 2.0)]
        shapes = [[(_even(size / root), _even(size * root)) for root in roots for size in own] for own in sizes]
        return cls(shapes, strides)

    def on(self, grids: Sequence[Grid]) -> list[torch.Tensor]:
        levels = []
        for corners, shapes in zip(corners_of(grids, self.strides), self.shapes, strict=True):
            half = torch.tensor(shapes, dtype=torch.float32).repeat(1, 2) / 2 * torch.tensor([-1.0, -1.0, 1.0, 1.0])
            levels.append((corners.repeat(1, 2)[:, None] + half).reshape(-1, 4))
        return levels


def corners_of(grids: Sequence[Grid], strides: Sequence[int]) -> list[torch.Tensor]:
    """Return where the cells of each map (H_i, W_i) are, by torchvision: float32 (H_i W_i, 2), x and y in pixels."""
    height, width = (side * strides[0] for side in grids[0])
    return [points(grid, 1, offset=0) * torch.tensor([width // grid[1], height // grid[0]]) for grid in grids]


def without_epsilon(backbone: nn.Module, given: Mapping[str, torch.Tensor]) -> None:
    """Have norms divide by the deviation alone, as torchvision's frozen ones did, which have no counters."""
    if any(name.endswith(COUNTER) for name in given):
        return
    for part in backbone.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eps = 0.0


def _even(side: float) -> float:
    """Return a side whose half is a whole number of pixels."""
    return 2.0 * round(side / 2)
