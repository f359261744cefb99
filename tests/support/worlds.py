"""Worlds to draw test sets from, a scorer's table each, so that the coverage of intervals can be simulated.

A world knows how samples come about; `draw(rng, groups)` gives one test set of so many groups, scored. What real test
sets have is there: images differ in difficulty, classes in frequency, people in how alike their images are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from mlcvbench.contract import Scorer, Table
from mlcvbench.stats import bootstrap
from mlcvbench.stats.intervals import Interval, interval
from mlcvbench_classification.scoring import ClassificationScorer
from mlcvbench_depth.scoring import MonoScorer, StereoScorer
from mlcvbench_detection.coco.scoring import CocoScorer
from mlcvbench_detection.voc.scoring import VocScorer
from mlcvbench_segmentation.scoring import SegmentationScorer
from mlcvbench_verification.pairs import Pairs
from mlcvbench_verification.scoring import PairScorer

Generator = np.random.Generator


class Sample(NamedTuple):
    """A scored test set: `groups` (U,) says which group each unit belongs to."""

    scorer: Scorer
    table: Table
    groups: np.ndarray


World = Callable[[Generator, int], Sample]


def _problem(classes: int) -> Any:
    return SimpleNamespace(classes=tuple(map(str, range(classes))), extra={})


def _logistic(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def classification(classes: int = 10, skill: float = 2.0) -> World:
    """Labels in even numbers, normal scores of which the label's is higher by `skill`; overconfident by half."""

    def draw(rng: Generator, count: int) -> Sample:
        label = rng.integers(0, classes, count)
        scores = rng.normal(size=(count, classes))
        scores[np.arange(count), label] += skill
        scorer = ClassificationScorer(_problem(classes))
        units = np.arange(count)
        return Sample(
            scorer, scorer.rows({"scores": (1.5 * scores).astype(np.float32)}, {"label": label}, units), units
        )

    return draw


def detection(
    classes: int = 8, objects: float = 1.0, false: float = 1.0, even: bool = True, voc: bool = False
) -> World:
    """Images with a Poisson number of objects and of false detections; harder images lose more and find worse boxes.

    `even`: whether classes are equally frequent, else as 1, 1/2, 1/3 ...
    """
    share = np.ones(classes) if even else 1 / np.arange(1, classes + 1)
    share /= share.sum()

    def draw(rng: Generator, count: int) -> Sample:
        hard = rng.normal(0, 0.7, count)
        owner = np.repeat(np.arange(count), rng.poisson(objects, count))
        label = rng.choice(classes, len(owner), p=share)
        quality = rng.normal(size=len(owner)) - hard[owner]
        found = np.flatnonzero(rng.random(len(owner)) < _logistic(1.5 + quality))
        iou = _logistic(1.2 + 0.8 * quality + rng.normal(0, 0.8, len(owner)))[found]
        score = 1.5 + 0.8 * quality[found] + rng.normal(size=len(found))
        wrong = np.repeat(np.arange(count), rng.poisson(false * np.exp(0.3 * hard)))
        unit = np.concatenate([owner[found], wrong, owner])
        detected = len(found) + len(wrong)
        true = np.concatenate([iou, np.zeros(len(wrong))])[:, None] >= np.arange(0.5, 0.96, 0.05)  # (D, 10)
        seen = np.zeros((len(owner), 10), dtype=bool)
        seen[found] = true[: len(found)]
        bits = np.concatenate([true, seen]) @ (1 << np.arange(10, dtype=np.uint64))
        columns = {
            "unit": unit,
            "kind": np.repeat(np.array([0, 1], dtype=np.uint8), [detected, len(owner)]),
            "category": np.concatenate([label[found], rng.choice(classes, len(wrong), p=share), label]),
            "score": np.concatenate([score, rng.normal(size=len(wrong)), np.zeros(len(owner))]),
            "place": np.zeros(len(unit), dtype=np.uint8),
            "match": (bits & np.uint64(1)).astype(bool) if voc else bits | bits << np.uint64(10),
            "ignore": np.zeros(len(unit), dtype=bool if voc else np.uint64),
        }
        if not voc:  # all objects are small, so the other two areas ignore everything
            columns["ignore"] = np.full(len(unit), ((1 << 20) - 1) << 20, dtype=np.uint64)
        problem = _problem(classes)
        scorer: Scorer = VocScorer(problem, eleven=False, plus_one=False) if voc else CocoScorer(problem)
        order = np.argsort(unit, kind="stable")
        table = {name: column[order] for name, column in columns.items()}
        table["rank"] = np.arange(len(unit)) - np.searchsorted(table["unit"], table["unit"])
        return Sample(scorer, Table(table), np.arange(count))

    return draw


def segmentation(classes: int = 8) -> World:
    """Images that hold each class with a chance from 0.9 down to 0.2; areas vary by half their logarithm."""

    def draw(rng: Generator, count: int) -> Sample:
        present = rng.random((count, classes)) < np.linspace(0.9, 0.2, classes)
        present[:, 0] = True
        labelled = np.round(present * np.exp(rng.normal(6, 0.6, (count, classes)))).astype(np.int64)
        ease = rng.normal(0, 0.7, (count, 1))
        skill = 2 - 0.2 * np.arange(classes) + ease + rng.normal(0, 0.7, (count, classes))
        hit = np.round(labelled * _logistic(skill))
        lost = (labelled - hit).sum(axis=1, keepdims=True)
        predicted = hit + np.round(lost * rng.dirichlet(np.full(classes, 0.5), count))
        scorer = SegmentationScorer("miou/ignore255/absent-skip@1", _problem(classes))
        unit, rank = (index.ravel() for index in np.indices((count, classes)))
        columns = {"unit": unit, "rank": rank, "hit": hit.ravel(), "predicted": predicted.ravel()}
        return Sample(scorer, Table({**columns, "labelled": labelled.ravel()}), np.arange(count))

    return draw


def stereo() -> World:
    """Disparity maps whose holes, errors and sizes vary from image to image."""

    def draw(rng: Generator, count: int) -> Sample:
        known = np.exp(rng.normal(10, 0.3, count))
        estimated = known * _logistic(rng.normal(2.5, 0.8, count))
        bad = _logistic(rng.normal(-2.2, 0.6, count))
        error = estimated * 10 * bad * np.exp(rng.normal(0, 0.4, count))
        powers = {"bad_0_5": 0.5, "bad_1": 0.7, "bad_2": 1.0, "bad_3": 1.2}
        limits = {name: estimated * bad**power for name, power in powers.items()}
        columns = {"unit": np.arange(count), "known": known, "estimated": estimated, "error": error, **limits}
        return Sample(StereoScorer("stereo/all@1"), Table({**columns, "d1": limits["bad_3"]}), np.arange(count))

    return draw


def monocular() -> World:
    """Depth maps, some harder than others in all respects."""

    def draw(rng: Generator, count: int) -> Sample:
        relative = np.exp(rng.normal(-2.2, 0.4, count))
        columns = {
            "unit": np.arange(count),
            "pixels": np.full(count, 1000.0),
            "abs_rel": relative,
            "sq_rel": 5 * relative**2,
            "rmse": 30 * relative * np.exp(rng.normal(0, 0.2, count)),
            "rmse_log": 1.2 * relative,
            "silog": 1.1 * relative,
            "log10": 0.4 * relative,
            **{
                f"delta{k}": 1 - (1 - _logistic(2.5 - 5 * relative + rng.normal(0, 0.5, count))) ** k for k in (1, 2, 3)
            },
        }
        return Sample(MonoScorer("mono/nyu/cap80/metric@1"), Table(columns), np.arange(count))

    return draw


def faces(images: int = 4, noise: float = 0.9) -> World:
    """People with 2 to `2 * images - 2` images each, all pairs compared; some people vary more than others."""

    def draw(rng: Generator, count: int) -> Sample:
        person = np.repeat(np.arange(count), rng.integers(2, 2 * images - 1, count))
        vary = noise * np.exp(rng.normal(0, 0.3, count))[person, None]
        embedding = rng.normal(size=(count, 8))[person] + vary * rng.normal(size=(len(person), 8))
        embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
        first, second = np.triu_indices(len(person), 1)
        similarity = (embedding[first] * embedding[second]).sum(axis=1)
        return _pairs("pairs/given@1", first, second, similarity, np.full(len(first), -1), person)

    return draw


def folds(folds: int = 10) -> World:
    """Lists of pairs like LFW's: `folds` folds of other people, as many genuine as impostor pairs, few for anyone.

    People are drawn anew for each pair, of 1.9 a genuine pair; some are easier to tell from all others.
    """

    def draw(rng: Generator, count: int) -> Sample:
        each = count // folds  # people of a fold
        pairs = int(each / 1.9)
        ease = rng.normal(0, 0.5, each * folds)
        start = np.repeat(np.arange(folds) * each, pairs)
        same = start + rng.integers(0, each, len(start))
        one = rng.integers(0, each, len(start))
        other = start + (one + rng.integers(1, each, len(start))) % each
        one = start + one
        similarity = np.concatenate(
            [
                2.5 + ease[same] + rng.normal(size=len(start)),
                -0.5 * (ease[one] + ease[other]) + rng.normal(size=len(start)),
            ]
        )
        first, second = np.concatenate([same, one]), np.concatenate([same, other])
        return _pairs("lfw/10fold/given@1", first, second, similarity, first // each, np.arange(each * folds))

    return draw


def _pairs(
    protocol: str, first: np.ndarray, second: np.ndarray, similarity: np.ndarray, fold: np.ndarray, person: np.ndarray
) -> Sample:
    scorer, units = PairScorer(protocol), np.arange(len(person))
    targets = {"pairs": Pairs(first, second, fold), "identity": person}
    table = scorer.rows({"similarity": similarity}, targets, units)
    return Sample(scorer, table, scorer.unit_groups(person, targets))


class Coverage(NamedTuple):
    """Of one metric: how often the interval held the mean score of test sets of its size, and the limit of large ones.

    `expected`, `limit` are those two scores, `deviation` that of the scores; `percentile` how often the percentiles of
    the replicates held each.
    """

    same_size: float
    limit_share: float
    expected: float
    limit: float
    deviation: float
    percentile: tuple[float, float]


def coverage(
    world: World, groups: int, metrics: Sequence[str], *, trials: int, draws: int = 300, large: int = 0, seed: int = 0
) -> dict[str, Coverage]:
    """Return how often intervals of `metrics` cover, over `trials` test sets of so many groups.

    `large`: groups of the test set that stands for the limit; 0 = only the mean of the scores is looked at.
    """
    rng = np.random.default_rng(seed)
    values: dict[str, list[float]] = {name: [] for name in metrics}
    ends: dict[str, list[tuple[Interval, Interval]]] = {name: [] for name in metrics}
    limits: dict[str, float | None] = dict.fromkeys(metrics)
    if large:
        whole = world(np.random.default_rng(seed + 1), large)
        limits |= whole.scorer.summarise(whole.table)
    for trial in range(trials):
        sample = world(rng, groups)
        scores = sample.scorer.summarise(sample.table)
        replicates = bootstrap.replicates(sample.scorer, sample.table, sample.groups, n=draws, seed=trial)
        fractions = {spec.name: spec.unit == "fraction" for spec in sample.scorer.metrics}
        for name in metrics:
            score = scores[name]
            assert score is not None
            low, high = np.nanquantile(replicates[name], [0.025, 0.975])
            made = interval(score, replicates[name], len(np.unique(sample.groups)), fraction=fractions[name])
            values[name].append(score)
            ends[name].append((made, Interval(low, high)))
    found = {}
    for name in metrics:
        expected, limit = float(np.mean(values[name])), limits[name]
        limit = expected if limit is None else limit
        shares = [
            _share([pair[which] for pair in ends[name]], target) for which in (0, 1) for target in (expected, limit)
        ]
        deviation = float(np.std(values[name]))
        found[name] = Coverage(shares[0], shares[1], expected, limit, deviation, (shares[2], shares[3]))
    return found


def _share(ends: Sequence[Interval], target: float) -> float:
    held = [low is not None and high is not None and low <= target <= high for low, high in ends]
    return float(np.mean(held))
