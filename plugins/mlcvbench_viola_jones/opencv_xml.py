"""Cascades as OpenCV's XML files (`cascade type_id="opencv-cascade-classifier"`), written and read.

What is written, `cv2.CascadeClassifier` and everything else that reads such files runs. What is read are files of
boosted stumps over upright Haar-like features, such as haarcascade_frontalface_default.xml; a file is checked before
any number of it is used, and what else there is (LBP, HOG, tilted features, deeper trees) is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from mlcvbench.contract import Array
from mlcvbench.errors import DataError, short
from mlcvbench.files.text_lines import plain_number
from mlcvbench.files.xml_tree import read_xml
from mlcvbench_viola_jones.cascade import Cascade
from mlcvbench_viola_jones.features import PARTS, Features

MOST_BYTES = 16 * 1024 * 1024
"""Of a cascade file; OpenCV's largest has 3 MB."""
MOST_STUMPS = 100_000
SIDES = (4, 256)
"""Least and greatest width and height of a window, pixels."""
_GREATEST = float(np.finfo(np.float32).max)


def write_xml(cascade: Cascade, path: Path) -> None:
    """Write a cascade in OpenCV's form; `read_xml_cascade` gives the same numbers back to the bit."""
    path.write_text("".join(f"{line}\n" for line in _lines(cascade)), encoding="ascii")


def _lines(cascade: Cascade) -> Iterator[str]:
    counts = [cascade.stage(number).stop - cascade.stage(number).start for number in range(cascade.stages)]
    yield '<?xml version="1.0"?>'
    yield '<opencv_storage><cascade type_id="opencv-cascade-classifier">'
    yield "<stageType>BOOST</stageType><featureType>HAAR</featureType>"
    yield f"<height>{cascade.height}</height><width>{cascade.width}</width>"
    yield f"<stageParams><maxWeakCount>{max(counts, default=0)}</maxWeakCount></stageParams>"
    yield "<featureParams><maxCatCount>0</maxCatCount></featureParams>"
    yield f"<stageNum>{cascade.stages}</stageNum><stages>"
    for number, count in enumerate(counts):
        yield f"<_><maxWeakCount>{count}</maxWeakCount><stageThreshold>{_text(cascade.limits[number])}</stageThreshold>"
        yield "<weakClassifiers>"
        for k in range(cascade.stage(number).start, cascade.stage(number).stop):
            leaves = f"{_text(cascade.left[k])} {_text(cascade.right[k])}"
            node = f"0 -1 {k} {_text(cascade.thresholds[k])}"  # both ways end in a leaf, 0 and -1
            yield f"<_><internalNodes>{node}</internalNodes><leafValues>{leaves}</leafValues></_>"
        yield "</weakClassifiers></_>"
    yield "</stages><features>"
    for boxes, weights in zip(cascade.features.boxes, cascade.features.weights, strict=True):
        parts = (f"<_>{x} {y} {w} {h} {_text(v)}</_>" for (x, y, w, h), v in zip(boxes, weights, strict=True) if v)
        yield f"<_><rects>{''.join(parts)}</rects><tilted>0</tilted></_>"
    yield "</features></cascade></opencv_storage>"


def _text(value: np.float32) -> str:
    """Return a float32 with the nine digits that tell it from every other one."""
    return f"{float(value):.9g}" if not float(value).is_integer() else f"{float(value):.9g}."


def read_xml_cascade(path: Path) -> Cascade:
    """Return the cascade of a file; DataError, one line, says where the file is not what was wanted."""
    root = read_xml(path, "a cascade in OpenCV's XML", MOST_BYTES)
    cascade = root.find("cascade")
    if root.tag != "opencv_storage" or cascade is None:
        raise DataError(f"{path}: wanted <opencv_storage> with a <cascade>, got <{root.tag[:60]}>.")
    for name, wanted in (("stageType", "BOOST"), ("featureType", "HAAR")):
        got = (cascade.findtext(name) or "").strip()
        if got != wanted:
            raise DataError(f"{path}, <{name}>: wanted {wanted}, got {short(got)}.")
    width, height = (_side(path, cascade, name) for name in ("width", "height"))
    known = _read_features(path, cascade, (width, height))
    stages = cascade.findall("stages/_")
    if not stages:
        raise DataError(f"{path}: wanted at least one stage in <stages>, got none.")
    rows: list[list[float]] = []
    ends, limits = [], []
    for number, stage in enumerate(stages):
        where = f"{path}, stage {number}"
        limits.append(_numbers(where, stage, "stageThreshold", 1)[0])
        weak = stage.findall("weakClassifiers/_")
        if not weak or len(rows) + len(weak) > MOST_STUMPS:
            raise DataError(f"{where}: wanted 1 to {MOST_STUMPS} stumps in all stages, got {len(rows) + len(weak)}.")
        rows += [_read_stump(f"{where}, stump {k}", own, len(known)) for k, own in enumerate(weak)]
        ends.append(len(rows))
    table = np.array(rows)
    chosen = known.take(table[:, 0].astype(np.int64))
    thresholds, left, right = table[:, 1:].astype(np.float32).T
    limit = np.array(limits, dtype=np.float32)
    return Cascade(width, height, chosen, thresholds, left, right, np.array(ends, dtype=np.int64), limit)


def _side(path: Path, cascade: Element, name: str) -> int:
    value = _numbers(str(path), cascade, name, 1)[0]
    if value != int(value) or not SIDES[0] <= value <= SIDES[1]:
        raise DataError(f"{path}, <{name}>: wanted {SIDES[0]} to {SIDES[1]} pixels, got {value:g}.")
    return int(value)


def _read_stump(where: str, stump: Element, features: int) -> list[float]:
    """Return the feature, the threshold and the leaves of a stump."""
    nodes = _numbers(where, stump, "internalNodes", 4)
    if nodes[:2] != [0, -1]:
        got = f"{nodes[0]:g} {nodes[1]:g}"
        raise DataError(f"{where}, <internalNodes>: wanted the leaves 0 and -1 of a stump, got {got}.")
    if nodes[2] != int(nodes[2]) or not 0 <= nodes[2] < features:
        raise DataError(f"{where}, <internalNodes>: wanted a feature from 0 to {features - 1}, got {nodes[2]:g}.")
    return [*nodes[2:], *_numbers(where, stump, "leafValues", 2)]


def _read_features(path: Path, cascade: Element, window: tuple[int, int]) -> Features:
    found = cascade.findall("features/_")
    if not 1 <= len(found) <= MOST_STUMPS:
        raise DataError(f"{path}: wanted 1 to {MOST_STUMPS} features in <features>, got {len(found)}.")
    boxes = np.zeros((len(found), PARTS, 4), dtype=np.int32)
    weights = np.zeros((len(found), PARTS), dtype=np.float32)
    for number, feature in enumerate(found):
        where = f"{path}, feature {number}"
        if (feature.findtext("tilted") or "0").strip() != "0":
            raise DataError(f"{where}: is tilted; wanted upright features.")
        rects = feature.findall("rects/_")
        if not 1 <= len(rects) <= PARTS:
            raise DataError(f"{where}: wanted 1 to {PARTS} rectangles in <rects>, got {len(rects)}.")
        for part, rect in enumerate(rects):
            values = _split(where, "_", rect.text, 5)
            box = _box(where, values[:4], window)
            boxes[number, part], weights[number, part] = box, values[4]
    return Features(boxes, weights)


def _box(where: str, values: list[float], window: tuple[int, int]) -> Array:
    x, y, w, h = values
    whole = all(value == int(value) for value in values)
    if not whole or min(x, y) < 0 or min(w, h) < 1 or x + w > window[0] or y + h > window[1]:
        got = " ".join(f"{value:g}" for value in values)
        raise DataError(f"{where}: wanted a rectangle inside {window[0]} x {window[1]} pixels, got {got}.")
    return np.array(values, dtype=np.int32)


def _numbers(where: str, parent: Element, name: str, count: int) -> list[float]:
    return _split(where, name, parent.findtext(name), count)


def _split(where: str, name: str, text: str | None, count: int) -> list[float]:
    """Return exactly `count` numbers of float32's range from the text of an element."""
    words = (text or "").split()
    values = [plain_number(word) for word in words[: count + 1]]
    if len(values) != count or any(value is None or abs(value) > _GREATEST for value in values):
        raise DataError(f"{where}, <{name}>: wanted {count} numbers, got {short((text or '').strip())}.")
    return [value for value in values if value is not None]
