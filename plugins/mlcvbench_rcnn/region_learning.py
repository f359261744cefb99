"""What R-CNN fits on the features of its network: a linear SVM a class, and a ridge regression a class for boxes.

An SVM learns the annotated objects of its class against proposals that overlap them by less than 0.3, first some drawn
ones, then those that it takes for objects (Girshick et al. 2014, section 2.3). The regression learns from proposals
that overlap an object by more than 0.6 how far that is (appendix C).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torchvision.ops import box_iou

from mlcvbench.contract import Array
from mlcvbench_networks.detection.box_coding import encode_deltas
from mlcvbench_training.sample_batch import Objects

NEGATIVE = 0.3
"""A proposal is a negative of a class when it overlaps all of its objects less."""
CLOSE = 0.6
"""A proposal teaches the way to an object that it overlaps more."""
MARGIN = -1.0
"""Negatives with a higher score are inside the SVM's margin: these are the hard ones."""
HARDEST = 5
"""Hard negatives taken from an image for one class in a round, at most."""
NORM = 20.0
"""Mean length that features are scaled to, for which the price of the SVMs is meant (the published code)."""
BIAS_SCALE = 10.0
"""scikit-learn penalises the bias too; the larger its input, the less (10 in the published code)."""
ROOM = 1 << 30
"""Numbers that may be kept of the proposals of all images for each of the two: 4 GiB."""


class Seen(NamedTuple):
    """An image uint8 (H, W, C), its objects, and its proposals float32 (P, 4)."""

    image: Array
    objects: Objects
    proposals: Array


class Prices(NamedTuple):
    """`c`: of a violated margin; `ridge`: of large coefficients. Then drawn `negatives`, and `rounds` of hard ones."""

    c: float
    ridge: float
    negatives: int
    rounds: int


class Fitted(NamedTuple):
    """Weights float32 (K, D) and biases (K,) of the SVMs, (K, 4, P) and (K, 4) of the regressions."""

    svm: Array
    svm_bias: Array
    ridge: Array
    ridge_bias: Array


@dataclass(slots=True)
class _Pool:
    """Features float32 (D,) of regions, with what each is; `seen` says which proposals are among them."""

    features: list[Array] = field(default_factory=list)
    what: list[Array] = field(default_factory=list)
    seen: set[tuple[int, int]] = field(default_factory=set)

    def add(self, features: Array, what: Array) -> None:
        self.features.append(features)
        self.what.append(what)

    def all(self) -> tuple[Array, Array]:
        return np.concatenate(self.features), np.concatenate(self.what)


class Learner:
    """Fits both on the regions of a training set.

    `images` yields its `count` images anew, `describe` returns the pooled maps (N, P) and the features (N, D) of boxes
    in an image; `width` is the larger of P and D.
    """

    def __init__(
        self,
        images: Callable[[], Iterator[Seen]],
        count: int,
        describe: Callable[[Array, Array], tuple[Array, Array]],
        classes: int,
        prices: Prices,
        seed: int,
        width: int,
    ) -> None:
        self._images, self._count, self._describe, self._classes = images, count, describe, classes
        self._prices, self._seed, self._room = prices, seed, max(1, ROOM // (count * width))
        self._positives, self._negatives, self._close = _Pool(), _Pool(), _Pool()

    def run(self) -> Fitted:
        """Look at all images once, and once more for each round of hard negatives."""
        self._gather()
        self._scale = NORM / max(float(np.mean(np.linalg.norm(self._negatives.all()[0], axis=1))), 1e-6)
        svm, bias = self._separate()
        for _ in range(self._prices.rounds):
            self._mine(svm, bias)
            svm, bias = self._separate()
        return Fitted(svm, bias, *self._regress())

    def _gather(self) -> None:
        """Take the objects and their mirror images, some proposals beside them, and those close to them."""
        generator = np.random.default_rng(self._seed)
        each = -(-self._prices.negatives // self._count)
        for place, (image, objects, proposals) in enumerate(self._images()):
            wanted = objects.boxes[~objects.ignored].numpy()
            labels = objects.labels[~objects.ignored].numpy()
            mirrored = wanted.copy()
            mirrored[:, [0, 2]] = image.shape[1] - wanted[:, [2, 0]]
            allowed = self._allowed(proposals, objects)
            drawn = generator.permutation(len(proposals))[:each]
            drawn = drawn[allowed[drawn].any(axis=1)]
            close, nearest = self._close_to(wanted, proposals)
            pooled, features = self._describe(image, np.concatenate([wanted, proposals[drawn], proposals[close]]))
            own, _, near = np.split(np.arange(len(pooled)), [len(wanted), len(wanted) + len(drawn)])
            self._positives.add(features[own], labels)
            self._positives.add(self._describe(np.ascontiguousarray(image[:, ::-1]), mirrored)[1], labels)
            self._take(place, drawn, features[len(wanted) : len(wanted) + len(drawn)], allowed)
            deltas = encode_deltas(torch.from_numpy(wanted[nearest]), torch.from_numpy(proposals[close])).numpy()
            self._close.add(pooled[near], np.concatenate([labels[nearest][:, None], deltas], axis=1))

    def _close_to(self, wanted: Array, proposals: Array) -> tuple[Array, Array]:
        """Return which proposals overlap an object by more than `CLOSE`, and which one they overlap most."""
        if not len(wanted) or not len(proposals):
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        most, nearest = box_iou(torch.from_numpy(proposals), torch.from_numpy(wanted)).max(dim=1)
        close = torch.nonzero(most > CLOSE).squeeze(1)[: self._room]
        return close.numpy(), nearest[close].numpy()

    def _mine(self, svm: Array, bias: Array) -> None:
        """Add the highest new negatives inside the margin of each class."""
        for place, (image, objects, proposals) in enumerate(self._images()):
            _, features = self._describe(image, proposals)
            margins = features @ svm.T + bias
            allowed = self._allowed(proposals, objects)
            hard = np.where(allowed & (margins > MARGIN), margins, -np.inf)
            best = np.argsort(-hard, axis=0, kind="stable")[:HARDEST]  # (at most 5, K)
            found = np.unique(best[np.take_along_axis(hard, best, axis=0) > -np.inf])
            seen = self._negatives.seen
            new = np.array([one for one in found.tolist() if (place, one) not in seen][: self._room], dtype=np.int64)
            self._take(place, new, features[new], allowed)

    def _allowed(self, proposals: Array, objects: Objects) -> Array:
        """Tell for which classes each proposal is a negative, bool (P, K); beside ignored regions for all."""
        overlaps = box_iou(torch.from_numpy(proposals), objects.boxes).numpy()  # (P, M)
        labels, ignored = objects.labels.numpy(), objects.ignored.numpy()
        free = overlaps[:, ignored].max(axis=1, initial=0.0) < NEGATIVE
        beside = [
            overlaps[:, ~ignored & (labels == label)].max(axis=1, initial=0.0) < NEGATIVE
            for label in range(self._classes)
        ]
        allowed: Array = np.stack(beside, axis=1) & free[:, None]
        return allowed

    def _take(self, place: int, chosen: Array, features: Array, allowed: Array) -> None:
        """Keep proposals `chosen` of an image as negatives of the classes that `allowed` (P, K) says."""
        self._negatives.add(features, allowed[chosen])
        self._negatives.seen.update((place, one) for one in chosen.tolist())

    def _separate(self) -> tuple[Array, Array]:
        """Return weights and biases of the SVMs on features as they are; a class without objects is never there."""
        from sklearn.svm import LinearSVC

        positives, labels = self._positives.all()
        negatives, allowed = self._negatives.all()
        weights = np.zeros((self._classes, positives.shape[1]), dtype=np.float32)
        biases = np.full(self._classes, -NORM, dtype=np.float32)
        for label in range(self._classes):
            own, other = positives[labels == label], negatives[allowed[:, label]]
            if not len(own) or not len(other):
                continue
            machine = LinearSVC(
                C=self._prices.c, intercept_scaling=BIAS_SCALE, random_state=self._seed, max_iter=10_000
            )
            answers = np.repeat([1, -1], [len(own), len(other)])
            machine.fit(np.concatenate([own, other]) * self._scale, answers)
            weights[label], biases[label] = machine.coef_[0] * self._scale, machine.intercept_[0]
        return weights, biases

    def _regress(self) -> tuple[Array, Array]:
        """Return coefficients and constants of the regressions; a class without close proposals moves nothing."""
        from sklearn.linear_model import Ridge

        pooled, what = self._close.all()
        labels, deltas = what[:, 0].astype(np.int64), what[:, 1:]
        weights = np.zeros((self._classes, 4, pooled.shape[1]), dtype=np.float32)
        biases = np.zeros((self._classes, 4), dtype=np.float32)
        scale = NORM / max(float(np.mean(np.linalg.norm(pooled, axis=1))) if len(pooled) else 0.0, 1e-6)
        for label in np.unique(labels).tolist():
            own = labels == label
            line = Ridge(alpha=self._prices.ridge).fit(pooled[own] * scale, deltas[own])
            weights[label], biases[label] = line.coef_ * scale, line.intercept_
        return weights, biases
