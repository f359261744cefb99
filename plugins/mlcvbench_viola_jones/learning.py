"""Learning a cascade: stages of boosted stumps, each on the negatives that all earlier ones still accept.

Viola and Jones 2001, section 4.1 and table 2. A stage grows until it refuses enough of its negatives at a threshold
that keeps nearly all objects; the next one is trained on what is left. What is left is never searched for anew: the
windows of the training images are drawn once, and after each stage those that it refuses are dropped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mlcvbench.contract import Array, FitContext
from mlcvbench_viola_jones.boosting import AdaBoost, Ordered, halves
from mlcvbench_viola_jones.cascade import ScaledCascade, empty_cascade, has_contrast
from mlcvbench_viola_jones.classifier import drawn_features, resized, with_boosted
from mlcvbench_viola_jones.features import SIDE, Features, every_feature, look_ups, window_integrals
from mlcvbench_viola_jones.search import Search, shrink
from mlcvbench_viola_jones.truths import Truth, overlap, windows_of

NEGATIVE_IOU = 0.4
"""A window is a negative when it overlaps the window of every object less."""
JITTER_SHIFT, JITTER_SCALE = 0.06, 0.12
"""By how much copies of an object are moved, in widths of its window, and enlarged: half a step of the search."""
FEWEST = 20
"""A stage needs so many objects and so many negatives."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Grey images uint8 (H, W) and the objects of one class in each."""

    images: Sequence[Array]
    truths: Sequence[Truth]


Pools = list[list[Array]]
"""Windows by image and level, indices of their first corners in a table of sums, int32 (n,)."""


class Trainer:
    """Learns the cascade of one class."""

    def __init__(self, train: Shown, val: Shown | None, params: Mapping[str, Any], ctx: FitContext) -> None:
        self._train, self._params, self._ctx = train, params, ctx
        self._search = Search.of(SIDE, SIDE, params)
        self._rng = np.random.default_rng([ctx.seed, 1])
        self._objects = self._crops_of_objects(train, params["copies"])
        held_out = self._objects[:0] if val is None else self._crops_of_objects(val, 1)
        # thresholds are set on objects that no stump has seen, where there are enough of them
        self._held_out = held_out if len(held_out) >= FEWEST else self._objects[:0]
        self.cascade = empty_cascade(SIDE, SIDE)
        self.history: dict[str, list[float | None]] = {"stumps": [], "detection": [], "false_positives": [], "left": []}
        self.cut_short = False

    @property
    def trainable(self) -> bool:
        """Whether there are objects enough."""
        return len(self._objects) >= FEWEST

    def run(self, until: float | None, done: Callable[[int], None]) -> None:
        """Add stages; stop before `until`, a time, would be passed by one that takes as long as the last.

        `done` is called with the number of stages after each.
        """
        pools = [list(self._draw_windows(place)) for place in range(len(self._train.images))]
        every = every_feature(SIDE, SIDE)
        for number in range(self._params["stages"]):
            started = time.monotonic()
            negatives = self._crops_of_windows(pools)
            if len(negatives) < FEWEST or len(self._objects) < FEWEST:
                break
            self._add_stage(number, every, negatives)
            left = self._drop_refused(pools, number)
            self.history["left"].append(float(left))
            self._ctx.report(number + 1, **{name: column[-1] for name, column in self.history.items()})
            done(number + 1)
            now = time.monotonic()
            if until is not None and now + (now - started) > until and number + 1 < self._params["stages"]:
                self.cut_short = True
                break

    def _add_stage(self, number: int, every: Features, negatives: Array) -> None:
        """Boost until the stage refuses enough negatives at the threshold that keeps enough objects."""
        patches = np.concatenate([self._objects, negatives])
        signs = np.repeat([1, -1], [len(self._objects), len(negatives)])
        features = drawn_features(every, self._params["features"], len(patches), self._ctx.seed + number)
        boosted = AdaBoost(Ordered(features, patches), signs, halves(signs))
        unseen = window_integrals(self._held_out)
        sums = np.zeros(len(self._held_out))
        limit, detected, accepted = 0.0, 1.0, 1.0
        while len(boosted.stumps) < self._params["stumps"] and accepted > self._params["false_positives"]:
            stump = boosted.round()
            if stump is None:
                break
            sums = sums + stump.vote(one_feature(features, stump.feature, unseen))
            reference = sums if len(sums) else boosted.scores[signs > 0]
            limit = lowest_kept(reference, self._params["detection"])
            detected = float(np.mean(reference >= limit))
            accepted = float(np.mean(boosted.scores[signs < 0] >= limit))
        self.cascade = with_boosted(self.cascade, boosted, features, limit)
        lowest = self.cascade.lowest(number)
        self._objects = self._objects[boosted.scores[signs > 0] >= lowest]
        self._held_out = self._held_out[sums >= lowest]
        for name, value in (("stumps", len(boosted.stumps)), ("detection", detected), ("false_positives", accepted)):
            self.history[name].append(float(value))

    def _crops_of_objects(self, shown: Shown, copies: int) -> Array:
        """Return the objects and moved copies of them, each with its mirror image, uint8 (n, 24, 24)."""
        crops = []
        for image, truth in zip(shown.images, shown.truths, strict=True):
            for window in windows_of(truth.boxes[~truth.ignored], self._params["context"]):
                side = window[2] - window[0]
                for copy in range(copies):
                    moved = window
                    if copy:
                        shift = self._rng.uniform(-JITTER_SHIFT, JITTER_SHIFT, 2) * side
                        grown = side / 2 * (np.exp(self._rng.uniform(-JITTER_SCALE, JITTER_SCALE)) - 1)
                        moved = window + np.tile(shift, 2) + np.array([-grown, -grown, grown, grown])
                    patch = cut(image, moved, self._search.way)
                    crops += [patch, patch[:, ::-1]]
        return lively(np.stack(crops)) if crops else np.zeros((0, SIDE, SIDE), dtype=np.uint8)

    def _draw_windows(self, number: int) -> Iterator[Array]:
        """Yield the negatives of an image's levels; where all images have more than `windows`, some at random."""
        image, truth = self._train.images[number], self._train.truths[number]
        objects = windows_of(truth.boxes, self._params["context"])
        for level in self._search.levels(*image.shape):
            stride = level.stride(image)
            places = level.places(stride).ravel()
            places = places[self._rng.random(len(places)) < self._share]
            best = overlap(level.boxes(places, stride), objects).max(axis=1, initial=0.0)
            yield places[best < NEGATIVE_IOU].astype(np.int32)

    @cached_property
    def _share(self) -> float:
        """The share of all windows that is drawn."""
        levels = [level for image in self._train.images for level in self._search.levels(*image.shape)]
        wanted: int = self._params["windows"]
        return min(1.0, wanted / max(1, sum(level.rows * level.columns for level in levels)))

    def _crops_of_windows(self, pools: Pools) -> Array:
        """Return up to `negatives` of the windows in the pools, drawn at random, uint8 (n, 24, 24)."""
        total = sum(len(places) for own in pools for places in own)
        drawn = np.sort(self._rng.choice(total, min(self._params["negatives"], total), replace=False))
        crops = []
        first = 0
        for image, own in zip(self._train.images, pools, strict=True):
            for level, places in zip(self._search.levels(*image.shape), own, strict=True):
                chosen = places[
                    drawn[np.searchsorted(drawn, first) : np.searchsorted(drawn, first + len(places))] - first
                ]
                crops += [cut(image, box, self._search.way) for box in level.boxes(chosen, level.stride(image))]
                first += len(places)
        return lively(np.stack(crops)) if crops else np.zeros((0, SIDE, SIDE), dtype=np.uint8)

    def _drop_refused(self, pools: Pools, number: int) -> int:
        """Drop the windows that stage `number` refuses; return how many are left."""
        for image, own in zip(self._train.images, pools, strict=True):
            if not any(len(places) for places in own):
                continue
            for place, (level, tables) in enumerate(self._search.tables(image)):
                scaled = ScaledCascade(self.cascade, level.enlarged)
                own[place] = scaled.passing(tables, own[place].astype(np.int64), number).places.astype(np.int32)
        return sum(len(places) for own in pools for places in own)


def lowest_kept(scores: Array, share: float) -> float:
    """Return the largest limit at which at least `share` of the scores are accepted.

    >>> lowest_kept(np.array([3.0, 1.0, 2.0, 4.0]), 0.75)
    2.0
    """
    return float(np.sort(scores)[int((1 - share) * len(scores) + 1e-9)])


def one_feature(features: Features, index: int, integrals: tuple[Array, Array]) -> Array:
    """Return a feature of the patches of `window_integrals`, float32 (N,)."""
    values: Array = (look_ups(features.take(np.array([index])), SIDE, SIDE) @ integrals[0]).ravel() * integrals[1]
    return values


def cut(image: Array, window: Array, way: str) -> Array:
    """Return a window of an image as a patch uint8 (24, 24): shrunk as its search does it; edges are repeated."""
    x0, y0, x1, y1 = (int(v) for v in np.rint(window))
    x1, y1 = max(x1, x0 + 1), max(y1, y0 + 1)
    rows, columns = np.clip(np.arange(y0, y1), 0, image.shape[0] - 1), np.clip(np.arange(x0, x1), 0, image.shape[1] - 1)
    piece = np.ascontiguousarray(image[rows[:, None], columns])
    return shrink(piece, (SIDE, SIDE)) if way == "image" else resized(piece, SIDE, SIDE)


def lively(patches: Array) -> Array:
    """Return those of the patches that a search would look at: with enough contrast."""
    kept: Array = patches[has_contrast(window_integrals(patches)[1], empty_cascade(SIDE, SIDE))]
    return kept
