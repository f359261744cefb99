"""Rendered scenes: five kinds of solids with exact boxes and masks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlcvbench.contract import Array, Batch, InputSpec, LoadedData, Problem, Split, Targets
from mlcvbench_detection.geometry.boxes import to_xywh
from mlcvbench_detection.geometry.ragged import Ragged
from mlcvbench_detection.geometry.rle import Masks, encode_dense
from mlcvbench_detection.predictions import RaggedMasks
from mlcvbench_detection.split import DetectionSplit
from mlcvbench_scenes import CLASSES
from mlcvbench_scenes.dataset import LeftFrames, SceneSettings, left_frames
from mlcvbench_scenes.scene import FIRST_SOLID

SOLIDS = CLASSES[FIRST_SOLID:]
"""The classes; ground and wall are not objects."""
SLIVER_AREA = 1 / 400
"""Fraction of the image's pixels (41 of 128 x 128) below which a visible solid does not have to be found."""
SLIVER_VISIBLE = 0.2
"""Visible fraction of a solid below which it does not have to be found."""


def load_scenes(params: Mapping[str, Any], data_seed: int) -> LoadedData:
    """Return the data set `scenes`, see `load_named`."""
    return load_named("scenes", params, data_seed)


def load_scenes_256(params: Mapping[str, Any], data_seed: int) -> LoadedData:
    """Return the data set `scenes-256`, see `load_named`: solids of sizes that differ more, in larger pictures."""
    return load_named("scenes-256", params, data_seed)


def load_named(name: str, params: Mapping[str, Any], data_seed: int) -> LoadedData:
    """Return rendered scenes with the splits train, val and test; `data_seed` says which scenes.

    Inputs `image` uint8 (H, W, 3). Targets are those of a COCO file (`DetectionSplit`), and `occluded` and `truncated`,
    bool: another solid hides part of it; the image's border cuts it off. Solids with a visible fraction below
    `SLIVER_VISIBLE`, or that cover less than `SLIVER_AREA` of the image, are crowds, which the scorers ignore: neither
    found nor missed.
    """
    settings = SceneSettings.of(params, data_seed)
    masks = bool(params.get("masks"))
    splits: dict[str, Split] = {one: SceneSplit(one, left_frames(settings, one), masks) for one in settings.splits}
    extra = {"category_ids": tuple(range(1, len(SOLIDS) + 1)), "masks": masks}
    problem = Problem("detection", SOLIDS, {"image": InputSpec((*settings.size, 3))}, extra)
    return LoadedData(name, "1", problem, splits)


class PictureSplit(DetectionSplit):
    """Pictures of one size in memory with the annotations of a COCO file."""

    threaded = False

    def __init__(self, name: str, ids: Array, targets: dict[str, Any], images: Array, classes: Sequence[str]) -> None:
        super().__init__(name, ids=ids, targets=targets, files=(), folder=None, classes=tuple(classes))
        self._images = images

    @property
    def ragged(self) -> bool:
        return False

    @property
    def has_pictures(self) -> bool:
        return True

    def read(self, index: Sequence[int] | Array | slice) -> tuple[Batch, Targets]:
        places = np.arange(len(self))[index if isinstance(index, slice) else np.asarray(index, dtype=np.int64)]
        meta = {"size": self._targets["size"][places]}
        return Batch(self.ids[places], {"image": self._images[places]}, meta), self._taken(places)

    def picture(self, place: int) -> Array:
        picture: Array = self._images[place]
        return picture

    def fingerprint(self) -> str:
        digest = hashlib.sha256(super().fingerprint().encode())
        digest.update(self._images.tobytes())
        return digest.hexdigest()


class SceneSplit(PictureSplit):
    """Frames of rendered scenes."""

    def __init__(self, name: str, frames: LeftFrames, masks: bool) -> None:
        super().__init__(name, frames.ids, annotate(frames, masks), frames.image, SOLIDS)


def annotate(frames: LeftFrames, masks: bool) -> dict[str, Any]:
    """Return the targets of a COCO file for some frames; ids of annotations are 1, 2, 3 ... in order."""
    height, width = frames.image.shape[1:3]
    least = SLIVER_AREA * height * width
    columns: dict[str, list[Array]] = {}
    for solids in frames.instances:
        row = {
            "xywh": to_xywh(solids.box),
            "labels": solids.label - FIRST_SOLID,
            "area": solids.area.astype(np.float64),
            "crowd": (solids.visible < SLIVER_VISIBLE) | (solids.area < least),
            "occluded": solids.occluded,
            "truncated": solids.truncated,
        }
        for name, values in row.items():
            columns.setdefault(name, []).append(values)
    targets: dict[str, Any] = {name: Ragged.of(parts) for name, parts in columns.items()}
    starts = targets["labels"].starts
    targets["annotation"] = Ragged(np.arange(1, starts[-1] + 1), starts)
    targets["size"] = np.tile(np.array([height, width], dtype=np.int64), (len(frames.ids), 1))
    if masks:
        encoded = [encode_dense(frames.masks(place)) for place in range(len(frames.ids))]
        targets["masks"] = RaggedMasks(Masks.join(encoded), starts)
    return targets
