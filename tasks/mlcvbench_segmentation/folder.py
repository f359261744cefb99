"""Label-image folders: `images/NAME.jpg` and `labels/NAME.png`, for one split or below `train/`, `val/`, `test/`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from mlcvbench.contract import InputSpec, LoadedData, Problem, Split
from mlcvbench.errors import DataError
from mlcvbench.files.folders import files_by_id
from mlcvbench.files.missing import missing_files, no_file, no_files
from mlcvbench_segmentation.coding import Coding
from mlcvbench_segmentation.label_map import read_classes, read_label_map
from mlcvbench_segmentation.split import LabelSplit

LABEL_SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".gif")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".webp", ".ppm", *LABEL_SUFFIXES)
SPLITS = ("train", "val", "test")
WANTED = f"label images ({', '.join(LABEL_SUFFIXES)})"
LOSSY = dict.fromkeys((".jpg", ".jpeg"), "JPEG changes labels") | {".webp": "WebP may change labels"}
"""Why some suffixes are not label images."""


def load_label_folder(
    params: Mapping[str, Any],
    data_seed: int,  # noqa: ARG001 - a loader's signature
    splits: Collection[str] = SPLITS,
) -> LoadedData:
    """Return the splits of a folder; without `test/` its labels are the test split.

    `images/` may be missing when only stored predictions are scored. DataError names what is missing: the folder, the
    class list, a label or an image without its partner.
    """
    root = Path(params["root"])
    if not root.is_dir():
        raise DataError(f"data.root={root}: no such folder.")
    named = Path(params.get("classes") or root / "classes.txt")
    if not named.is_file():
        raise no_file(named, "the names of the classes, one per line; data.classes=FILE names another file")
    classes = read_classes(named)
    ignore = params.get("ignore", 255)
    coding = _coding(root, params.get("label_map"), classes, None if ignore < 0 else ignore)
    if (root / "test").is_dir():
        used = [name for name in SPLITS if name in splits and (root / name).is_dir()]
        found = {name: _read_split(root / name, name, coding) for name in used}
    else:
        found = {"test": _read_split(root, "test", coding)}
    return label_data("label-folder", classes, coding, found)


def label_data(name: str, classes: tuple[str, ...], coding: Coding, splits: Mapping[str, LabelSplit]) -> LoadedData:
    """Return the data: images of any size; `extra` describes the label values and colours for readers of
    predictions.
    """
    extra = {"coding": coding.plain_data(), "palette": splits["test"].palette}
    problem = Problem("segmentation", classes, {"image": InputSpec((None, None, 3))}, extra)
    return LoadedData(name, "1", problem, dict[str, Split](splits))


def _coding(root: Path, given: str | None, classes: tuple[str, ...], ignore: int | None) -> Coding:
    path = Path(given) if given else root / "label_map.csv"
    if given or path.is_file():
        return read_label_map(path, classes, ignore)
    if ignore is not None and ignore < len(classes):
        raise DataError(
            f"data.ignore={ignore} is also the value of class {classes[ignore]!r}; "
            "give the meaning of the values with data.label_map=FILE, or set data.ignore=-1."
        )
    return Coding.plain(len(classes), ignore)


def _read_split(folder: Path, name: str, coding: Coding) -> LabelSplit:
    labels = files_by_id(folder / "labels", LABEL_SUFFIXES)
    if not labels:
        raise no_files(folder / "labels", WANTED, LOSSY)
    if not (folder / "images").is_dir():
        return LabelSplit(name, list(labels), list(labels.values()), None, coding)
    images = files_by_id(folder / "images", IMAGE_SUFFIXES)
    if any(key not in images for key in labels):
        raise missing_files(folder / "images", list(labels), images, f"images ({', '.join(IMAGE_SUFFIXES)})")
    if any(key not in labels for key in images):
        raise missing_files(folder / "labels", list(images), labels, WANTED, LOSSY)
    return LabelSplit(name, list(labels), list(labels.values()), [images[key] for key in labels], coding)
