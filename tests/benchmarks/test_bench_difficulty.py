"""Difficulty: every starter method scores best on easy scenes and worst on hard ones, in every kind that renders.

Minutes of real runs, so it takes part in `tox -e benchmarks` and not in the suite; methods that see no pixel are left
out, for they find every level alike. `test_levels_order_the_methods_of_depth` below is the suite's share.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import mlcvbench
from mlcvbench.contract import Device, FitContext
from mlcvbench.plan.definitions import definition_names, load_definition
from mlcvbench.registry import get_registry
from mlcvbench_depth.scenes import load_scenes_mono, load_scenes_stereo
from mlcvbench_depth.scoring import scorer_of
from mlcvbench_monodepth.depth_prior import DepthPrior
from mlcvbench_monodepth.patch_depth import PatchDepth
from mlcvbench_stereo.opencv import BlockMatching, SemiGlobalMatching

LEVELS = ("easy", "medium", "hard")
FEW = dict.fromkeys(("scenes-256", "scenes-mono-varied"), ("data.train=240", "data.val=60", "data.test=150"))
"""How many scenes, where the definition has so many that three levels would take an hour."""


def starters() -> Iterator[tuple[str, str]]:
    """Yield (definition, model) of the starter methods that see pixels, on data sets that have levels.

    Definitions with more of the data of another one are left out.
    """
    registry = get_registry()
    for kind, names in definition_names(registry).items():
        for name in names:
            if name.endswith("-large"):
                continue
            definition = load_definition(name, registry)
            params = registry.dataset(definition.dataset, kind).spec.params
            if "level" in {param.name for param in params} and "level" not in definition.data:
                yield from ((name, model) for model in definition.models if registry.model(model, kind).spec.needs)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("definition", "model"), [pytest.param(*case, id="-".join(case)) for case in starters()])
def test_bench_levels_order_every_method(definition: str, model: str, benchmark, tmp_path):
    if benchmark.disabled:
        pytest.skip("minutes of real runs: tox -e benchmarks")
    words = [f"task={definition}", *FEW.get(definition, ()), f"model={model}", f"data.level={','.join(LEVELS)}"]
    words += ["time=off", "intervals=off"]

    records = benchmark.pedantic(mlcvbench.run, args=(*words, f"out={tmp_path}"), rounds=1)

    primary = records[0].primary_metric
    found = {record.config["data_params"]["level"]: record.metrics[primary].value for record in records}
    benchmark.extra_info[primary] = found
    values = np.array([found[level] for level in LEVELS])
    worse = np.diff(values) * (-1 if records[0].metrics[primary].higher_is_better else 1)
    assert (worse > 0).all(), f"{primary}: {found}"


@pytest.mark.slow
def test_levels_order_the_methods_of_depth():
    settings = {"size": [128, 128], "train": 40, "val": 0, "test": 24}
    errors: dict[str, list[float]] = {}
    for level in LEVELS:
        pairs = load_scenes_stereo({**settings, "level": level, "train": 0}, 0)
        images = load_scenes_mono({**settings, "level": level}, 0)
        learned = {"size": [128, 128], "cell": 4, "penalty": 100.0}
        semiglobal = {"block": 5, "mode": "sgbm", "uniqueness": 10, "speckle_window": 100, "speckle_range": 2}
        semiglobal |= {"consistency": 1, "widen": True}
        for data, model, protocol, metric in (
            (pairs, BlockMatching(pairs.problem, widen=True, block=15), "stereo/holes-bad@1", "bad_2"),
            (pairs, SemiGlobalMatching(pairs.problem, **semiglobal), "stereo/holes-bad@1", "bad_2"),
            (images, DepthPrior(images.problem, **learned), "mono/full/cap20/metric@1", "abs_rel"),
            (images, PatchDepth(images.problem, **learned), "mono/full/cap20/metric@1", "abs_rel"),
        ):
            if "train" in data.splits:
                model.fit(data.splits["train"], None, FitContext(seed=0, device=Device()))
            batch, targets = data.splits["test"].read(slice(0, 24))
            scorer = scorer_of(protocol)
            table = scorer.rows(model.predict(batch), targets, np.arange(24))
            errors.setdefault(type(model).__name__, []).append(scorer.summarise(table)[metric])

    for name, values in errors.items():
        assert values == sorted(values), name
        assert values[2] > 1.05 * values[0], name
