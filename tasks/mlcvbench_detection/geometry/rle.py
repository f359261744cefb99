"""Run-length encoded masks as in COCO: column-major runs, alternately background and object.

Every mask is checked here before an engine gets it: pycocotools reads out of bounds if runs do not sum to height x
width. Coding of the compressed form: maskApi.c of pycocotools, `rleToString` and `rleFrString`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple, overload

import numpy as np

from mlcvbench.contract import Array
from mlcvbench.limits import MAX_PIXELS
from mlcvbench_detection.geometry.ragged import pick, starts_of

_LONGEST_NUMBER = 7
"""The most characters of a run length: 35 bits, more than any image has pixels."""
_TEXT_AT_ONCE = 1 << 18
"""Characters that are decoded together, so that temporary arrays fit in the caches."""
_RUNS_AT_ONCE = 1 << 16
"""Runs that are encoded together, for the same reason."""


class BadMask(NamedTuple):
    """The first invalid mask, and what is wrong with it."""

    row: int
    reason: str


class Text(NamedTuple):
    """The compressed form of N masks: `characters` uint8 (B,), and where each mask begins, `starts` int64 (N + 1,)."""

    characters: Array
    starts: Array


@dataclass(frozen=True, slots=True)
class Masks:
    """N masks: `runs` int64, all run lengths; mask i has `runs[starts[i]:starts[i + 1]]` and `size[i]` = height, width.

    The first run of a mask is background. `runs` sum to height x width for every mask. `text`: what `encode_text`
    returns, where it is known because masks were read from it.
    """

    runs: Array
    starts: Array
    size: Array
    text: Text | None = None

    def __len__(self) -> int:
        return len(self.size)

    @overload
    def __getitem__(self, index: int) -> Array: ...
    @overload
    def __getitem__(self, index: slice | Array | Sequence[int]) -> Masks: ...
    def __getitem__(self, index: int | slice | Array | Sequence[int]) -> Array | Masks:
        """Return the runs of one mask, or chosen masks."""
        if isinstance(index, int | np.integer):
            return self.runs[self.starts[index] : self.starts[index + 1]]
        places, starts = pick(self.starts, index)
        text = None
        if self.text is not None:
            characters, ends = pick(self.text.starts, index)
            text = Text(self.text.characters[characters], ends)
        return Masks(self.runs[places], starts, self.size[index], text)

    @staticmethod
    def join(parts: Sequence[Masks]) -> Masks:
        """Concatenate masks; an empty list gives no masks."""
        runs = np.concatenate([np.zeros(0, np.int64), *(part.runs for part in parts)])
        counts = np.concatenate([np.zeros(0, np.int64), *(np.diff(part.starts) for part in parts)])
        size = np.concatenate([np.zeros((0, 2), np.int64), *(part.size for part in parts)])
        texts = [part.text for part in parts if part.text is not None]
        return Masks(runs, starts_of(counts), size, _join_texts(texts) if len(texts) == len(parts) else None)

    def on(self) -> tuple[Array, Array, Array]:
        """Return the object runs: first pixel, end and mask of each, int64, in order."""
        ends = np.append(0, np.cumsum(self.runs))
        counts = np.diff(self.starts) // 2  # every second run is object
        owner = np.repeat(np.arange(len(self)), counts)
        own = np.cumsum(counts) - counts
        place = 2 * np.arange(len(owner)) + np.repeat(self.starts[:-1] + 1 - 2 * own, counts)
        before = np.repeat(ends[self.starts[:-1]], counts)
        return ends[place] - before, ends[place + 1] - before, owner

    def area(self) -> Array:
        """Return the object's pixels of each mask, int64 (N,)."""
        first, end, owner = self.on()
        return np.bincount(owner, end - first, len(self)).astype(np.int64)

    def differing(self, other: Masks) -> Array:
        """Return the pixels that belong to one of two masks alone, int64 (N,), for masks of equal number and sizes."""
        before = np.cumsum(np.prod(self.size, axis=1)) - np.prod(self.size, axis=1)
        (own, own_end, owner), (their, their_end, theirs) = self.on(), other.on()
        own_by, their_by = before[owner], before[theirs]
        places = np.concatenate([own + own_by, their_end + their_by, own_end + own_by, their + their_by])
        change = np.repeat([1, -1], [len(own) + len(their), len(own) + len(their)])  # 0 where both or neither is object
        order = np.argsort(places, kind="stable")
        places, apart = places[order], np.cumsum(change[order])
        lengths = np.diff(places, append=places[-1:]) * (apart != 0)
        mask = np.searchsorted(before, places, side="right") - 1
        return np.bincount(mask, lengths, len(self)).astype(np.int64)

    def alike(self, other: Masks) -> bool:
        """Return whether masks are the same but for one pixel in a hundred, or a single one.

        What is nearly even at a border falls to either side by the order in which a network sums up.
        """
        if not np.array_equal(self.size, other.size):
            return False
        return bool((self.differing(other) <= np.maximum(1, np.maximum(self.area(), other.area()) // 100)).all())

    def boxes(self) -> Array:
        """Return float64 (N, 4) [x, y, width, height] of the object's pixels, zeros for an empty mask."""
        first, end, owner = self.on()
        filled = end > first
        if not filled.all():
            first, end, owner = first[filled], end[filled], owner[filled]
        boxes = np.zeros((len(self), 4))
        if not len(owner):
            return boxes
        height = self.size[:, 0][owner]
        left, top = np.divmod(first, height)
        right, bottom = np.divmod(end - 1, height)
        whole = left < right  # a run that continues in the next column touches both edges
        top[whole] = 0
        bottom[whole] = height[whole] - 1
        starts = np.flatnonzero(np.append(True, owner[1:] != owner[:-1]))
        shown = owner[starts]
        x, y = left[starts], np.minimum.reduceat(top, starts)  # runs go by columns, so the first is leftmost
        boxes[shown, 0], boxes[shown, 1] = x, y
        boxes[shown, 2] = right[np.append(starts[1:], len(owner)) - 1] - x + 1
        boxes[shown, 3] = np.maximum.reduceat(bottom, starts) - y + 1
        return boxes

    def columns(self) -> tuple[Array, Array]:
        """Return int64 (N,) and (N,): the first column of each object, and the first after it, 0 for an empty mask."""
        height, width = self.size.T
        end = height * width
        open_end = np.diff(self.starts) % 2 == 1  # the last run is background
        end[open_end] -= self.runs[self.starts[1:][open_end] - 1]
        return self.runs[self.starts[:-1]] // height, -(-end // height)

    def dense(self, index: int) -> Array:
        """Return bool (height, width) of one mask."""
        height, width = self.size[index]
        runs = self[index]
        flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
        return flat.reshape(int(width), int(height)).T


def _join_texts(texts: Sequence[Text]) -> Text:
    characters = np.concatenate([np.zeros(0, np.uint8), *(text.characters for text in texts)])
    lengths = np.concatenate([np.zeros(0, np.int64), *(np.diff(text.starts) for text in texts)])
    return Text(characters, starts_of(lengths))


def encode_dense(masks: Array) -> Masks:
    """Return the run lengths of masks (N, height, width), where anything but 0 is object.

    >>> encode_dense(np.array([[[0, 1], [1, 1]]])).runs.tolist()
    [1, 3]
    """
    count, height, width = masks.shape
    parts = []
    for mask in masks:
        flat = (mask != 0).T.ravel()
        turns = np.flatnonzero(flat[1:] != flat[:-1]) + 1
        edges = np.concatenate([[0] if len(flat) and flat[0] else [], [0], turns, [len(flat)]]).astype(np.int64)
        parts.append(np.diff(edges))
    runs = np.concatenate([np.zeros(0, np.int64), *parts])
    return Masks(runs, starts_of(np.array([len(part) for part in parts])), np.tile([height, width], (count, 1)))


def decode_text(text: Array, starts: Array, size: Array) -> Masks | BadMask:
    """Decode compressed masks, or return the damaged one.

    Args:
        text: the characters of all masks, uint8 (B,).
        starts: where the text of each mask begins, int64 (N + 1,).
        size: height and width of each mask, int64 (N, 2).

    """
    block = starts[:-1] // _TEXT_AT_ONCE
    cuts = [0, *(np.flatnonzero(np.diff(block)) + 1).tolist(), len(size)]
    parts = []
    for first, last in pairwise(cuts):
        own = starts[first : last + 1]
        part = _decode(text[own[0] : own[-1]], own - own[0], size[first:last])
        if isinstance(part, BadMask):
            return BadMask(first + part.row, part.reason)
        parts.append(part)
    return Masks.join(parts)


def _decode(text: Array, starts: Array, size: Array) -> Masks | BadMask:
    digits = text - np.uint8(48)
    strange = np.flatnonzero(digits > 63)
    if len(strange):
        owner = int(np.searchsorted(starts, strange[0], side="right")) - 1
        return BadMask(owner, f"its counts hold the character {chr(text[strange[0]])!r}, which is not part of the code")
    last = (digits & 0x20) == 0
    closed = last[starts[1:] - 1] | (np.diff(starts) == 0) if len(text) else np.diff(starts) == 0
    if not closed.all():
        return BadMask(int(np.argmin(closed)), "its counts end inside a number")
    ends = np.flatnonzero(last) + 1
    firsts = np.append(0, ends[:-1])[: len(ends)]
    length = ends - firsts
    run_starts = np.searchsorted(ends, starts, side="right")
    if len(length) and length.max() > _LONGEST_NUMBER:
        owner = int(np.searchsorted(run_starts, np.argmax(length > _LONGEST_NUMBER), side="right")) - 1
        return BadMask(owner, "its counts hold a number of more than 35 bits")
    shift = 5 * (np.arange(len(digits)) - np.repeat(firsts, length))
    parts = (digits & 0x1F).astype(np.int64) << shift
    value = np.add.reduceat(parts, firsts) if len(firsts) else np.zeros(0, np.int64)
    value -= ((digits[ends - 1] & 0x10) != 0).astype(np.int64) << (5 * length)
    kept = None if _is_padded(digits, firsts, ends) else Text(text, starts)
    return check_runs(Masks(_undo_differences(value, run_starts), run_starts, size, kept))


def _is_padded(digits: Array, firsts: Array, ends: Array) -> bool:
    """Return whether the last character of some number only repeats the sign of the one before."""
    ends = ends[ends - firsts > 1]
    sign, final = digits[ends - 2] & 0x10, digits[ends - 1]
    return bool((final == np.where(sign, 0x1F, 0)).any())


def encode_text(masks: Masks) -> Text:
    """Return the compressed text of masks, the shortest there is."""
    if masks.text is not None:
        return masks.text
    block = masks.starts[:-1] // _RUNS_AT_ONCE
    cuts = [0, *(np.flatnonzero(np.diff(block)) + 1).tolist(), len(masks)]
    return _join_texts([_encode(masks[first:last]) for first, last in pairwise(cuts)])


def _encode(masks: Masks) -> Text:
    value = masks.runs.astype(np.int32)  # no image has more than `MAX_PIXELS`
    value[2:] -= value[:-2].copy()
    firsts = masks.starts[:-1, None] + np.arange(3)  # the first three numbers of a mask are no differences
    firsts = firsts[np.arange(3) < np.diff(masks.starts)[:, None]]
    value[firsts] = masks.runs[firsts]
    size = value ^ (value >> 31)
    length = np.ones(len(value), dtype=np.int8)
    for bits in range(4, int(size.max(initial=0)).bit_length(), 5):  # p + 1 characters hold 5 * p + 4 bits and a sign
        length += size >> bits != 0
    starts = starts_of(length)
    text, place = np.empty(starts[-1], dtype=np.uint8), starts[:-1]
    while len(value):
        more = length > 1
        text[place] = (value & 0x1F | more << 5) + 48
        value, place, length = value[more] >> 5, place[more] + 1, length[more] - 1
    return Text(text, starts[masks.starts])


def coco_objects(masks: Masks, rows: Array | None = None) -> list[Any]:
    """Return masks, or those of `rows`, as engines take them: {"size": [height, width], "counts": bytes}."""
    if rows is not None and masks.text is None:
        masks, rows = masks[rows], None
    text = encode_text(masks)
    chosen = slice(None) if rows is None else rows
    view = text.characters.data
    firsts, ends, sizes = text.starts[:-1][chosen], text.starts[1:][chosen], masks.size[chosen]
    return [
        {"size": size, "counts": view[first:end].tobytes()}
        for size, first, end in zip(sizes.tolist(), firsts.tolist(), ends.tolist(), strict=True)
    ]


def check_runs(masks: Masks) -> Masks | BadMask:
    """Return the masks when every one has a size and non-negative runs that sum to height x width."""
    height, width = masks.size.T
    sized = (height > 0) & (width > 0) & (height <= MAX_PIXELS) & (width <= MAX_PIXELS)
    sized[sized] = (height * width)[sized] <= MAX_PIXELS
    if not sized.all():
        row = int(np.argmin(sized))
        return BadMask(row, f"its size {masks.size[row].tolist()} is not that of an image of 1 to {MAX_PIXELS} pixels")
    positive = np.minimum(masks.runs, MAX_PIXELS + 1)
    wrong = masks.runs < 0
    if wrong.any():
        row = int(np.searchsorted(masks.starts, np.argmax(wrong), side="right")) - 1
        return BadMask(row, f"its counts hold the run {masks.runs[wrong][0]}")
    total = np.diff(np.append(0, np.cumsum(positive))[masks.starts])
    fits = total == height * width
    if not fits.all():
        row = int(np.argmin(fits))
        return BadMask(row, f"its runs cover {masks[row].sum()} of {height[row]} x {width[row]} pixels")
    return _without_empty_runs(masks)


def _undo_differences(value: Array, starts: Array) -> Array:
    """Decode run lengths: from the fourth number on each is the difference to the last but one."""
    number = np.arange(len(value)) - np.repeat(starts[:-1], np.diff(starts))
    runs = value.copy()
    for first in (1, 2):
        chain = np.flatnonzero((number >= first) & (number % 2 == first % 2))
        total = np.cumsum(value[chain])
        heads = np.flatnonzero(number[chain] == first)
        before = np.append(0, total)[heads]
        runs[chain] = total - np.repeat(before, np.diff(np.append(heads, len(chain))))
    return runs


def _without_empty_runs(masks: Masks) -> Masks:
    """Merge the runs around an empty one, since pycocotools stops early on two masks that both have one."""
    number = np.arange(len(masks.runs)) - np.repeat(masks.starts[:-1], np.diff(masks.starts))
    hollow = (masks.runs == 0) & (number > 0)
    if not hollow.any():
        return masks
    first, end, owner = masks.on()
    solid = end > first
    first, end, owner = first[solid], end[solid], owner[solid]
    parts = []
    for row, (height, width) in enumerate(masks.size):
        own = owner == row
        edges = np.stack([first[own], end[own]], axis=1).ravel()
        touching = np.flatnonzero(edges[1:] == edges[:-1])
        edges = np.delete(edges, np.concatenate([touching, touching + 1]))
        inside = edges[:-1] if len(edges) and edges[-1] == height * width else edges
        parts.append(np.diff(np.concatenate([[0], inside, [height * width]])))
    return Masks(np.concatenate(parts), starts_of(np.array([len(part) for part in parts])), masks.size)
