"""Counts the pixels of one image: the joint histogram of label and prediction."""

from __future__ import annotations

import numpy as np

from mlcvbench.contract import Array
from mlcvbench.errors import DataError, PredictionError

EXACT_FLOAT32 = 1 << 24
"""OpenCV counts in float32 cells, which are exact up to here; larger images are counted in pieces."""
LEVELS = 256
_WORD = 8
_BYTE = np.uint64(8)
_WITHOUT_TOP = np.uint64((1 << 56) - 1)
SMOOTH = 0.8
"""The share of constant words from which on it is worth finding them."""
_EACH = 61
"""One in so many words is looked at to guess that share; a prime, so that they are not of a few columns."""
IGNORE = 255
IGNORE_WIDE = 65535
"""The value of an ignored pixel in 8-bit and in 16-bit label maps."""


def ignore_value(classes: int) -> int:
    """Return the value of an ignored pixel: 255, or 65535 for more than 255 classes, whose maps have 16 bits."""
    return IGNORE if classes <= IGNORE else IGNORE_WIDE


def map_dtype(classes: int) -> np.dtype[np.unsignedinteger]:
    """Return the storage dtype of label maps for this number of classes."""
    return np.dtype(np.uint8 if classes <= IGNORE else np.uint16)


def joint_histogram(label: Array, prediction: Array, classes: int) -> Array:
    """Return int64 (256, C): how many pixels have label i (row) and prediction j (column), both uint8 (H, W).

    Predictions of C and above are not counted.

    >>> joint_histogram(np.array([[0, 0, 1]], np.uint8), np.array([[0, 1, 1]], np.uint8), 2)[:2].tolist()
    [[1, 1], [0, 1]]
    """
    labels, predictions = np.ascontiguousarray(label).ravel(), np.ascontiguousarray(prediction).ravel()
    whole = labels.size // _WORD * _WORD
    parts = [
        _histogram_by_words(labels[start:stop], predictions[start:stop], classes)
        for start in range(0, whole, EXACT_FLOAT32)
        for stop in [min(start + EXACT_FLOAT32, whole)]
    ]
    if whole < labels.size or not parts:
        parts.append(_histogram(labels[whole:], predictions[whole:], classes))
    joint = parts[0].astype(np.int64)
    for part in parts[1:]:
        joint += part.astype(np.int64)
    return joint


def _histogram_by_words(label: Array, prediction: Array, classes: int) -> Array:
    """Return float32 (256, C) counts; words of eight pixels in which both images are constant are counted at once.

    Smooth label maps consist mostly of such words, and repeated counts of one cell are the slow case of a histogram.
    Where a sample says that fewer are constant, finding them takes longer than counting all pixels.
    """
    words = label.view(np.uint64), prediction.view(np.uint64)
    if np.count_nonzero(_constant(*(one[::_EACH] for one in words))) * _EACH < SMOOTH * len(words[0]):
        return _histogram(label, prediction, classes)
    constant = _constant(*words)
    joint = _histogram(label[::_WORD][constant], prediction[::_WORD][constant], classes)
    joint *= _WORD
    if not constant.all():
        np.logical_not(constant, out=constant)
        joint += _histogram(words[0][constant].view(np.uint8), words[1][constant].view(np.uint8), classes)
    return joint


def _constant(label: Array, prediction: Array) -> Array:
    """Return which words, uint64 (W,), hold eight equal pixels in both images."""
    changes = label >> _BYTE  # a word is constant when it equals itself moved by one byte
    changes ^= label
    other = prediction >> _BYTE
    other ^= prediction
    changes |= other
    changes &= _WITHOUT_TOP
    return np.asarray(changes == 0)


def _histogram(label: Array, prediction: Array, classes: int) -> Array:
    import cv2

    if not label.size:
        return np.zeros((LEVELS, classes), dtype=np.float32)
    cells: Array = cv2.calcHist([label, prediction], [0, 1], None, [LEVELS, classes], [0, LEVELS, 0, classes])
    return cells


def count_pixels(label: Array, prediction: Array, classes: int, *, ignore: bool) -> Array:
    """Return int64 (3, C): pixels of each class that are hit, predicted, labelled; ignored pixels count nowhere.

    Args:
        label: uint8 or uint16 (H, W) in 0..C-1, or `ignore_value(classes)` for an ignored pixel.
        prediction: uint8 or uint16 (H, W) in 0..C-1, also where the label is ignored.
        classes: C.
        ignore: whether labels may be ignored; otherwise such a pixel is a DataError.

    >>> count_pixels(np.array([[0, 1, 255]], np.uint8), np.array([[0, 0, 1]], np.uint8), 2, ignore=True).tolist()
    [[1, 0], [2, 0], [1, 1]]

    """
    if label.shape != prediction.shape:
        turned = label.shape == prediction.shape[::-1]
        what = "height and width are swapped" if turned else "scale it to the labels' size by nearest neighbours"
        raise PredictionError(
            f"field 'label_map': wanted {_size(label)} pixels like the labels, got {_size(prediction)}; {what}."
        )
    if label.dtype == prediction.dtype == np.uint8 and classes <= IGNORE:
        if prediction.size and int(prediction.max()) >= classes:
            _refuse_predicted(np.unique(prediction), classes)
        joint = joint_histogram(label, prediction, classes)
        labelled = joint.sum(axis=1)
        _refuse_labelled(np.flatnonzero(labelled), classes, ignore)
        scored = joint[:classes]
        return np.stack([np.diagonal(scored), scored.sum(axis=0), labelled[:classes]])
    _refuse_predicted(np.unique(prediction), classes)
    _refuse_labelled(np.unique(label), classes, ignore)
    scored_pixels = label < classes
    labels, predicted = label[scored_pixels], prediction[scored_pixels]
    parts = (labels[labels == predicted], predicted, labels)
    return np.stack([np.bincount(part, minlength=classes) for part in parts]).astype(np.int64)


def _size(image: Array) -> str:
    return " x ".join(map(str, image.shape))


def _refuse_predicted(values: Array, classes: int) -> None:
    if len(values) and values[-1] >= classes:
        raise PredictionError(f"field 'label_map': wanted labels 0 to {classes - 1}, got {values[-1]}.")


def _refuse_labelled(values: Array, classes: int, ignore: bool) -> None:
    outside = values[values >= classes]
    if ignore:
        outside = outside[outside != ignore_value(classes)]
    if len(outside):
        wanted = f"0 to {classes - 1}" + (f" or {ignore_value(classes)} (ignored)" if ignore else "")
        raise DataError(f"labels of the data set: wanted {wanted}, got {outside[0]}.")
