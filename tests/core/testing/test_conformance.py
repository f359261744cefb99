"""The conformance kit finds each broken promise, and only that one."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.paths import FIXTURES
from support.plugins import install

from mlcvbench import DatasetSpec, ModelSpec, Param
from mlcvbench.contract.agreement import agreement, same_bytes
from mlcvbench.registry import discover, get_registry, using
from mlcvbench.specs import load_target
from mlcvbench.testing import CheckResult, assert_conforms, check_dataset, check_model, heavy_imports, toy_data

EXAMPLE = FIXTURES / "example_plugin"
HEAD = """
import numpy as np
from mlcvbench import FitReport, Operations
from mlcvbench.errors import DataError
from mlcvbench_example.nearest_mean import NearestMean

class Bad(NearestMean):
"""
BROKEN = {
    "spec": ("def __init__(self, problem):\n    super().__init__(problem)", None),
    "fit": (
        "def fit(self, train, val, ctx):\n    raise ValueError('no')",
        "ValueError: no (bad.py:9)",
    ),
    "predictions": (
        "def postprocess(self, outputs, batch):\n    return {'scores': outputs * np.nan}",
        None,
    ),
    "meaning": (
        "def postprocess(self, outputs, batch):\n    shares = np.exp(outputs - outputs.max(axis=1, keepdims=True))\n"
        "    return {'scores': (shares / shares.sum(axis=1, keepdims=True)).astype('float32')}",
        "all 12 rows of scores lie in [0, 1] and sum to 1, as probabilities do, but scores are read as logits: nll and "
        "ece take their softmax. Say values=probabilities, or return 'probabilities' instead.",
    ),
    "empty batch": (
        "def preprocess(self, batch):\n    np.max([len(i) for i in batch.ids])\n    return super().preprocess(batch)",
        None,
    ),
    "odd pixels": (
        "def forward(self, inputs):\n    return super().forward(inputs / inputs.std(axis=1, keepdims=True))",
        None,
    ),
    "1x1 images": (
        "def preprocess(self, batch):\n    batch.inputs['image'][:, 0, 0] + batch.inputs['image'][:, 1, 0]\n"
        "    return super().preprocess(batch)",
        None,
    ),
    "batch size": (
        "def forward(self, inputs):\n    return super().forward(inputs - inputs.mean(axis=0))",
        None,
    ),
    "determinism": (
        "def fit(self, train, val, ctx):\n    super().fit(train, val, ctx)\n"
        "    self.means = self.means + np.random.normal(0, 1e-6, self.means.shape).astype('float32')",
        "fitting twice with one seed gives different predictions; take all randomness from ctx.seed.",
    ),
    "input untouched": (
        "def preprocess(self, batch):\n    batch.inputs['image'][:] //= 2\n    return super().preprocess(batch)",
        None,
    ),
    "save and load": (
        "def save(self, folder):\n    super().save(folder)\n    (folder / 'extra.pkl').write_bytes(b'')",
        "save wrote 'extra.pkl'; only safetensors and JSON are allowed.",
    ),
    "costs": (
        "def operations(self, inputs):\n    return 5",
        "operations() must return Operations or None, got int.",
    ),
}
FORGETS = "def load(self, folder):\n    self.means = np.zeros((3, 784), dtype='float32')"
REMEMBERS = (
    "def postprocess(self, outputs, batch):\n"
    "    kept = self.__dict__.setdefault('kept', np.zeros((12, 3), 'float32'))\n"
    "    kept[: len(outputs)] = outputs\n    return {'scores': kept[: len(outputs)]}"
)
REPORTS = """def fit(self, train, val, ctx):
    super().fit(train, val, ctx)
    return FitReport(history={})"""
BULK = """
from mlcvbench import DatasetSpec, ModelSpec, Param, TaskSpec, hookimpl

SIZES = tuple(Param(name, "int", 100_000) for name in ("train", "test"))

@hookimpl
def mlcvbench_tasks():
    return [TaskSpec("bulkiness", "mlcvbench_classification.task:ClassificationTask", "How large?", default="none")]

@hookimpl
def mlcvbench_datasets():
    return [DatasetSpec("bulk", ("bulkiness",), "bulk.code:load", "Much.", params=SIZES)]

@hookimpl
def mlcvbench_models():
    return [ModelSpec("sure", ("bulkiness",), "bulk.code:Sure", "Always the first class.")]
"""
BULK_CODE = """
import numpy as np
from mlcvbench import ArraySplit, InputSpec, LoadedData, Model, Operations, Problem

DRAWN = []

def load(params, data_seed):
    DRAWN.append((params["train"], params["test"]))
    splits = {
        name: ArraySplit(
            name, {"image": np.zeros((count, 4, 4), np.uint8)}, {"label": np.zeros(count, np.int64)},
            ids=[f"{name}-{place}" for place in range(count)],
        )
        for name, count in params.items()
    }
    return LoadedData("bulk", "1", Problem("bulkiness", ("a", "b"), {"image": InputSpec((4, 4))}), splits)

class Sure(Model):
    def forward(self, inputs):
        return len(inputs["image"])

    def postprocess(self, outputs, batch):
        return {"labels": np.zeros(outputs, np.int64)}

    def operations(self, inputs):
        return Operations(None, reason="nothing is computed")

    def save(self, folder):
        (folder / "nothing.json").write_text("{}")
"""


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(EXAMPLE))


def bad_model(site: Path, body: str) -> ModelSpec:
    """Install a model that is the example's but for `body`, and return its spec."""
    (site / "badpack").mkdir()
    (site / "badpack" / "__init__.py").write_text("")
    indented = "\n".join(f"    {line}" for line in body.splitlines())
    (site / "badpack" / "bad.py").write_text(f"{HEAD}{indented}\n")
    return ModelSpec("bad", ("classification",), "badpack.bad:Bad", "Bad.", params=(Param("shrink", "float", 0.0),))


def failures(results: list[CheckResult]) -> dict[str, str]:
    return {result.name: result.detail for result in results if result.passed is False}


@pytest.mark.parametrize("check", BROKEN)
def test_a_broken_promise_fails_its_check_with_a_sentence(check: str, site: Path, example: None):
    body, detail = BROKEN[check]

    failed = failures(check_model(bad_model(site, body), "classification"))

    assert check in failed
    assert failed[check]
    if detail is not None:
        assert failed == {check: detail}


def test_a_model_that_keeps_every_promise_passes_every_check(site: Path, example: None):
    results = check_model(bad_model(site, "pass"), "classification")

    assert failures(results) == {}
    assert [result.passed for result in results] == [True] * 15


def test_a_model_that_loads_something_else_is_found(site: Path, example: None):
    failed = failures(check_model(bad_model(site, FORGETS), "classification"))

    assert failed == {"save and load": "a model loaded from what was saved predicts differently."}


def test_a_model_that_reuses_what_it_returned_is_found(site: Path, example: None):
    failed = failures(check_model(bad_model(site, REMEMBERS), "classification"))

    assert failed["input untouched"] == "a later predict changed predictions returned earlier."


def test_predictions_that_break_the_contract_are_one_failure_not_six(site: Path, example: None):
    results = check_model(bad_model(site, BROKEN["predictions"][0]), "classification")

    assert list(failures(results)) == ["predictions"]
    skipped = {result.name: result.detail for result in results if result.passed is None}
    assert set(skipped.values()) == {"not made, because predictions failed."}
    assert {"batch size", "determinism", "input untouched", "save and load"} <= set(skipped)


def test_an_input_that_was_not_a_number_before_is_untouched():
    assert same_bytes({"depth": np.array([[np.nan, 1]])}, {"depth": np.array([[np.nan, 1]])})
    assert not same_bytes({"depth": np.array([[np.nan, 1]])}, {"depth": np.array([[np.nan, 2]])})


def test_a_constructor_that_does_not_take_a_declared_parameter_is_named(site: Path, example: None):
    failed = failures(check_model(bad_model(site, BROKEN["spec"][0]), "classification"))

    assert failed == {"spec": "the spec declares 'shrink' but Bad.__init__ does not take it."}


def test_a_model_that_saves_nothing_is_told_so(site: Path, example: None):
    body = "def save(self, folder):\n    pass\ndef load(self, folder):\n    pass"

    failed = failures(check_model(bad_model(site, body), "classification"))

    assert failed == {
        "save and load": "save wrote nothing; write what was fitted in save() and read it back in load()."
    }


def test_fit_settings_reach_the_fit(site: Path, example: None):
    body = (
        "def fit(self, train, val, ctx):\n    super().fit(train, val, ctx)\n"
        "    raise DataError(str(ctx.settings['epochs']))"
    )
    spec = replace(bad_model(site, body), fit=(Param("epochs", "int", 50),))

    assert failures(check_model(spec, "classification"))["fit"].startswith("DataError: 2 ")
    assert failures(check_model(spec, "classification", fit={"epochs": 7}))["fit"].startswith("DataError: 7 ")


def test_a_warning_of_numpy_about_an_empty_batch_is_no_failure(site: Path, example: None):
    body = "def preprocess(self, batch):\n    np.mean(np.zeros(len(batch.ids)))\n    return super().preprocess(batch)"

    assert failures(check_model(bad_model(site, body), "classification")) == {}


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        ("InputSpec((16, 16))", "InputSpec((16, 20))", "wanted image as uint8 (16, 20)"),
        ('LoadedData("stripes"', 'LoadedData("bands"', "the loaded data are named 'bands', the spec 'stripes'"),
        ('{"label": labels}', '{"label": labels + 1}', "wanted a label from 0 to 1, since the problem names 2 classes"),
    ],
)
def test_a_data_set_that_contradicts_itself_fails_its_check(site: Path, name: str, change: str, sentence: str):
    source = (EXAMPLE / "mlcvbench_example" / "stripes.py").read_text()
    assert name in source
    (site / "badstripes").mkdir()
    (site / "badstripes" / "__init__.py").touch()
    (site / "badstripes" / "data.py").write_text(source.replace(name, change))
    for module in ("badstripes", "badstripes.data"):
        sys.modules.pop(module, None)
    noise = Param("noise", "int", 60)

    failed = failures(
        check_dataset(
            DatasetSpec("stripes", ("classification",), "badstripes.data:load_stripes", "S.", params=(noise,))
        )
    )

    assert list(failed) == ["problem"]
    assert sentence in failed["problem"]


def test_a_data_set_without_a_test_split_fails_once(site: Path):
    source = (EXAMPLE / "mlcvbench_example" / "stripes.py").read_text()
    (site / "trainonly").mkdir()
    (site / "trainonly" / "__init__.py").touch()
    (site / "trainonly" / "data.py").write_text(source.replace(', "test": 100', ""))
    noise = Param("noise", "int", 60)

    failed = failures(
        check_dataset(DatasetSpec("stripes", ("classification",), "trainonly.data:load_stripes", "S.", params=(noise,)))
    )

    assert failed == {"splits": "there is no split 'test'; got train, val."}


def test_networks_are_checked_with_one_thread(site: Path, example: None, monkeypatch: pytest.MonkeyPatch):
    """Several would wait for one another on toy data; the caller's number comes back."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    body = "def forward(self, inputs):\n    return super().forward(inputs)"

    check_model(bad_model(site, body), "classification")

    assert len(asked) > 10
    assert asked[::2] == [1] * len(asked[::2])
    assert asked[1::2] == [3] * len(asked[::2])


def test_a_fit_that_edits_its_data_is_found(site: Path, example: None):
    body = (
        "def fit(self, train, val, ctx):\n    super().fit(train, val, ctx)\n"
        "    part = getattr(train, '_parts', [train])[0]\n    part.read(slice(0, 5))[0].inputs['image'][:] = 0"
    )

    failed = failures(check_model(bad_model(site, body), "classification"))

    assert failed["fit"] == "fit changed the training data."


def test_a_refusal_of_odd_sizes_in_our_own_words_passes(site: Path, example: None):
    body = (
        "def fit(self, train, val, ctx):\n    if train.arrays()[0]['image'].shape[1:] != (28, 28):\n"
        "        raise DataError('wanted 28x28 images.')\n    super().fit(train, val, ctx)"
    )

    assert failures(check_model(bad_model(site, body), "classification")) == {}


def test_a_package_that_imports_numpy_with_its_declaration_is_found(site: Path, example: None):
    spec = bad_model(site, "pass")
    (site / "badpack" / "__init__.py").write_text("import numpy")

    failed = failures(check_model(spec, "classification"))

    assert failed == {"import cost": "importing the package to read its specs imports numpy."}


def test_a_target_that_is_no_model_is_found(site: Path):
    (site / "notamodel.py").write_text("def make(problem):\n    return {}\n")
    spec = ModelSpec("bad", ("classification",), "notamodel:make", "Bad.")

    failed = failures(check_model(spec, "classification"))

    assert failed["spec"].startswith("CheckFailedError: notamodel:make must return an mlcvbench.Model, got dict.")


def test_required_parameters_can_be_given(site: Path, example: None):
    spec = ModelSpec(
        "bad",
        ("classification",),
        "badpack.bad:Bad",
        "Bad.",
        params=(Param("shrink", "float", required=True),),
    )
    bad_model(site, "pass")

    missing = failures(check_model(spec, "classification"))
    given = failures(check_model(spec, "classification", params={"shrink": 0.5}))

    assert missing == {"spec": "the parameters shrink are required; pass params= to check the model."}
    assert given == {}


def test_a_check_of_settings_that_is_not_there_is_named():
    spec = replace(get_registry().model("majority").spec, check="mlcvbench_baselines:nothing")

    failed = failures(check_model(spec, "classification"))

    assert list(failed) == ["spec"]
    assert "module 'mlcvbench_baselines' has no attribute 'nothing', named by a plugin's target." in failed["spec"]


def test_a_kind_that_the_spec_does_not_list_is_refused():
    failed = failures(check_model(get_registry().model("majority").spec, "depth"))

    assert failed == {"spec": "the spec does not list task kind 'depth'."}


def test_assert_conforms_lists_what_failed(site: Path, example: None):
    with pytest.raises(AssertionError, match=r"^\ncosts: operations\(\) must return Operations or None, got int\.$"):
        assert_conforms(bad_model(site, BROKEN["costs"][0]), "classification")


@pytest.mark.parametrize("name", ["majority", "knn"])
def test_our_own_light_models_conform(name: str):
    assert_conforms(name, "classification")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["linear_softmax", "small_cnn"])
def test_our_own_trained_models_conform(name: str):
    assert_conforms(name, "classification")


@pytest.mark.parametrize("name", ["digits", "mnist5k"])
def test_our_own_data_sets_conform(name: str):
    assert failures(check_dataset(get_registry().dataset(name).spec)) == {}


def test_toy_data_are_absent_for_kinds_and_inputs_that_nobody_makes():
    assert toy_data("nothing") == {}
    assert toy_data("classification", ("frames",)) == {}


def test_a_kind_without_toys_is_tried_on_the_first_samples_of_a_data_set_that_draws_no_more(site: Path):
    install(site, "bulk", {"bulk/__init__.py": BULK, "bulk/code.py": BULK_CODE})

    with using(discover([str(site)])) as registry:
        results = check_model("sure", "bulkiness")
        drawn = load_target("bulk.code:DRAWN")

    assert failures(results) == {}
    assert registry.quarantined == []
    assert drawn == [(48, 12)]


def test_a_history_with_gaps_passes(site: Path, example: None):
    body = REPORTS.format("{'loss': [2.0, float('nan')], 'val_loss': [None, 1.0]}")

    assert failures(check_model(bad_model(site, body), "classification")) == {}


@pytest.mark.parametrize(
    ("history", "sentence"),
    [
        ("{'loss': [2.0, 1.0], 'val_loss': [2.0]}", "column 'val_loss' has 1 entries and 'loss' 2; wanted as many"),
        ("{'loss': ['high']}", "column 'loss' is no list of numbers"),
    ],
)
def test_a_history_that_cannot_be_kept_fails_and_the_column_is_named(
    history: str, sentence: str, site: Path, example: None
):
    failed = failures(check_model(bad_model(site, REPORTS.format(history)), "classification"))

    assert list(failed) == ["fit"]
    assert failed["fit"].startswith(f"CheckFailedError: the history of the fit cannot be kept: {sentence}")


def test_heavy_imports_names_what_came_along(site: Path):
    (site / "heavy_package.py").write_text("import numpy")

    assert heavy_imports("heavy_package") == ["numpy"]
    assert heavy_imports("json") == []


def test_heavy_imports_of_what_cannot_be_imported_says_why():
    with pytest.raises(RuntimeError) as caught:
        heavy_imports("nowhere_to_be_found")
    assert str(caught.value) == (
        "importing 'nowhere_to_be_found' failed: ModuleNotFoundError: No module named 'nowhere_to_be_found'"
    )


def test_comparisons_see_values_shapes_and_columns():
    import numpy as np

    one = {"scores": np.array([[1.0, 0.0]], np.float32)}

    assert same_bytes(one, {"scores": np.array([[1.0, 0.0]], np.float32)})
    assert not same_bytes(one, {"scores": np.array([[1.0, 0.1]], np.float32)})
    assert not same_bytes(one, {"scores": np.zeros((2, 2), np.float32)})
    assert str(agreement(one, {"labels": np.array([0])})) == "columns scores alone and labels"
    assert agreement(one, {"scores": np.array([[3.0, 0.0]], np.float32)}).gap == 0.5
    assert agreement(one, {"scores": np.array([[0.0, 1.0]], np.float32)}).alike == 0
    assert agreement(one, {"scores": np.array([[np.nan, 0.0]], np.float32)}).gap == float("inf")
    assert agreement(one, one).passed


def test_the_kit_leaves_no_files_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    check_model("majority", "classification")

    assert list(tmp_path.iterdir()) == []
    assert sys.path[0] != str(tmp_path)


def test_the_names_of_the_kit_are_these():
    import mlcvbench.testing

    assert mlcvbench.testing.__all__ == [
        "CheckResult",
        "assert_conforms",
        "check_dataset",
        "check_model",
        "heavy_imports",
        "toy_data",
    ]
    assert all(hasattr(mlcvbench.testing, name) for name in mlcvbench.testing.__all__)
