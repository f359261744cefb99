"""Stored runs: recomputed bit for bit, compared in pairs; a changed file is noticed."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from support.records import make_record
from support.runs import stored_run

from mlcvbench.analysis.comparison import compare_runs
from mlcvbench.analysis.rescoring import config_of, recompute
from mlcvbench.cli.compare import as_dict, as_text, compare
from mlcvbench.cli.rescore import rescore
from mlcvbench.cli.runs import data_settings
from mlcvbench.cli.show import show
from mlcvbench.errors import CheckFailedError, RecordError, RequestError
from mlcvbench.files.npz import open_npz, write_npz
from mlcvbench.plan.config import RunConfig
from mlcvbench.plan.planning import plan
from mlcvbench.records.schema import CheckInfo, FitInfo, NoticeInfo, Record, Retraction
from mlcvbench.records.store import read_record

Run = tuple[Record, Path]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    root = tmp_path_factory.mktemp("runs")
    return {
        "knn5": stored_run(root, "model=knn"),
        "knn9": stored_run(root, "model=knn", "model.k=9"),
        "majority": stored_run(root),
        "partial": stored_run(root, "limit=20"),
    }


@pytest.fixture
def copy(runs: dict[str, Run], tmp_path: Path) -> Run:
    record, folder = runs["knn5"]
    target = tmp_path / folder.name
    shutil.copytree(folder, target)
    return record, target


def test_every_metric_is_recomputed_bit_for_bit(runs: dict[str, Run]) -> None:
    for record, folder in runs.values():
        result = recompute(record, folder)

        assert result.differences == ()
        assert {name: metric.value for name, metric in record.metrics.items()} == result.values


def test_permuted_predictions_change_the_metrics_and_the_command_exits_1(copy: Run) -> None:
    _, folder = copy
    path = folder / "predictions.npz"
    with open_npz(path) as stored:
        arrays = {name: stored.read(name) for name in stored.headers}
    arrays["probabilities"] = np.ascontiguousarray(arrays["probabilities"][::-1])
    write_npz(path, arrays)

    outcome = CliRunner().invoke(rescore, [str(folder)])

    assert isinstance(outcome.exception, CheckFailedError)
    assert outcome.exception.exit_code == 1
    assert "metric: top1: wanted 0.957" in outcome.output
    assert "sha256: predictions.npz: wanted" in outcome.output


def test_a_metric_edited_by_hand_is_found(copy: Run) -> None:
    record, folder = copy
    edited = {**record.metrics, "top1": record.metrics["top1"].model_copy(update={"value": 0.99})}

    result = recompute(record.model_copy(update={"metrics": edited}), folder)

    assert [str(d) for d in result.differences] == [f"metric: top1: wanted 0.99, got {record.metrics['top1'].value!r}"]


def test_an_interval_edited_by_hand_is_found(copy: Run) -> None:
    record, folder = copy
    wanted = record.metrics["top1"].high
    edited = {**record.metrics, "top1": record.metrics["top1"].model_copy(update={"high": 0.999})}

    result = recompute(record.model_copy(update={"metrics": edited}), folder)

    assert [str(d) for d in result.differences] == [f"metric: top1.high: wanted 0.999, got {wanted!r}"]


def test_a_number_of_groups_edited_by_hand_is_found(copy: Run) -> None:
    record, folder = copy
    wanted = record.intervals["groups"]

    result = recompute(record.model_copy(update={"intervals": {**record.intervals, "groups": 9999}}), folder)

    assert [str(d) for d in result.differences] == [f"intervals: groups: wanted 9999, got {wanted}"]


def test_replicates_that_were_drawn_in_bundles_are_not_those_of_single_groups(copy: Run) -> None:
    record, folder = copy

    result = recompute(record.model_copy(update={"intervals": {**record.intervals, "bundles": 64}}), folder)

    assert [str(d) for d in result.differences] == ["intervals: bundles: wanted 64, got None"]


def test_the_last_digits_of_an_interval_are_the_machines(copy: Run) -> None:
    record, folder = copy
    top1 = record.metrics["top1"]
    edited = {**record.metrics, "top1": top1.model_copy(update={"high": top1.high * (1 + 1e-13)})}

    assert recompute(record.model_copy(update={"metrics": edited}), folder).differences == ()


def test_a_record_with_intervals_of_another_method_is_still_recomputed(copy: Run) -> None:
    record, folder = copy
    old = {**record.metrics, "top1": record.metrics["top1"].model_copy(update={"high": 0.999})}
    intervals = {"method": "percentile bootstrap", "level": 0.95, "replicates": 1000}

    result = recompute(record.model_copy(update={"metrics": old, "intervals": intervals}), folder)

    assert result.differences == ()
    assert result.values["top1"] == record.metrics["top1"].value


def test_replicates_edited_by_hand_are_found(copy: Run) -> None:
    record, folder = copy
    arrays = dict(np.load(folder / "replicates.npz"))
    arrays["top1"][3] += 0.01
    write_npz(folder / "replicates.npz", arrays)

    result = recompute(record, folder)

    assert [d.file for d in result.differences] == ["replicates.npz:top1"]


def test_a_record_made_on_other_data_is_not_recomputed(copy: Run) -> None:
    record, folder = copy
    assert record.dataset is not None
    other = record.model_copy(update={"dataset": record.dataset.model_copy(update={"fingerprint": "f" * 64})})

    with pytest.raises(RecordError) as error:
        recompute(other, folder)

    assert str(error.value) == (
        f"record '{record.run_id}' was scored on data with fingerprint ffffffffffff, "
        f"but 'digits' has {record.dataset.fingerprint[:12]} here."
    )


def test_a_protocol_with_one_engine_has_none_to_compare(runs: dict[str, Run]) -> None:
    outcome = CliRunner().invoke(rescore, [str(runs["knn5"][1]), "engine=hotcoco"])

    assert isinstance(outcome.exception, RequestError)
    assert outcome.exception.exit_code == 2
    assert str(outcome.exception) == ("protocol 'top1/single-crop@2' is scored by one engine only; leave out engine=.")


def test_missing_predictions_are_named(copy: Run) -> None:
    record, folder = copy
    (folder / "predictions.npz").unlink()

    with pytest.raises(RecordError) as error:
        recompute(record, folder)

    assert str(error.value) == f"record '{record.run_id}': its predictions are not beside it."


def test_the_configuration_survives_the_record(runs: dict[str, Run]) -> None:
    record, _ = runs["knn9"]

    config = config_of(record)

    assert config.model_params["k"] == 9
    assert RunConfig.from_dict(config.to_dict()) == config


def test_a_difference_of_equal_runs_is_zero_with_a_zero_interval(runs: dict[str, Run]) -> None:
    result = compare_runs(runs["knn5"], runs["knn5"])

    top1 = result.metrics[0]
    assert (top1.difference, top1.low, top1.high) == (0.0, 0.0, 0.0)
    assert result.gain == 0.0


def test_a_difference_has_the_sign_of_second_minus_first_and_a_paired_interval(runs: dict[str, Run]) -> None:
    result = compare_runs(runs["majority"], runs["knn5"])

    top1 = next(d for d in result.metrics if d.name == "top1")
    assert top1.difference == pytest.approx(0.858, abs=0.01)
    assert top1.low is not None
    assert 0.8 < top1.low < top1.difference < (top1.high or 0) < 0.9
    assert result.latency_note == "latency: not measured in both runs"


def test_equal_runs_have_a_p_of_one_and_unlike_ones_a_small_one(runs: dict[str, Run]) -> None:
    equal, unlike = compare_runs(runs["knn5"], runs["knn5"]), compare_runs(runs["majority"], runs["knn5"])

    assert {d.p for d in equal.metrics} == {1.0}
    assert unlike.metrics[0].p < 1e-9


def test_a_star_and_a_p_below_a_twentieth_say_the_same(runs: dict[str, Run]) -> None:
    result = compare_runs(runs["knn5"], runs["knn9"])

    for d in result.metrics:
        assert (d.low > 0 or d.high < 0) == (d.p < 0.05)


def test_the_primary_metric_stands_first_and_n_is_said(runs: dict[str, Run]) -> None:
    lines = CliRunner().invoke(compare, [str(runs["knn5"][1]), str(runs["knn9"][1])]).output.splitlines()

    assert lines[2] == "n       797"
    assert lines[4] == "metric               first   second difference  95 % interval               p"
    names = ["top1", "top5", "macro_f1", "nll", "ece", "balanced_accuracy", "weighted_f1"]
    assert [line.split()[0] for line in lines[5:12]] == names
    assert lines[13] == "top1 is the primary metric; * the interval excludes no difference"


def test_columns_line_up_and_a_long_name_has_a_line_of_its_own(runs: dict[str, Run]) -> None:
    result = compare_runs(runs["knn5"], runs["knn9"])
    long = replace(result, metrics=(replace(result.metrics[0], name="iou_traffic_light_1"),))

    lines, wrapped = as_text(result).splitlines(), as_text(long).splitlines()

    assert len({line.index(".") for line in lines[5:12]}) == 1
    assert wrapped[5] == "iou_traffic_light_1"
    assert wrapped[6] == lines[5].replace("top1", "    ")
    assert max(map(len, lines)) <= 80


def test_replicates_that_were_drawn_differently_are_not_subtracted(runs: dict[str, Run]) -> None:
    (record, folder), other = runs["knn5"], runs["knn9"]
    bundled = record.model_copy(update={"intervals": {**record.intervals, "bundles": 64}})

    top1 = compare_runs((bundled, folder), other).metrics[0]

    assert top1.difference is not None
    assert (top1.low, top1.high, top1.p) == (None, None, None)


def test_groups_are_said_where_they_are_not_the_samples(runs: dict[str, Run]) -> None:
    (record, folder), other = runs["knn5"], runs["knn9"]
    grouped = record.model_copy(update={"intervals": {**record.intervals, "groups": 13}})

    assert "\nn       797 in 13 groups\n" in as_text(compare_runs((grouped, folder), other))


def test_what_must_be_known_of_a_run_is_said_when_it_is_compared(runs: dict[str, Run]) -> None:
    (record, folder), other = runs["knn5"], runs["knn9"]
    changes = {
        "checks": {"batch_invariant": CheckInfo(passed=False, detail="81.0 % of decisions equal")},
        "notices": (NoticeInfo(code="odd", text="Every score is 1."),),
        "retraction": Retraction(date="2026-11-21", reason="wrong labels"),
        "fit": FitInfo(),
    }

    quiet = other[0].model_copy(update={"fit": FitInfo()})
    result = compare_runs((record.model_copy(update=changes), folder), (quiet, other[1]))

    assert as_text(result).endswith(
        "\n! first: retracted on 2026-11-21: wrong labels\n! first: Every score is 1.\n"
        "! first: check failed: batch_invariant, so no board ranks it: 81.0 % of\n  decisions equal"
    )
    assert as_dict(result)["said"]["second"] == []


def test_runs_on_different_data_are_not_compared(runs: dict[str, Run]) -> None:
    first, second = runs["majority"], runs["partial"]
    assert first[0].dataset is not None
    assert second[0].dataset is not None

    with pytest.raises(RequestError) as error:
        compare_runs(first, second)

    one, other = (run[0].dataset for run in (first, second))
    assert str(error.value) == (
        f"runs on different data cannot be compared: 797 samples of digits 1 (fingerprint {one.fingerprint[:8]}) and "
        f"{other.n} samples of digits 1 (fingerprint {other.fingerprint[:8]})."
    )


def test_runs_of_different_protocols_are_not_compared(runs: dict[str, Run]) -> None:
    record, folder = runs["knn5"]
    other = record.model_copy(update={"task": record.task.model_copy(update={"protocol_id": "top1/other@1"})})

    with pytest.raises(RequestError) as error:
        compare_runs((record, folder), (other, folder))

    assert str(error.value) == (
        "runs of different protocols cannot be compared: 'top1/single-crop@2' and 'top1/other@1'."
    )


def test_compare_exits_1_when_the_primary_metric_falls_below_the_bound(runs: dict[str, Run]) -> None:
    good, bad = str(runs["knn5"][1]), str(runs["majority"][1])

    falling = CliRunner().invoke(compare, [good, bad, "--fail-below=-0.01"])
    rising = CliRunner().invoke(compare, [bad, good, "--fail-below=-0.01"])

    assert str(falling.exception) == "the gain in top1 is -0.8582, which is below -0.01."
    assert rising.exit_code == 0


def test_a_gain_that_is_not_sure_passes_by_its_point_and_fails_by_its_lower_end(runs: dict[str, Run]) -> None:
    pair = [str(runs["knn9"][1]), str(runs["knn5"][1])]
    result = compare_runs(runs["knn9"], runs["knn5"])
    assert result.gain_low < 0 < result.gain

    by_point = CliRunner().invoke(compare, [*pair, "by=point", "--fail-below=0"])
    by_low = CliRunner().invoke(compare, [*pair, "by=low", "--fail-below=0"])

    assert by_point.exit_code == 0
    low = f"{result.gain_low:+.4f} at the lower end of its 95 % interval"
    assert str(by_low.exception) == f"the gain in top1 is {low}, which is below +0."


def test_where_lower_is_better_the_lower_end_of_the_gain_is_the_upper_end_of_the_difference(
    runs: dict[str, Run],
) -> None:
    first, second = ((record.model_copy(update={"primary_metric": "nll"}), f) for record, f in
                     (runs["majority"], runs["knn5"]))  # fmt: skip

    result = compare_runs(first, second)

    nll = result.metrics[0]
    assert (nll.name, result.gain, result.gain_low) == ("nll", -nll.difference, -nll.high)
    assert 0 < result.gain_low < result.gain


def test_without_replicates_a_bound_by_the_lower_end_cannot_be_met(copy: Run) -> None:
    _, folder = copy
    (folder / "replicates.npz").unlink()

    outcome = CliRunner().invoke(compare, [str(folder), str(folder), "by=low", "--fail-below=-1"])

    assert str(outcome.exception) == "the gain in top1 is without interval, which is below -1."


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["by=mean", "--fail-below=0"], "by=mean: wanted one of point or low."),
        (["bye=low", "--fail-below=0"], "unknown key 'bye'. Did you mean 'by'?"),
        (["by=low"], "key 'by' has no effect without --fail-below=X; by=low says what X is compared with."),
    ],
)
def test_settings_of_compare_that_cannot_be_meant_are_refused(
    runs: dict[str, Run], words: list[str], said: str
) -> None:
    run = str(runs["knn5"][1])

    assert str(CliRunner().invoke(compare, [run, run, *words]).exception) == said


def test_a_bound_that_nothing_is_below_is_refused(runs: dict[str, Run]) -> None:
    run = str(runs["knn5"][1])

    outcome = CliRunner().invoke(compare, [run, run, "--fail-below=nan"])

    assert str(outcome.exception) == "--fail-below=nan: wanted a finite number."


def test_compare_says_where_lower_is_better(runs: dict[str, Run]) -> None:
    outcome = CliRunner().invoke(compare, [str(runs["majority"][1]), str(runs["knn5"][1])])

    assert "\nlower is better: nll, ece\n" in outcome.output


def test_compare_fits_80_columns(runs: dict[str, Run]) -> None:
    outcome = CliRunner().invoke(compare, [str(runs["majority"][1]), str(runs["knn5"][1])])

    assert max(map(len, outcome.output.splitlines())) <= 80
    assert "top1" in outcome.output


def test_show_prints_a_run_in_80_columns_by_folder_and_by_record_file(runs: dict[str, Run]) -> None:
    record, folder = runs["knn5"]

    by_folder = CliRunner().invoke(show, [str(folder)])
    by_file = CliRunner().invoke(show, [str(folder / "record.json")])

    assert by_folder.output == by_file.output
    assert record.run_id in by_folder.output
    assert max(map(len, by_folder.output.splitlines())) <= 80


def test_show_of_no_run_says_what_was_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    outcome = CliRunner().invoke(show, ["nothing"])

    assert str(outcome.exception) == (
        "no run 'nothing': wanted a run folder with a record.json, or the id of one in runs/."
    )


def test_a_pattern_that_the_shell_left_alone_is_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()

    outcome = CliRunner().invoke(show, ["runs/digits-**x*"])

    assert str(outcome.exception).startswith("no run 'runs/digits-**x*': wanted a run folder")


def test_a_notebook_shows_a_record_with_every_value_escaped(runs: dict[str, Run]) -> None:
    record, _ = runs["knn5"]
    hostile = record.model_copy(update={"command": "<script>alert(1)</script>"})

    shown = hostile._repr_html_()

    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown


def test_a_command_of_a_record_resolves_to_the_same_run(runs: dict[str, Run]) -> None:
    import shlex

    from mlcvbench.plan.planning import plan

    record, folder = runs["knn9"]
    words = shlex.split(record.command)

    (config,) = plan(words[2:]).configs

    assert words[:2] == ["mlcvbench", "run"]
    assert replace(config, given=()) == replace(config_of(read_record(folder)), given=())


def test_a_path_may_be_given_for_one_data_set_alone(tmp_path: Path) -> None:
    (config,) = plan(["task=fashion-mnist", "model=knn", f"data.root={tmp_path}"]).configs
    plain = config.to_dict()
    plain["data_params"]["root"] = None
    record = make_record("knn", config=plain)

    found = config_of(record, data_settings({"fashion-mnist.data.root": "/here", "idx.data.root": "/there"}))
    every = config_of(record, data_settings({"data.root": "/anywhere"}))

    assert (found.data_params["root"], every.data_params["root"]) == ("/here", "/anywhere")
    with pytest.raises(RequestError, match=r"does not say where its data are; give data\.root=DIR\.$"):
        config_of(record, data_settings({"idx.data.root": "/there"}))
