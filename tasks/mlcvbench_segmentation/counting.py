"""Counts the pixels of one image: the joint histogram of label and prediction."""

from __future__ import annotations

import numpy as np

from mlcvbench.contract import Array
from mlcvbench.errors import DataError, PredictionError

EXACT_FLOAT32 = 1 << 24
"""OpenCV counts in float32 cells, which are exact up to here; larger images are counted in pieces."""
LEVELS = 256
_WORD = 8
_PIECE = 1 << 15
"""Words looked at before the next ones, so that what is computed of them stays in the cache."""
SMOOTH = 0.8
"""The share of constant words from which on it is worth finding them."""
_EACH = 251
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
    joint = np.zeros((LEVELS, classes), dtype=np.int64)
    for start in range(0, whole, EXACT_FLOAT32):
        stop = min(start + EXACT_FLOAT32, whole)
        joint += _histogram_by_words(labels[start:stop], predictions[start:stop], classes).astype(np.int64)
    if whole < labels.size:
        joint += _histogram(labels[whole:], predictions[whole:], classes).astype(np.int64)
    return joint


def _histogram_by_words(label: Array, prediction: Array, classes: int) -> Array:
    """Return float32 (256, C) counts; words of eight pixels in which both images are constant are counted at once.

    Smooth label maps consist mostly of such words, and repeated counts of one cell are the slow case of a histogram.
    Where a sample says that fewer are constant, finding them takes longer than counting all pixels.
    """
    words = label.view(np.uint64), prediction.view(np.uint64)
    sample = [one[::_EACH].copy().view(np.uint8) for one in words]
    if np.count_nonzero(_constant(sample[0], sample[1])) * _EACH < SMOOTH * len(words[0]):
        return _histogram(label, prediction, classes)
    constant = np.empty(len(words[0]), dtype=bool)
    firsts = [np.empty(len(constant), dtype=np.uint8) for _ in words]
    rest: list[list[Array]] = [[], []]
    for start in range(0, len(constant), _PIECE):
        piece = slice(start, start + _PIECE)
        constant[piece] = _constant(words[0][piece].view(np.uint8), words[1][piece].view(np.uint8))
        others = np.flatnonzero(~constant[piece])
        for one, first, gathered in zip(words, firsts, rest, strict=True):
            first[piece] = one[piece]  # the lowest byte, which comes quicker than every eighth pixel
            gathered.append(one[piece][others])
    by_word = _histogram(firsts[0], firsts[1], classes, constant.view(np.uint8))
    remaining = [np.concatenate(one).view(np.uint8) for one in rest]
    by_pixel = _histogram(remaining[0], remaining[1], classes)
    counted: Array = _WORD * by_word + by_pixel
    return counted


def _constant(label: Array, prediction: Array) -> Array:
    """Return which words of eight pixels, of uint8 (8 W,), hold eight equal ones in both images: bool (W,)."""
    changes = np.empty(label.size, dtype=np.uint8)  # 0 where a pixel equals the one before
    changes[0] = 0
    np.bitwise_xor(label[1:], label[:-1], out=changes[1:])
    changes[1:] |= prediction[1:] ^ prediction[:-1]
    # the first pixel of a word, its lowest byte, may differ from the last one of the word before
    return np.asarray(changes.view(np.uint64) < LEVELS)


def _histogram(label: Array, prediction: Array, classes: int, chosen: Array | None = None) -> Array:
    """Return float32 (256, C): counts of pixels, or of `chosen` ones (uint8, 0 = not)."""
    import cv2

    if not label.size:
        return np.zeros((LEVELS, classes), dtype=np.float32)
    cells: Array = cv2.calcHist([label, prediction], [0, 1], chosen, [LEVELS, classes], [0, LEVELS, 0, classes])
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
        joint = joint_histogram(label, prediction, classes)
        labelled = joint.sum(axis=1)
        if int(labelled.sum()) < prediction.size:  # what is not counted is no class
            _refuse_predicted(np.unique(prediction), classes)
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
