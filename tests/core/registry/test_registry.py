import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.plugins import install, toy_registry

from mlcvbench import ModelSpec, TaskSpec, hookimpl
from mlcvbench.errors import RequestError, UnknownNameError
from mlcvbench.registry import Registry, get_registry, using

HEAD = "from mlcvbench import DatasetSpec, ModelSpec, Param, TaskSpec, hookimpl\n"


def model(name: str = "mine", extra: str = "") -> str:
    return f'ModelSpec("{name}", ("classification",), "m:M", "Mine."{extra})'


def hook(name: str, returned: str) -> str:
    return f"\n@hookimpl\ndef {name}():\n    return {returned}\n"


def models(returned: str) -> str:
    return HEAD + hook("mlcvbench_models", returned)


OF_A_KIND = hook("mlcvbench_tasks", "[TaskSpec('classification', 'm:T', 'A kind.', 'default')]") + hook(
    "mlcvbench_datasets", "[DatasetSpec('maps', ('classification',), 'm:load', 'Data.', ('image', 'depth'))]"
)
"""A task kind and a data set of it, by which misspelt kinds are found."""

FIELDS = "from mlcvbench import TaskSpec, hookimpl\nfrom mlcvbench.specs import Field\n"
BROKEN = {
    "raises_at_import": ("1 / 0", "importing it raised ZeroDivisionError: division by zero."),
    "exits_at_import": ("import sys\nsys.exit(3)", "importing it raised SystemExit: 3."),
    "missing_dependency": (
        "import nowhere_to_be_found",
        "importing it raised ModuleNotFoundError: No module named 'nowhere_to_be_found'.",
    ),
    "syntax_error": ("def (", None),
    "no_hook": (
        "x = 1",
        "it implements no hook of mlcvbench. Known: mlcvbench_tasks, mlcvbench_datasets, mlcvbench_models, "
        "mlcvbench_run_started, mlcvbench_progress, mlcvbench_run_finished.",
    ),
    "misspelt_hook": (
        f"{HEAD}\n@hookimpl\ndef mlcvbench_model():\n    return []\n",
        "'mlcvbench_model' is not a hook of mlcvbench. Did you mean 'mlcvbench_models'?",
    ),
    "forgotten_mark": (
        "def mlcvbench_models():\n    return []\n",
        "function 'mlcvbench_models' is not marked with @mlcvbench.hookimpl.",
    ),
    "misspelt_and_unmarked": (
        "def mlcvbench_model():\n    return []\n",
        "it implements no hook of mlcvbench; found the function 'mlcvbench_model'. Did you mean 'mlcvbench_models'?",
    ),
    "wrapper": (
        "import pluggy\nhook = pluggy.HookimplMarker('mlcvbench')\n"
        "@hook(wrapper=True)\ndef mlcvbench_models():\n    return (yield)\n",
        "hook 'mlcvbench_models' is a wrapper; hooks of mlcvbench are plain functions.",
    ),
    "wrong_arguments": (f"{HEAD}\n@hookimpl\ndef mlcvbench_models(registry):\n    return []\n", None),
    "hook_raises": (models("[][1]"), "mlcvbench_models() raised IndexError: list index out of range."),
    "returns_none": (models("None"), "mlcvbench_models() must return a list of ModelSpec, got NoneType."),
    "returns_one_spec": (models(model()), "mlcvbench_models() must return a list of ModelSpec, got ModelSpec."),
    "returns_text": (models("['knn']"), "mlcvbench_models() must return a list of ModelSpec, got str at index 0."),
    "returns_another_spec": (
        models('[DatasetSpec("d", ("classification",), "m:M", "Mine.")]'),
        "mlcvbench_models() must return a list of ModelSpec, got DatasetSpec at index 0.",
    ),
    "bad_name": (
        models(f"[{model('two words')}]"),
        "ModelSpec 'two words': the name must match [A-Za-z0-9][A-Za-z0-9._+:-]{0,99}.",
    ),
    "name_of_the_command_line": (
        models(f"[{model('fit')}]"),
        "ModelSpec 'fit': the name is one of the words of the command line (model, data, fit, task, all).",
    ),
    "no_summary": (
        models('[ModelSpec("mine", ("classification",), "m:M", "")]'),
        "ModelSpec 'mine': the summary must be a line of text.",
    ),
    "bad_target": (
        models('[ModelSpec("mine", ("classification",), "m.M", "Mine.")]'),
        "ModelSpec 'mine': the target must look like 'package.module:attribute', got 'm.M'.",
    ),
    "bad_check": (
        models(f"[{model(extra=', check=' + repr('m.check'))}]"),
        "ModelSpec 'mine': the check must look like 'package.module:attribute', got 'm.check'.",
    ),
    "check_in_no_module": (
        models(f"[{model(extra=', check=' + repr('nowhere_to_be_found.checks:check'))}]"),
        "ModelSpec 'mine': the check 'nowhere_to_be_found.checks:check' names a module that does not exist.",
    ),
    "kinds_as_text": (
        models('[ModelSpec("mine", "classification", "m:M", "Mine.")]'),
        "ModelSpec 'mine': kinds must be a non-empty tuple of names, got 'classification'.",
    ),
    "no_kind": (
        models('[ModelSpec("mine", (), "m:M", "Mine.")]'),
        "ModelSpec 'mine': kinds must be a non-empty tuple of names, got ().",
    ),
    "unknown_kind": (
        models('[ModelSpec("mine", ("clasification",), "m:M", "Mine.")]'),
        "ModelSpec 'mine': unknown task kind 'clasification'. Did you mean 'classification'?",
    ),
    "unknown_input": (
        models(f"[{model(extra=', needs=(' + repr('depht') + ',)')}]"),
        "ModelSpec 'mine': needs: unknown input kind 'depht'. Did you mean 'depth'?",
    ),
    "params_as_dict": (
        models(f"[{model(extra=', params={}')}]"),
        "ModelSpec 'mine': params must be a tuple of Param, got {}.",
    ),
    "param_twice": (
        models(f"[{model(extra=', params=(Param(chr(107), chr(105)+chr(110)+chr(116)),) * 2')}]"),
        "ModelSpec 'mine': params declares 'k' twice.",
    ),
    "param_of_no_type": (
        models(f"[{model(extra=', params=(Param(chr(107), chr(105)),)')}]"),
        None,
    ),
    "default_out_of_bounds": (
        models("[ModelSpec('mine', ('classification',), 'm:M', 'Mine.', params=(Param('k', 'int', 0, low=1),))]"),
        "ModelSpec 'mine': the default of 'k': wanted a whole number of at least 1.",
    ),
    "default_of_another_type": (
        models("[ModelSpec('mine', ('classification',), 'm:M', 'Mine.', params=(Param('k', 'int', 'five'),))]"),
        "ModelSpec 'mine': the default of 'k': wanted a whole number, got 'five'.",
    ),
    "reads_of_texts": (
        "from mlcvbench import TaskSpec, hookimpl\n\n@hookimpl\ndef mlcvbench_tasks():\n"
        "    return [TaskSpec('mine', 'm:M', 'Mine.', default='d', reads=('.csv', '.npz'))]\n",
        "TaskSpec 'mine': reads must be a tuple of pairs of strings, got ('.csv', '.npz').",
    ),
    "fields_that_are_none": (
        FIELDS + hook("mlcvbench_tasks", "[TaskSpec('mine', 'm:M', 'Mine.', default='d', fields=('image',))]"),
        "TaskSpec 'mine': fields must be a tuple of Field, got ('image',).",
    ),
    "a_field_in_an_unknown_place": (
        FIELDS
        + hook(
            "mlcvbench_tasks",
            "[TaskSpec('mine', 'm:M', 'Mine.', default='d', fields=(Field('input', 'x', 'int', 'X.'),))]",
        ),
        "TaskSpec 'mine': field 'x': unknown place 'input'. Did you mean 'inputs'?",
    ),
    "toys_that_are_not_there": (
        FIELDS + hook("mlcvbench_tasks", "[TaskSpec('mine', 'm:M', 'Mine.', default='d', toys='nowhere.at_all:toys')]"),
        "TaskSpec 'mine': the toys 'nowhere.at_all:toys' names a module that does not exist.",
    ),
    "same_name_twice": (
        models(f"[{model()}, {model()}]"),
        "model 'mine' of task kind 'classification' is already provided by plugin 'same_name_twice'.",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_set_aside_with_its_reason_and_the_others_work(name: str, site: Path):
    source, reason = BROKEN[name]
    install(site, name, {f"{name}.py": source})
    install(site, "sound", {"sound.py": models(f"[{model('sound')}]") + OF_A_KIND})

    registry = toy_registry(site)

    assert [entry.spec.name for entry in registry.models()] == ["sound"]
    assert [(q.plugin, q.distribution) for q in registry.quarantined] == [(name, name)]
    if reason is not None:
        assert registry.quarantined[0].reason == reason


def test_the_traceback_of_an_exception_is_kept_and_that_of_a_finding_is_not(site: Path):
    install(site, "raises", {"raises.py": "1 / 0"})
    install(site, "hookless", {"hookless.py": ""})

    kept = {q.plugin: q.traceback for q in toy_registry(site).quarantined}

    assert "ZeroDivisionError" in kept["raises"]
    assert kept["hookless"] == ""


def test_of_two_plugins_with_one_name_the_first_in_order_keeps_it(site: Path):
    install(site, "zebra", {"zebra.py": models(f"[{model()}, {model('other')}]")})
    install(site, "aardvark", {"aardvark.py": models(f"[{model()}]")})

    registry = toy_registry(site)

    assert registry.model("mine").origin.plugin == "aardvark"
    assert [entry.spec.name for entry in registry.models()] == ["mine"]
    assert registry.quarantined[0].plugin == "zebra"
    assert registry.quarantined[0].reason == (
        "model 'mine' of task kind 'classification' is already provided by plugin 'aardvark'."
    )


def test_a_built_in_name_cannot_be_taken_over_by_an_outside_plugin(site: Path):
    install(site, "aardvark", {"aardvark.py": models(f"[{model()}]")})
    install(site, "mlcvbench", {"builtin_plugin.py": models(f"[{model()}]")}, {"builtin": "builtin_plugin"})

    assert toy_registry(site).model("mine").origin.distribution == "mlcvbench"


def test_a_model_and_a_data_set_may_share_a_name(site: Path):
    source = models(f"[{model()}]") + hook("mlcvbench_datasets", f"[{model().replace('ModelSpec', 'DatasetSpec')}]")
    install(site, "both", {"both.py": source})

    registry = toy_registry(site)

    assert (registry.quarantined, registry.model("mine").spec.name, registry.dataset("mine").spec.name) == (
        [],
        "mine",
        "mine",
    )


def test_two_plugins_may_give_one_name_to_models_of_different_kinds(site: Path):
    install(site, "first", {"first.py": models(f"[{model()}]")})
    install(site, "second", {"second.py": models(f"[{model().replace('classification', 'depth')}]")})

    registry = toy_registry(site)

    assert registry.model("mine", "depth").origin.plugin == "second"
    with pytest.raises(RequestError) as caught:
        registry.model("mine")
    assert str(caught.value) == (
        "model 'mine' exists for several task kinds: classification, depth; name the task kind."
    )


def test_one_entry_point_written_twice_is_set_aside_the_second_time(site: Path):
    install(site, "twice", {"twice.py": models(f"[{model()}]")}, {"one": "twice", "two": "twice"})

    registry = toy_registry(site)

    assert [o.plugin for o in registry.plugins] == ["one"]
    assert registry.quarantined[0].reason == "plugin 'two' is already registered; its entry point is a second one."


def test_an_entry_point_can_name_an_object_inside_a_module(site: Path):
    hooks = f"class Hooks:\n    @hookimpl\n    def mlcvbench_models(self):\n        return [{model()}]\n"
    source = f"{HEAD}\n{hooks}\nPLUGIN = Hooks()\n"
    install(site, "objects", {"objects.py": source}, {"objects": "objects:PLUGIN"})

    assert toy_registry(site).model("mine").origin.package == "objects"


def test_a_plugin_can_define_a_task_kind_that_others_answer(site: Path):
    tasks = hook("mlcvbench_tasks", '[TaskSpec("counting", "c:C", "Count.", "cells")]')
    install(site, "counting", {"counting.py": HEAD + tasks})
    install(site, "answering", {"answering.py": models(f"[{model().replace('classification', 'counting')}]")})

    registry = toy_registry(site)

    assert (registry.quarantined, registry.model("mine", "counting").spec.name) == ([], "mine")


def test_an_unknown_name_offers_the_nearest(toys: Registry):
    with pytest.raises(UnknownNameError) as caught:
        toys.model("kn", "classification")
    assert str(caught.value) == "unknown classification model 'kn'. Did you mean 'knn'?"

    with pytest.raises(UnknownNameError) as caught:
        toys.task("clasification")
    assert str(caught.value) == "unknown task 'clasification'. Did you mean 'classification'?"

    with pytest.raises(UnknownNameError) as caught:
        toys.dataset("smal")
    assert str(caught.value) == "unknown data set 'smal'. Did you mean 'small'?"


def test_a_name_that_ends_in_a_colon_answers_every_name_that_begins_with_it(toys: Registry):
    assert toys.model("hub:resnet18.a1", "classification").spec.name == "hub:resnet18.a1"
    with pytest.raises(UnknownNameError):
        toys.model("hubresnet18")


def test_names_are_listed_in_order_and_by_kind(toys: Registry):
    assert [e.spec.name for e in toys.models("classification")] == ["cnn", "floor", "hub:", "knn"]
    assert toys.models("depth") == []
    assert [e.spec.name for e in toys.tasks()] == ["classification"]


def test_a_registry_of_given_plugins_sees_nothing_that_is_installed():
    class Hooks:
        @hookimpl
        def mlcvbench_models(self) -> list[ModelSpec]:
            return [ModelSpec("mine", ("classification",), "m:M", "Mine.")]

    registry = Registry.of({"given": Hooks()})

    assert [e.spec.name for e in registry.models()] == ["mine"]


def test_the_registry_is_made_once_a_process_and_can_be_replaced_for_a_while(toys: Registry):
    empty = Registry.of({})

    with using(empty):
        assert get_registry() is empty

    assert get_registry() is toys


def test_every_installed_plugin_of_ours_is_sound():
    from mlcvbench.registry import discover

    registry = discover()
    ours = [q for q in registry.quarantined if q.distribution == "mlcvbench"]

    assert ours == []
    assert registry.task("classification").origin.plugin == "classification"


def test_no_installed_plugin_of_ours_imports_anything_heavy_to_declare_itself():
    from mlcvbench.registry import discover
    from mlcvbench.testing import heavy_imports

    packages = sorted({origin.package for origin in discover().plugins if origin.distribution == "mlcvbench"})

    assert {package: heavy_imports(package) for package in packages} == {package: [] for package in packages}


def test_every_check_of_an_installed_plugin_of_ours_can_be_asked():
    from mlcvbench.registry import discover
    from mlcvbench.specs import load_target

    checks = {e.spec.check for e in discover().models() if e.spec.check and e.origin.distribution == "mlcvbench"}

    assert len(checks) > 3
    assert all(callable(load_target(check)) for check in checks)


def observing(hook: str, arguments: str, body: str) -> str:
    return f"{HEAD}\nseen = []\n\n@hookimpl\ndef {hook}({arguments}):\n    {body}\n"


def test_an_observer_is_told_of_a_run_with_the_arguments_it_asks_for(site: Path):
    install(
        site, "watching", {"watching.py": observing("mlcvbench_progress", "stage, done", "seen.append((stage, done))")}
    )
    registry = toy_registry(site)

    registry.hook.mlcvbench_progress(run={}, stage="fit", done=1, total=2, numbers={})

    assert sys.modules["watching"].seen == [("fit", 1)]


def test_an_observer_hears_of_the_start_and_the_end_of_a_run(site: Path):
    install(site, "starts", {"starts.py": observing("mlcvbench_run_started", "run", "seen.append(run)")})
    install(site, "ends", {"ends.py": observing("mlcvbench_run_finished", "record", "seen.append(record)")})
    registry = toy_registry(site)

    registry.hook.mlcvbench_run_started(run={"model": "knn"})
    registry.hook.mlcvbench_run_finished(record={"status": "ok"})

    assert sys.modules["starts"].seen == [{"model": "knn"}]
    assert sys.modules["ends"].seen == [{"status": "ok"}]


@pytest.mark.parametrize("body", ["raise ValueError('no')", "raise SystemExit(1)"])
def test_what_an_observer_raises_is_said_once_and_the_others_are_still_told(
    body: str, site: Path, capsys: pytest.CaptureFixture[str]
):
    install(site, "angry", {"angry.py": observing("mlcvbench_run_started", "run", body)})
    install(site, "calm", {"calm.py": observing("mlcvbench_run_started", "run", "seen.append(run)")})
    registry = toy_registry(site)

    registry.hook.mlcvbench_run_started(run={})
    registry.hook.mlcvbench_run_started(run={})

    assert sys.modules["calm"].seen == [{}, {}]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("mlcvbench: warning: plugin 'angry': mlcvbench_run_started raised ")


def test_an_observer_that_edits_what_it_is_shown_does_not_edit_the_run(site: Path):
    install(site, "editing", {"editing.py": observing("mlcvbench_run_started", "run", "run['config']['seed'] = 9")})
    run = {"config": {"seed": 0}}

    toy_registry(site).hook.mlcvbench_run_started(run=run)

    assert run == {"config": {"seed": 0}}


def test_only_observer_hooks_can_be_called(toys: Registry):
    with pytest.raises(AttributeError, match=r"^'mlcvbench_models' is not an observer hook$"):
        toys.hook.mlcvbench_models()


def test_a_plugin_that_was_set_aside_observes_nothing(site: Path):
    source = (
        observing("mlcvbench_run_started", "run", "seen.append(run)")
        + "\n@hookimpl\ndef mlcvbench_models():\n    return 1\n"
    )
    install(site, "half", {"half.py": source})
    registry = toy_registry(site)

    registry.hook.mlcvbench_run_started(run={})

    assert sys.modules["half"].seen == []


def test_a_task_declared_by_an_object_without_a_name_is_fine():
    plugin = SimpleNamespace(mlcvbench_tasks=hookimpl(lambda: [TaskSpec("counting", "c:C", "Count.", "cells")]))

    assert Registry.of({"counting": plugin}).task("counting").spec.default == "cells"


def test_a_method_of_another_task_kind_is_named_as_such():
    with pytest.raises(UnknownNameError) as error:
        get_registry().model("block_matching", "classification")

    assert str(error.value) == "unknown classification model 'block_matching'. It is a model of task kind depth."
