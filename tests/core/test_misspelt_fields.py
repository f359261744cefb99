"""What a plugin author misspells is named, with the nearest right word."""

import importlib
from dataclasses import replace
from pathlib import Path

import pytest

from mlcvbench import FitReport, ModelSpec, Param, Problem, hookimpl
from mlcvbench.cli import main
from mlcvbench.errors import OverrideError, PluginError, RequestError, UnknownNameError
from mlcvbench.loading.models import build_model
from mlcvbench.loading.resolved import resolve
from mlcvbench.plan.planning import plan
from mlcvbench.registry import Registry, get_registry, using
from mlcvbench.specs.values import parse_setting


def test_a_misspelt_field_of_a_spec_offers_the_nearest():
    with pytest.raises(TypeError) as caught:
        ModelSpec("a", ("classification",), "a:b", "A.", use_val=True)
    assert str(caught.value) == "ModelSpec has no field 'use_val'. Did you mean 'uses_val'?"


def test_a_misspelt_field_of_a_report_offers_the_nearest():
    with pytest.raises(TypeError) as caught:
        FitReport(histroy={})
    assert str(caught.value) == "FitReport has no field 'histroy'. Did you mean 'history'?"


def test_a_plugin_with_a_misspelt_field_is_set_aside_with_that_sentence():
    class Plugin:
        @hookimpl
        def mlcvbench_models(self):
            return [ModelSpec("a", ("classification",), "a:b", "A.", use_val=True)]

    registry = Registry.of({"mine": Plugin()})

    assert [q.reason for q in registry.quarantined] == [
        "mlcvbench_models() raised TypeError: ModelSpec has no field 'use_val'. Did you mean 'uses_val'?"
    ]


def test_a_run_names_a_declared_parameter_that_the_model_does_not_take():
    class Plugin:
        @hookimpl
        def mlcvbench_models(self):
            extra = Param("prototypes", "int", 3)
            target = "mlcvbench_cnn.small:SmallCNN"
            return [ModelSpec("floor", ("classification",), target, "A.", params=(extra,))]

    task = importlib.import_module("mlcvbench_classification")
    with using(Registry.of({"task": task, "mine": Plugin()})) as registry:
        (config,) = plan(["task=classification", "model=floor"], registry).configs
        with pytest.raises(PluginError) as caught:
            build_model(resolve(config), Problem("classification", ("a",), {}))

    assert str(caught.value) == (
        "model 'floor': the spec declares 'prototypes' but SmallCNN.__init__ does not take it."
    )


def test_specs_can_still_be_copied_and_have_no_licence_of_their_own():
    spec = replace(ModelSpec("a", ("classification",), "a:b", "A."), name="b")

    assert (spec.name, spec.licence) == ("b", "")


def test_a_list_of_a_fixed_length_says_so():
    size = Param("size", "ints", length=2)

    assert parse_setting(size, "[3,4]", "data.size") == [3, 4]
    for text in ("16", "[16]"):
        with pytest.raises(OverrideError) as caught:
            parse_setting(size, text, "data.size")
        assert str(caught.value) == f"data.size={text}: wanted exactly 2 whole numbers like [64,64]."


def test_many_names_end_in_one_ellipsis_and_say_where_all_are():
    with pytest.raises(UnknownNameError) as caught:
        raise UnknownNameError("classification model", "zzz", "abcdefghij")
    assert str(caught.value) == (
        "unknown classification model 'zzz'. Known: a, b, c, d, e, f, g, h, ... `mlcvbench list` shows all."
    )


def test_a_data_set_given_as_a_task_says_what_to_write():
    with pytest.raises(RequestError) as caught:
        plan(["task=image-folder"], get_registry())
    assert str(caught.value) == ("'image-folder' is a data set, not a task; say task=classification data=image-folder.")


def test_a_new_plugin_of_a_taken_name_is_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["plugin", "new", "knn", "--into", str(tmp_path)]) == 0

    assert "warning: plugin 'knn' has a model 'knn' already; give yours another name.\n" in capsys.readouterr().err


def test_info_of_a_file_shows_its_definition(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    Path("shapes.yaml").write_text(
        "name: mine\nkind: classification\ndata: {name: digits}\nprotocol: top1/single-crop@1\n"
    )

    assert main(["info", "./shapes.yaml"]) == 0

    shown = capsys.readouterr().out
    assert shown.startswith("definition mine\n")
    assert "  protocol  top1/single-crop@1\n" in shown
    assert "  run it    mlcvbench run task=./shapes.yaml\n" in shown
