"""Intervals hold the truth as often as they say: simulated test sets, scored by the real scorers.

Two truths are looked at: the mean score of test sets of the same size, and the score of a very large one. Both are to
be held in 95 % of the test sets, give or take 3 points and twice the error of the simulation.
"""

from __future__ import annotations

import numpy as np
import pytest
from support import worlds

from mlcvbench.stats import bootstrap
from mlcvbench.stats.intervals import interval

pytestmark = pytest.mark.slow

LARGE = 40_000
CASES = {
    "detection, COCO": (worlds.detection(), 300, ("ap", "ap50", "ap75", "ar100"), 80, LARGE),
    "detection, VOC": (worlds.detection(voc=True), 300, ("voc_ap50",), 300, LARGE),
    "classification": (worlds.classification(), 300, ("top1", "macro_f1", "nll", "ece"), 300, LARGE),
    "classification, nearly solved": (worlds.classification(10, 4.0), 300, ("top1", "top5", "macro_f1"), 300, LARGE),
    "segmentation": (worlds.segmentation(), 60, ("miou", "pixel_accuracy", "mean_accuracy", "fwiou"), 400, LARGE),
    "stereo": (worlds.stereo(), 30, ("epe", "bad_2", "density"), 500, LARGE),
    "monocular": (worlds.monocular(), 30, ("abs_rel", "rmse", "delta1"), 500, LARGE),
    "faces, all pairs": (worlds.faces(), 60, ("auc", "eer", "tar_at_far_1e-1", "tar_at_far_1e-2"), 40, 0),
    "folds of pairs": (worlds.folds(), 1000, ("accuracy_10fold", "auc", "eer", "tar_at_far_1e-1"), 50, 0),
}


def tolerance(trials: int) -> float:
    return 0.03 + 2 * float(np.sqrt(0.95 * 0.05 / trials))


@pytest.mark.parametrize("case", CASES)
def test_intervals_have_their_nominal_coverage(case):
    world, groups, metrics, trials, large = CASES[case]

    found = worlds.coverage(world, groups, metrics, trials=trials, draws=100 if large == 0 else 200, large=large)

    for name, share in found.items():
        assert share.same_size == pytest.approx(0.95, abs=tolerance(trials)), (name, share)
        assert share.limit_share == pytest.approx(0.95, abs=tolerance(trials)), (name, share)


def test_percentiles_of_the_replicates_would_not_pass():
    solved = worlds.classification(10, 4.0)

    average_precision = worlds.coverage(worlds.detection(), 100, ("ap",), trials=100, draws=150, large=LARGE)["ap"]
    top5 = worlds.coverage(solved, 300, ("top5",), trials=100, draws=200, large=LARGE)["top5"]

    assert average_precision.percentile[1] < 0.95 - tolerance(100) < average_precision.limit_share
    assert top5.percentile[1] < 0.5
    assert top5.limit_share > 0.92


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("between", [0.0, 0.01, 0.05])
def test_seed_groups_have_their_nominal_coverage(seeds, between):
    """The mean over seeds; the truth is the mean over all seeds and test sets. `between`: deviation of the seeds."""
    rng, groups, trials, inside = np.random.default_rng(seeds), 100, 400, 0
    weights = np.concatenate(list(bootstrap.resample_weights(np.arange(groups), 300, seed=1)))

    for trial in range(trials):
        units = rng.normal(0.7, 0.1, groups)
        effects = rng.normal(0, between, seeds)
        values = units.mean() + effects
        replicates = bootstrap.hierarchical((weights @ units / groups)[None] + effects[:, None], seed=trial)
        low, high = interval(float(values.mean()), replicates, groups, seeds=values.tolist())
        inside += low <= 0.7 <= high

    assert inside / trials == pytest.approx(0.95, abs=tolerance(trials))
