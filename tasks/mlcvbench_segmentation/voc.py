"""The segmentation part of PASCAL VOC: JPEGImages, SegmentationClass and lists of names in ImageSets/Segmentation."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from mlcvbench.contract import LoadedData
from mlcvbench.errors import DataError
from mlcvbench.files.text_lines import read_names
from mlcvbench_segmentation.coding import Coding
from mlcvbench_segmentation.folder import label_data
from mlcvbench_segmentation.split import LabelSplit

CLASSES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
VOID = 255
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def load_voc(
    params: Mapping[str, Any],
    data_seed: int,  # noqa: ARG001 - a loader's signature
    splits: Collection[str] = ("train", "test"),
) -> LoadedData:
    """Return the list `split` as test, and the list `train`, when different, as train."""
    root = Path(params["root"])
    if not root.is_dir():
        raise DataError(f"data.root={root}: no such folder.")
    coding = Coding.plain(len(CLASSES), VOID)
    wanted = params.get("split", "val")
    found = {"test": _read_split(root, wanted, "test", coding)}
    if "train" in splits and wanted == "val" and (root / "ImageSets/Segmentation/train.txt").is_file():
        found["train"] = _read_split(root, "train", "train", coding)
    return label_data("voc-segmentation", CLASSES, coding, found)


def _read_split(root: Path, listed: str, name: str, coding: Coding) -> LabelSplit:
    if not _NAME.fullmatch(listed):
        raise DataError(f"data.split={listed!r}: wanted the name of a list such as val.")
    ids = read_names(root / "ImageSets/Segmentation" / f"{listed}.txt")
    labels = [root / "SegmentationClass" / f"{key}.png" for key in ids]
    images = [root / "JPEGImages" / f"{key}.jpg" for key in ids]
    missing = next((path for path in labels if not path.is_file()), None)
    if missing is not None:
        raise DataError(f"{missing}: no such file, but list {listed!r} names it.")
    if not (root / "JPEGImages").is_dir():
        return LabelSplit(name, ids, labels, None, coding)
    missing = next((path for path in images if not path.is_file()), None)
    if missing is not None:
        raise DataError(f"{missing}: no such file, but list {listed!r} names it.")
    return LabelSplit(name, ids, labels, images, coding)
