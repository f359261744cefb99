"""A definition's protocol and metrics are checked before its data are read, for every kind of task."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from mlcvbench.cli.info import info
from mlcvbench.cli.run import run
from mlcvbench.errors import DefinitionError
from mlcvbench.plan.definitions import definition_files, read_definition
from mlcvbench.registry import get_registry

KINDS = {
    "classification": ("digits", "top1/single-crop@2", "top1", "majority"),
    "detection": ("scenes", "coco/bbox/maxdet100@1", "ap", "box_prior"),
    "segmentation": ("scenes", "miou/ignore255/absent-skip@1", "miou", "majority"),
    "verification": ("faces", "pairs/10fold/declared@1", "auc", "pixel_distance"),
    "depth": ("scenes-stereo", "stereo/all@1", "epe", "constant_depth"),
}
"""A data set, a protocol, a metric of it and a model of each kind."""
ASK = {
    "run --dry-run": lambda path: CliRunner().invoke(run, [f"task={path}", "--dry-run"]),
    "info": lambda path: CliRunner().invoke(info, [str(path)]),
}


def write(folder: Path, kind: str, protocol: str, metric: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(
        f"name: mine\nkind: {kind}\ntitle: Mine\ndata: {KINDS[kind][0]}\nprotocol: {protocol}\nmetrics: [{metric}]\n"
        f"models: [{KINDS[kind][3]}]\n"
    )
    return path


@pytest.mark.parametrize("ask", ASK)
@pytest.mark.parametrize("kind", KINDS)
def test_a_misspelt_protocol_is_named_with_file_and_line(kind: str, ask: str, tmp_path: Path) -> None:
    _, protocol, metric, _ = KINDS[kind]
    path = write(tmp_path, kind, protocol.partition("@")[0], metric)

    outcome = ASK[ask](path)

    assert isinstance(outcome.exception, DefinitionError)
    start = f"{path}:5: protocol: unknown {kind} protocol {protocol.partition('@')[0]!r}. Did you mean {protocol!r}"
    assert str(outcome.exception).startswith(start)


@pytest.mark.parametrize("ask", ASK)
@pytest.mark.parametrize("kind", KINDS)
def test_a_misspelt_metric_is_named_with_file_and_line(kind: str, ask: str, tmp_path: Path) -> None:
    _, protocol, metric, _ = KINDS[kind]
    path = write(tmp_path, kind, protocol, f"{metric}x")

    outcome = ASK[ask](path)

    assert isinstance(outcome.exception, DefinitionError)
    start = f"{path}:6: metrics: protocol {protocol!r} has no metric '{metric}x'. Did you mean "
    assert str(outcome.exception).startswith(start)
    assert repr(metric) in str(outcome.exception)


@pytest.mark.parametrize("ask", ASK)
@pytest.mark.parametrize("kind", KINDS)
def test_what_the_protocol_has_is_taken(kind: str, ask: str, tmp_path: Path) -> None:
    _, protocol, metric, _ = KINDS[kind]

    outcome = ASK[ask](write(tmp_path, kind, protocol, metric))

    assert outcome.exit_code == 0, outcome.exception


def test_metrics_of_one_class_of_segmentation_are_left_to_the_data(tmp_path: Path) -> None:
    outcome = ASK["info"](write(tmp_path, "segmentation", KINDS["segmentation"][1], "iou_wall"))

    assert outcome.exit_code == 0, outcome.exception


def test_every_installed_definition_names_a_protocol_and_metrics_of_its_kind() -> None:
    registry = get_registry()
    paths = [path for files in definition_files(registry).values() for path in files.values()]

    names = [read_definition(path, registry, checked=True).name for path in paths]

    assert len(names) == len(paths) > 20


@pytest.mark.parametrize("ask", ASK)
def test_a_metric_of_another_protocol_is_found_there(ask: str, tmp_path: Path) -> None:
    path = write(tmp_path, "classification", "top1/single-crop@1", "balanced_accuracy")

    outcome = ASK[ask](path)

    assert str(outcome.exception) == (
        f"{path}:6: metrics: protocol 'top1/single-crop@1' has no metric 'balanced_accuracy'. "
        "Protocol 'top1/single-crop@2' has it."
    )
