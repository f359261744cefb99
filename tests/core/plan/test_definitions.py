from pathlib import Path

import pytest
from support.plugins import SMALL

from mlcvbench.errors import DefinitionError, RequestError, UnknownNameError
from mlcvbench.plan.config import Definition
from mlcvbench.plan.definitions import definition_names, load_definition
from mlcvbench.registry import Registry

MINE = SMALL.replace("name: small\n", "name: mine\n")


def own(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return path


def refusal(tmp_path: Path, text: str, registry: Registry) -> str:
    """Return the message about a file of this content, less the folder it is in."""
    with pytest.raises(DefinitionError) as caught:
        load_definition(str(own(tmp_path, text)), registry)
    return str(caught.value).replace(f"{tmp_path}/", "")


def test_a_task_kind_means_its_default_definition(toys: Registry):
    assert load_definition("classification", toys) == Definition(
        name="small",
        kind="classification",
        summary="Small data.",
        dataset="small",
        protocol="top1@1",
        metrics=("top1",),
        models=("floor", "knn"),
        fit_budget=60.0,
    )


def test_a_definition_is_found_by_its_name(toys: Registry):
    assert load_definition("folder", toys).dataset == "folder"


def test_a_definition_is_read_from_a_path(toys: Registry, tmp_path: Path):
    assert load_definition(str(own(tmp_path, MINE)), toys).name == "mine"


def test_names_are_known_without_reading_the_files(toys: Registry, site: Path):
    (site / "toytask" / "definitions" / "broken.yaml").write_text("[")

    assert definition_names(toys) == {"classification": ["broken", "folder", "small"]}


def test_an_unknown_task_offers_kinds_and_definitions(toys: Registry):
    with pytest.raises(UnknownNameError) as caught:
        load_definition("smal", toys)
    assert str(caught.value) == "unknown task 'smal'. Did you mean 'small'?"


def test_settings_of_the_data_set_are_typed_by_its_spec_and_paths_are_relative_to_the_file(
    toys: Registry, tmp_path: Path
):
    text = MINE.replace("{name: small}", "{name: folder, root: pictures, size: [8, 16]}")

    data = load_definition(str(own(tmp_path, text)), toys).data

    assert data == {"root": str(tmp_path / "pictures"), "size": [8, 16]}


def test_the_data_set_can_be_written_as_its_name_alone(toys: Registry, tmp_path: Path):
    text = MINE.replace("{name: small}", "small")

    assert load_definition(str(own(tmp_path, text)), toys).dataset == "small"


def test_words_that_yaml_would_turn_into_something_else_stay_words(toys: Registry, tmp_path: Path):
    text = MINE.replace("name: mine", "name: no").replace("Small data.", "0123")

    definition = load_definition(str(own(tmp_path, text)), toys)

    assert (definition.name, definition.summary) == ("no", "0123")


def test_a_summary_may_run_over_several_lines(toys: Registry, tmp_path: Path):
    text = MINE.replace("summary: Small data.", "summary: >\n  Small\n  data.")

    assert load_definition(str(own(tmp_path, text)), toys).summary == "Small data."


REFUSED = {
    "unknown key": (
        ("metrics:", "metric:"),
        "mine.yaml:6: unknown key 'metric'. Did you mean 'metrics'?",
    ),
    "missing key": (("protocol: top1@1\n", ""), "mine.yaml:1: the key 'protocol' is missing."),
    "no metrics": (
        ("metrics: [top1]", "metrics: []"),
        "mine.yaml:6: metrics: the list is empty; name those to show first, or omit the key to show all.",
    ),
    "empty value": (
        ("protocol: top1@1", "protocol:"),
        "mine.yaml:5: protocol: the value is empty; wanted one line of text.",
    ),
    "list for a text": (("protocol: top1@1", "protocol: [a]"), "mine.yaml:5: protocol: wanted one plain value."),
    "unknown kind": (
        ("kind: classification", "kind: clasification"),
        "mine.yaml:2: kind: unknown task kind 'clasification'. Did you mean 'classification'?",
    ),
    "bad name": (
        ("name: mine", "name: my own"),
        "mine.yaml:1: name: 'my own' is not a name (letters, digits and ._:-, at most 100).",
    ),
    "name with the mark of a changed data set": (
        ("name: mine", "name: a+b"),
        "mine.yaml:1: name: 'a+b' is not a name (letters, digits and ._:-, at most 100).",
    ),
    "name of an installed one": (
        ("name: mine", "name: folder"),
        "mine.yaml: the name 'folder' is an installed definition's; choose another.",
    ),
    "unknown data set": (
        ("name: small}", "name: smal}"),
        "mine.yaml:4: data: unknown classification data set 'smal'. Did you mean 'small'?",
    ),
    "data without a name": (
        ("{name: small}", "{size: [8, 8]}"),
        "mine.yaml:4: data: wanted a mapping with the data set's name.",
    ),
    "unknown data setting": (
        ("{name: small}", "{name: folder, rot: x}"),
        "mine.yaml:4: data: data set 'folder' has no setting 'rot'. Did you mean 'root'?",
    ),
    "number as a quoted text": (
        ("{budget: 60}", '{budget: "60"}'),
        'mine.yaml:8: fit.budget: wanted a number of at least 0, got the quoted text "60"; drop the quotes.',
    ),
    "time that yaml would read as seconds": (
        ("{budget: 60}", "{budget: 1:30}"),
        "mine.yaml:8: fit.budget=1:30: wanted a number of at least 0.",
    ),
    "negative budget": (("{budget: 60}", "{budget: -1}"), "mine.yaml:8: fit.budget=-1: wanted a number of at least 0."),
    "infinite budget": (
        ("{budget: 60}", "{budget: .inf}"),
        "mine.yaml:8: fit.budget=.inf: wanted a number of at least 0.",
    ),
    "unknown fit key": (
        ("{budget: 60}", "{budgets: 60}"),
        "mine.yaml:8: fit: unknown key 'budgets'. Did you mean 'budget'?",
    ),
    "fit as a number": (("{budget: 60}", "60"), "mine.yaml:8: fit: wanted a mapping like {budget: 600}."),
    "an unknown column": (
        ("metrics: [top1]", "metrics: [top1]\ncolumns: [top5]"),
        "mine.yaml:7: columns: protocol 'top1@1' has no metric 'top5'. Protocol 'top5@1' has it.",
    ),
    "metrics as a text": (("[top1]", "top1"), "mine.yaml:6: metrics: wanted a list of names like [a, b]."),
    "metric twice": (("[top1]", "[top1, top1]"), "mine.yaml:6: metrics: 'top1' is listed twice."),
    "unknown protocol": (
        ("protocol: top1@1", "protocol: top@1"),
        "mine.yaml:5: protocol: unknown toy protocol 'top@1'. Did you mean 'top5@1' or 'top1@1'?",
    ),
    "metric of another protocol": (
        ("metrics: [top1]", "metrics:\n  - top1\n  - top5"),
        "mine.yaml:8: metrics: protocol 'top1@1' has no metric 'top5'. Protocol 'top5@1' has it.",
    ),
    "model that is no name": (("[floor, knn]", "['a b']"), "mine.yaml:7: models: 'a b' is not a name."),
    "floats in a list of whole numbers": (
        ("{name: small}", "{name: folder, root: ., size: [8, 1.5]}"),
        "mine.yaml:4: data.size=[8,1.5]: wanted a list of whole numbers like [64,64].",
    ),
    "one number for a list": (
        ("{name: small}", "{name: folder, root: ., size: 8}"),
        "mine.yaml:4: data.size: wanted a list.",
    ),
    "octal version": (
        ("summary:", "version: 010\nsummary:"),
        "mine.yaml:3: version=010: wanted a whole number from 1 to 1000000.",
    ),
    "control character in a path": (
        ("{name: small}", '{name: folder, root: "a\\0b"}'),
        None,
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_the_schema_is_refused_with_file_and_line(case: str, toys: Registry, tmp_path: Path):
    (old, new), message = REFUSED[case]
    assert old in MINE

    got = refusal(tmp_path, MINE.replace(old, new), toys)

    if message is not None:
        assert got == message
    assert got.startswith("mine.yaml")


def test_metrics_of_single_classes_are_left_to_the_data(toys: Registry, tmp_path: Path):
    text = MINE.replace("metrics: [top1]", "metrics: [nll, recall_dog]")

    assert load_definition(str(own(tmp_path, text)), toys).metrics == ("nll", "recall_dog")


def test_an_installed_definition_is_read_without_importing_its_task(toys: Registry, site: Path):
    (site / "toytask" / "task.py").unlink()

    assert load_definition("small", toys).protocol == "top1@1"


def test_a_file_that_holds_a_list_is_no_definition(toys: Registry, tmp_path: Path):
    assert refusal(tmp_path, "- a\n", toys) == (
        "mine.yaml:1: wanted a mapping with the keys name, kind, protocol, summary, title, version, data, metrics, "
        "columns, models, starter, fit."
    )


def test_an_installed_definition_is_called_as_its_file_is(toys: Registry, site: Path):
    path = site / "toytask" / "definitions" / "other.yaml"
    path.write_text(SMALL)

    with pytest.raises(DefinitionError) as caught:
        load_definition("other", toys)
    assert str(caught.value) == f"{path}:1: name: wanted 'other', as the file is called, got 'small'."


def test_an_installed_definition_can_be_given_by_its_path(toys: Registry, site: Path):
    path = site / "toytask" / "definitions" / "small.yaml"

    assert load_definition(str(path), toys) == load_definition("small", toys)


def test_a_task_whose_default_is_missing_says_so(toys: Registry, site: Path):
    (site / "toytask" / "definitions" / "small.yaml").unlink()

    with pytest.raises(DefinitionError) as caught:
        load_definition("classification", toys)
    assert str(caught.value) == (
        "task 'classification': its default definition 'small' is not among its definitions. Known: folder."
    )


def test_a_name_in_two_tasks_must_be_given_by_its_path(toys: Registry, site: Path, monkeypatch: pytest.MonkeyPatch):
    files = {"depth": {"small": site}, "classification": {"small": site}}
    monkeypatch.setattr("mlcvbench.plan.definitions.definition_files", lambda registry: files)

    with pytest.raises(RequestError) as caught:
        load_definition("small", toys)
    assert str(caught.value) == "definition 'small' exists for the tasks classification, depth; give its path."


@pytest.mark.parametrize(
    ("starter", "message"),
    [
        ("[5]", "mine.yaml:9: starter: wanted a mapping like {knn.k: 5}."),
        ("{k: 5}", "mine.yaml:9: starter: wanted settings of a starter model, such as MODEL.NAME, got 'k'."),
        ("{cnn.k: 5}", "mine.yaml:9: starter: wanted settings of a starter model, such as MODEL.NAME, got 'cnn.k'."),
        ("{knn.k: {a: 1}}", "mine.yaml:9: starter: knn.k: wanted one plain value."),
    ],
)
def test_settings_of_starter_models_name_one_and_have_one_value(
    starter: str, message: str, toys: Registry, tmp_path: Path
):
    assert refusal(tmp_path, f"{MINE}starter: {starter}\n", toys) == message
