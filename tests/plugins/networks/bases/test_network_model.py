"""What all bases share, on small networks of four kinds: fitting, unequal sizes, seeds, resuming, what is watched."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.paths import FIXTURES

from mlcvbench.contract import Batch, Device, FitContext, LoadedData, MetricSpec, Model, TorchModel
from mlcvbench.testing.toy import toy_data
from mlcvbench_training import training

MODELS = {
    "detection": ("centernet:CenterNet", {"width": 8}),
    "segmentation": ("unet:UNet", {"width": 4}),
    "verification": ("arcface:FaceNetwork", {"dimensions": 4}),
    "depth": ("stereo:CorrelationStereo", {"width": 8}),
}
COLUMNS = {
    "detection": {"boxes", "scores", "labels"},
    "segmentation": {"label_map"},
    "verification": {"embedding", "distance"},
    "depth": {"disparity"},
}


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(FIXTURES / "deep_plugin"))
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def data_of(kind: str) -> LoadedData:
    return next(iter(toy_data(kind, ("left", "right") if kind == "depth" else ()).values()))


def model_of(kind: str, data: LoadedData) -> TorchModel:
    target, params = MODELS[kind]
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(f"mlcvbench_deep.{module}"), name)(data.problem, **params)


def fitted(kind: str, *, seed: int = 0, checkpoints: Path | None = None, progress: Any = None, **settings: Any):
    data = data_of(kind)
    model = model_of(kind, data)
    further = {"progress": progress} if progress else {}
    ctx = FitContext(seed=seed, device=Device(), settings={"epochs": 2, **settings}, checkpoints=checkpoints, **further)
    return model, model.fit(data.splits["train"], None, ctx)


def bits(model: TorchModel) -> bytes:
    return b"".join(tensor.contiguous().numpy().tobytes() for tensor in model.module.state_dict().values())


@pytest.mark.parametrize("kind", MODELS)
def test_a_method_of_each_kind_learns_and_predicts_what_its_kind_wants(kind: str):
    model, report = fitted(kind)
    batch = next(data_of(kind).splits["test"].inputs(3))

    predictions = model.predict(batch)

    assert report.epochs == 2
    assert {"loss", "lr"} <= set(report.history)
    assert set(predictions) == COLUMNS[kind]
    assert len(predictions[min(COLUMNS[kind] - {"distance"})]) == 3


@pytest.mark.parametrize("kind", MODELS)
def test_equal_seeds_give_equal_weights_and_others_do_not(kind: str):
    first, again, other = (bits(fitted(kind, seed=seed)[0]) for seed in (1, 1, 2))

    assert first == again
    assert first != other


@pytest.mark.parametrize("kind", MODELS)
def test_an_interrupted_fit_ends_with_the_same_bits(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(training, "SAVING_SHARE", float("inf"))

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    whole, _ = fitted(kind, epochs=3)
    with pytest.raises(KeyboardInterrupt):
        fitted(kind, epochs=3, checkpoints=tmp_path, progress=stop)
    resumed, report = fitted(kind, epochs=3, checkpoints=tmp_path)

    assert report.earlier_seconds > 0
    assert bits(resumed) == bits(whole)


@pytest.mark.parametrize("kind", ["detection", "segmentation"])
def test_training_data_on_disk_give_the_weights_of_those_in_memory(kind: str):
    data, weights = data_of(kind), []
    for memory in (None, 1):
        model = model_of(kind, data)
        split = data.splits["train"]
        split.threaded = True
        model.fit(split, None, FitContext(seed=0, device=Device(), settings={"epochs": 1}, memory=memory))
        weights.append(bits(model))

    assert weights[0] == weights[1]


@pytest.mark.parametrize("kind", MODELS)
def test_passes_in_bfloat16_leave_float32_weights(kind: str):
    model, report = fitted(kind, precision="bfloat16")

    assert {weight.dtype for weight in model.module.parameters()} == {torch.float32}
    assert np.isfinite(report.history["loss"]).all()


def test_images_of_unequal_size_are_answered_in_their_sizes():
    model, _ = fitted("segmentation")
    images = [np.full((height, width, 3), 90, dtype=np.uint8) for height, width in ((20, 33), (17, 48))]

    maps = model.predict(Batch(np.array(["a", "b"]), {"image": images}))["label_map"]

    assert [one.shape for one in maps] == [(20, 33), (17, 48)]


@pytest.mark.parametrize("kind", ["detection", "segmentation"])
def test_what_is_said_of_an_image_depends_on_no_other_of_its_batch(kind: str):
    model, _ = fitted(kind)
    rng = np.random.default_rng(3)
    images = [
        rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        for height, width in ((20, 33), (70, 48), (17, 60), (40, 40), (20, 33))
    ]

    together = model.predict(Batch(np.array([*"abcde"]), {"image": images}))

    for place, image in enumerate(images):
        alone = model.predict(Batch(np.array(["a"]), {"image": [image]}))
        for name, column in together.items():
            np.testing.assert_allclose(column[place], alone[name][0], rtol=1e-5, atol=1e-5, err_msg=name)


def test_a_step_may_see_its_images_at_one_of_several_sizes():
    """Frames are multiples of 32, objects grow with them, and the same seed draws the same sizes."""
    data, seen = data_of("detection"), []
    model = model_of("detection", data)
    loss = model.loss

    def looked_at(network: Any, batch: Any, generator: torch.Generator) -> Any:
        largest = max((float(own.boxes.max()) for own in batch.objects if len(own)), default=0.0)
        seen.append((batch.frame, largest <= max(batch.frame)))
        return loss(network, batch, generator)

    model.loss = looked_at  # type: ignore[method-assign]
    for _ in range(2):
        settings = {"epochs": 3, "batch": 8, "sizes": [32, 64, 70]}
        model.fit(data.splits["train"], None, FitContext(seed=0, device=Device(), settings=settings))

    assert {frame for frame, _ in seen} == {(32, 32), (64, 64), (96, 96)}
    assert all(fits for _, fits in seen)
    assert seen[: len(seen) // 2] == seen[len(seen) // 2 :]


def scored(values: list[float], metric: str) -> dict[str, Any]:
    given = iter(values)

    def score(model: Model, split: Any) -> dict[str, float]:
        value = next(given)
        return {} if np.isnan(value) else {metric: value}

    return {"score": score, "metrics": {metric: MetricSpec(metric, "A number.", higher_is_better=metric != "error")}}


@pytest.mark.parametrize(("metric", "epochs"), [("miou", 3), ("error", 5)])
def test_early_stopping_watches_a_metric_of_the_protocol_in_its_direction(metric: str, epochs: int):
    data = data_of("segmentation")
    model = model_of("segmentation", data)
    settings = {"epochs": 6, "early_stopping": True, "patience": 2}
    values = [0.5, 0.4, 0.3, 0.6, 0.7, 0.8]
    ctx = FitContext(seed=0, device=Device(), settings=settings, **scored(values, metric))

    report = model.fit(data.splits["train"], data.splits["val"], ctx)

    assert report.epochs == epochs
    assert report.history[f"val_{metric}"] == values[:epochs]


def test_a_metric_that_is_undefined_at_first_does_not_stop_the_best_from_being_kept():
    data = data_of("segmentation")
    settings = {"epochs": 4, "early_stopping": True, "patience": 2}
    ctx = FitContext(seed=0, device=Device(), settings=settings, **scored([float("nan"), 0.1, 0.2, 0.3], "miou"))

    report = model_of("segmentation", data).fit(data.splits["train"], data.splits["val"], ctx)

    assert report.epochs == 4


def test_nothing_is_scored_where_nothing_goes_by_it():
    data = data_of("segmentation")
    ctx = FitContext(seed=0, device=Device(), settings={"epochs": 1}, **scored([], "miou"))

    report = model_of("segmentation", data).fit(data.splits["train"], data.splits["val"], ctx)

    assert not [name for name in report.history if name.startswith("val_")]


def test_a_network_whose_last_layer_fixes_the_size_of_images_has_no_setting_that_changes_it():
    specs = {spec.name: spec for spec in importlib.import_module("mlcvbench_deep").mlcvbench_models()}

    assert [name for name, spec in specs.items() if not any(param.name == "sizes" for param in spec.fit)] == [
        "tiny_arcface"
    ]
