"""Predictions made elsewhere: COCO's results file, the development kit's folder of VOC, or YOLO's folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from mlcvbench.contract import External, Predictions, Problem, Split
from mlcvbench.contract.batch import take
from mlcvbench.files.missing import no_files
from mlcvbench_detection.coco.image_names import Images
from mlcvbench_detection.coco.results import Wanted, read_results
from mlcvbench_detection.predictions import category_ids
from mlcvbench_detection.split import files_of, whole_of
from mlcvbench_detection.voc.results import is_voc_folder, read_voc_results
from mlcvbench_detection.yolo_results import is_yolo_folder, read_yolo_results

_WANTED = "COCO's results as a .json file, or a folder of comp4_det_test_CLASS.txt (VOC) or of IMAGE.txt (YOLO)"


def read_external(path: Path, split: Split, problem: Problem) -> External:
    """Return the predictions for a split, ordered by image, and what was guessed; DataError says what is wrong.

    For a split that was cut they are read for the whole split: those of its other images are not an error.
    """
    whole, places = whole_of(split)
    external = _read(path, whole, problem)
    if places is None:
        return external
    cut: Predictions = {name: take(column, places) for name, column in external.predictions.items()}
    return replace(external, predictions=cut)


def _read(path: Path, split: Split, problem: Problem) -> External:
    images, sizes = Images(split.ids, files_of(split)), np.asarray(split.targets()["size"])
    if path.is_dir():
        if is_voc_folder(path):
            return read_voc_results(path, images, problem)
        if not is_yolo_folder(path):
            raise no_files(path, _WANTED)
        return read_yolo_results(path, images, sizes, problem)
    wanted = Wanted(images, sizes, category_ids(problem), bool(problem.extra.get("masks")))
    read = read_results(path, wanted)
    held = {"xywh": "boxes", "masks": "masks"}
    fields = " and ".join(text for name, text in held.items() if name in read.predictions)
    return External(read.predictions, f"{path.name}: {fields}", notices=read.notices)
