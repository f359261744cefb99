"""`weights=` names a file, a folder or a run; the weights of a run bring the problem that they were fitted for."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from support.runs import config_for
from torch import nn

from mlcvbench import hookimpl
from mlcvbench.cli import main
from mlcvbench.contract import Batch, FitContext, InputSpec, Predictions, Problem, Split, TorchModel
from mlcvbench.errors import DataError, RequestError
from mlcvbench.plan.given_weights import GivenWeights, check_given, given_weights
from mlcvbench.plan.identity import compute_fit_key, compute_run_key
from mlcvbench.plan.planning import plan
from mlcvbench.records.schema import Record
from mlcvbench.records.store import Store
from mlcvbench.registry import Registry, get_registry, using
from mlcvbench.running import stages
from mlcvbench.specs import ModelSpec
from mlcvbench.storage import cache

DATA = "d" * 64
STEREO = ("task=scenes-stereo", "data.train=4", "data.val=2", "data.test=3", "data.size=[48,64]", "model=shifts")
DIGITS = ("task=digits", "model=mlp", "model.hidden=[8]", "fit.epochs=1", "threads=1")
NEAR, FAR = "data.disparities=32", "data.disparities=64"


class Shifts(TorchModel):
    """A stereo network whose last layer has a channel for each disparity that is searched."""

    def build(self) -> nn.Module:
        return nn.Conv2d(2, self.problem.extra["disparities"], 1)

    def fit(self, train: Split, val: Split | None, ctx: FitContext) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(ctx.seed)
            self.module = self.build()

    def preprocess(self, batch: Batch) -> Any:
        grey = [np.asarray(batch.inputs[side], np.float32).mean(axis=-1) for side in ("left", "right")]
        return torch.from_numpy(np.stack(grey, axis=1))  # (B, 2, H, W)

    def postprocess(self, outputs: Any, batch: Batch) -> Predictions:
        return {"disparity": list(outputs.argmax(dim=1).float().numpy())}


@pytest.fixture(autouse=True)
def shifts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A cache of its own and a registry that also has the model `shifts`."""
    spec = ModelSpec("shifts", ("depth",), f"{__name__}:Shifts", "A channel a disparity.", needs=("left", "right"))
    ours = SimpleNamespace(mlcvbench_models=hookimpl(lambda: [spec]))
    ours.mlcvbench_models.__name__ = "mlcvbench_models"
    ours.__name__ = __name__
    named = {origin.plugin: __import__(origin.package) for origin in get_registry().plugins}
    monkeypatch.setenv("MLCVBENCH_CACHE", str(tmp_path / "cache"))
    with using(Registry.of({**named, "ours": ours})):
        yield


def carry_out(out: Path, *words: str) -> Record:
    """Carry out the one run of a request and store it in `out`."""
    config = config_for(*words, "intervals=off", f"out={out}")
    store = Store(out)
    pending = store.begin(config.model)
    return store.load(store.commit(pending, stages.execute(config, pending.folder)).name)


def test_weights_are_known_by_their_content(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
        (folder / "weights.safetensors").write_bytes(b"same")

    assert given_weights(one).digest == given_weights(two).digest
    (two / "weights.safetensors").write_bytes(b"other")
    assert given_weights(one).digest != given_weights(two).digest
    with pytest.raises(RequestError, match=r"^weights=.*nothing: no file or folder of that name\.$"):
        given_weights(tmp_path / "nothing")


def test_a_network_has_the_shape_of_what_it_was_fitted_for_and_not_of_what_it_is_tested_on(tmp_path: Path):
    fitted = carry_out(tmp_path, *STEREO, NEAR)

    given = carry_out(tmp_path, *STEREO, FAR, f"weights={fitted.run_id}")

    assert (fitted.status, given.status) == ("ok", "ok"), given.error
    assert fitted.parameters is not None
    assert given.parameters is not None
    assert given.parameters.trainable == fitted.parameters.trainable == 32 * 3
    assert given.model.weights.source == "run"
    assert (given.fit.train_samples, given.fit.seconds) == (fitted.fit.train_samples, None)
    assert given.model.weights.sha256 == fitted.model.weights.sha256
    assert given.model.weights.trained_on == fitted.model.weights.trained_on == ("scenes-stereo/train+val",)
    assert given.config["weights"].startswith(f"{fitted.run_id}@")
    assert f"weights={fitted.run_id}" in given.command
    (again,) = plan([*shlex.split(given.command)[2:], f"out={tmp_path}"]).configs
    assert again.weights == str(tmp_path / fitted.run_id)


def test_on_its_own_data_the_weights_of_a_run_give_its_own_scores(tmp_path: Path):
    fitted = carry_out(tmp_path, *DIGITS)

    given = carry_out(tmp_path, *DIGITS, f"weights={tmp_path / fitted.run_id}")

    assert given.metrics == fitted.metrics
    assert given.predictions_sha256 == fitted.predictions_sha256
    assert given.run_key != fitted.run_key


def test_a_command_takes_the_id_of_a_run_and_measures_with_its_weights(tmp_path: Path):
    words = [*DIGITS, "time=quick", "limit=50", f"out={tmp_path}"]
    assert main(["run", *words]) == 0
    ((fitted, _),), _ = Store(tmp_path).records()

    assert main(["run", *words, f"weights={fitted.run_id}"]) == 0

    ((given, _), _) = sorted(Store(tmp_path).records()[0], key=lambda found: found[0].model.weights.source == "fitted")
    assert given.metrics == fitted.metrics
    assert given.latency
    assert given.memory.host_peak is not None


def test_the_key_holds_the_weights_and_their_problem_but_nothing_else_of_the_run(tmp_path: Path):
    fitted = carry_out(tmp_path, *STEREO, NEAR)
    config = config_for(*STEREO, FAR, f"weights={tmp_path / fitted.run_id}")
    keys = compute_run_key(config, DATA), compute_fit_key(config, DATA)
    (about,) = (tmp_path / "cache" / "fits").glob("*/fitted.json")

    (tmp_path / fitted.run_id / "log.txt").write_text("more")
    assert (compute_run_key(config, DATA), compute_fit_key(config, DATA)) == keys

    plain = json.loads(about.read_text())
    plain["problem"]["extra"]["disparities"] = 48
    about.write_text(json.dumps(plain))
    assert compute_run_key(config, DATA) != keys[0]
    assert compute_fit_key(config, DATA) != keys[1]


def test_a_fit_of_an_earlier_version_is_given_its_problem_when_it_is_used_again(tmp_path: Path):
    fitted = carry_out(tmp_path, *STEREO, NEAR)
    (about,) = (tmp_path / "cache" / "fits").glob("*/fitted.json")
    before = about.read_text()
    about.unlink()
    with pytest.raises(RequestError, match="are not in the cache; fit them again with"):
        given_weights(tmp_path / fitted.run_id)

    again = carry_out(tmp_path / "again", *STEREO, NEAR)

    assert again.fit.cached
    assert about.read_text() == before


def test_weights_that_are_not_in_the_cache_say_how_to_have_them_again(tmp_path: Path):
    fitted = carry_out(tmp_path, *DIGITS)
    for folder in cache.entries("fits"):
        (folder / "state" / "weights.safetensors").write_bytes(b"other")

    with pytest.raises(RequestError) as caught:
        plan([*DIGITS, f"weights={fitted.run_id}", f"out={tmp_path}"])

    assert str(caught.value) == (
        f"weights={fitted.run_id}: the weights that this run fitted are not in the cache; fit them again with "
        f"`{fitted.command} out=refit` and name that run."
    )


def test_a_run_that_has_none_for_the_request_is_refused(tmp_path: Path):
    fitted = carry_out(tmp_path, *DIGITS)
    given = carry_out(tmp_path, *DIGITS, f"weights={fitted.run_id}")

    with pytest.raises(RequestError) as other:
        plan(["task=digits", "model=knn", f"weights={fitted.run_id}", f"out={tmp_path}"])
    with pytest.raises(RequestError) as second:
        check_given(str(tmp_path / given.run_id), "mlp", "classification")

    assert str(other.value) == (
        f"weights={fitted.run_id}: holds weights of model 'mlp' for classification, and the request is for 'knn' for "
        "classification."
    )
    assert str(second.value) == (
        f"weights={given.run_id}: this run fitted no weights of its own; name the run or the file that it took them "
        "from."
    )


PROBLEM = Problem("classification", ("cat", "dog", "owl"), {"image": InputSpec((8, 8, 3))})


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (
            {"classes": ("cat", "owl", "dog")},
            "other classes than data set 'pets' has: class 1 is 'dog' there and 'owl'",
        ),
        (
            {"classes": ("cat", "dog")},
            "other classes than data set 'pets' has: class 2 is 'owl' there and missing here",
        ),
        ({"inputs": {"left": InputSpec((8, 8, 3))}}, "the inputs image, and data set 'pets' has left."),
        ({"inputs": {"image": InputSpec((8, 8))}}, "image inputs of 3 axes, and those of data set 'pets' have 2;"),
    ],
)
def test_data_that_the_weights_do_not_suit_are_refused_by_name(changes: dict[str, Any], why: str):
    given = GivenWeights(Path("state"), "pets-mlp-s0-1", PROBLEM)

    with pytest.raises(DataError) as caught:
        given.problem_for(replace(PROBLEM, **changes), "pets")

    assert str(caught.value).startswith("weights=pets-mlp-s0-1: was fitted ")
    assert why in str(caught.value)


def test_images_of_another_size_and_other_settings_of_the_kind_are_for_the_model_to_take():
    given = GivenWeights(Path("state"), "a", PROBLEM)

    wider = replace(PROBLEM, inputs={"image": InputSpec((16, None, 3))}, extra={"scale": 2})

    assert given.problem_for(wider, "pets") is PROBLEM


def test_a_command_refuses_other_classes_before_it_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    fitted = carry_out(tmp_path, *DIGITS)
    (about,) = (tmp_path / "cache" / "fits").glob("*/fitted.json")
    plain = json.loads(about.read_text())
    plain["problem"]["classes"][7] = "sieben"
    about.write_text(json.dumps(plain))

    assert main(["run", *DIGITS, f"weights={fitted.run_id}", f"out={tmp_path}"]) == 2

    said = capsys.readouterr().err.splitlines()[-1]
    wanted = "was fitted for other classes than data set 'digits' has: class 7 is 'sieben' there and '7' here."
    assert said == f"mlcvbench: {wanted}" or said.endswith(f"weights={fitted.run_id}: {wanted}")
    assert len(Store(tmp_path).records()[0]) == 1


def test_settings_of_a_fit_beside_given_weights_are_refused_unless_these_were_fitted_so(tmp_path: Path):
    """A row would say `epochs=7` of weights that learned for one epoch."""
    fitted = carry_out(tmp_path, *DIGITS)
    (tmp_path / "folder").mkdir()

    with pytest.raises(RequestError) as of_run:
        plan([*DIGITS[:3], "fit.epochs=7", f"weights={fitted.run_id}", f"out={tmp_path}"])
    with pytest.raises(RequestError) as of_file:
        plan([*DIGITS, f"weights={tmp_path / 'folder'}", f"out={tmp_path}"])

    assert str(of_run.value) == (
        f"key 'fit.epochs' has no effect: the weights of {fitted.run_id} were fitted with 1, not 7."
    )
    assert str(of_file.value) == (
        f"key 'fit.epochs' has no effect: weights={tmp_path / 'folder'} are not fitted again."
    )
    assert plan([*DIGITS, f"weights={fitted.run_id}", f"out={tmp_path}"]).configs


def test_settings_that_a_search_chose_may_be_repeated(tmp_path: Path):
    chosen = carry_out(tmp_path, *DIGITS[:3], "fit.epochs=1,2", "select=grid")
    assert chosen.selection is not None
    best = chosen.selection.fit["epochs"]

    words = [*DIGITS[:3], f"weights={chosen.run_id}", f"out={tmp_path}"]

    assert plan([*words, f"fit.epochs={best}"]).configs
    with pytest.raises(RequestError, match=rf"were fitted with {best}, not 9\.$"):
        plan([*words, "fit.epochs=9"])
