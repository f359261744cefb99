"""One run: stages in order, each failure a record, predictions checked and reproducible."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.classification import write_image_folder
from support.label_folders import label_maps, write_label_folder, write_predictions
from support.runs import config_for

from mlcvbench.contract import ArraySplit, Model, Table
from mlcvbench.errors import PredictionError
from mlcvbench.plan.planning import plan
from mlcvbench.records.schema import Record
from mlcvbench.running import predicting, stages
from mlcvbench.running.external import score_file

STAGES = ["resolve", "fit", "predict", "score", "replicates", "operations", "breakdowns", "plots"]


def run(folder: Path, *settings: str, **changes: object) -> Record:
    folder.mkdir(exist_ok=True)
    return stages.execute(config_for(*settings, **changes), folder)


def test_stages_run_in_order_and_report_their_begin_and_end(tmp_path: Path) -> None:
    seen: list[tuple[str, int]] = []

    record = stages.execute(config_for(), tmp_path, progress=lambda stage, done, *_: seen.append((stage, done)))

    assert record.status == "ok"
    assert [stage for stage, done in seen if done == 0] == STAGES
    assert list(record.stage_seconds) == STAGES


def test_a_run_leaves_predictions_rows_replicates_and_plots(tmp_path: Path) -> None:
    run(tmp_path)

    names = {path.name for path in tmp_path.iterdir()}

    assert names == {"predictions.npz", "rows.parquet", "replicates.npz", "plots"}


def test_a_record_says_what_was_predicted_and_how_it_is_read(tmp_path: Path) -> None:
    assert run(tmp_path / "a").predictions == "probabilities"
    assert run(tmp_path / "b", "model=linear_least_squares").predictions == "scores read as logits"


def test_images_that_exif_turns_are_counted(tmp_path: Path) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 3
    for number in range(8):
        path = tmp_path / "set" / ("train" if number < 4 else "test") / "ab"[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (6, 4), (30 * number, 0, 0)).save(path, exif=exif if number != 7 else Image.Exif())

    record = run(tmp_path / "run", "task=classification", "data=image-folder", f"data.root={tmp_path / 'set'}")

    (notice,) = (notice for notice in record.notices if notice.code == "images-turned")
    assert notice.text == "3 test images were rotated by their EXIF orientation; their ground truth must fit that."
    assert notice.count == 3


@pytest.mark.parametrize("limit", [None, 3])
def test_test_images_that_are_training_images_too_are_counted(tmp_path: Path, limit: int | None) -> None:
    write_image_folder(tmp_path / "set", {"train/a": 5, "train/b": 5, "test/a": 2})
    write_image_folder(tmp_path / "set", {"test/b": 2})  # other images
    for number in (0, 1):
        copied = (tmp_path / "set" / "train" / "a" / f"00{number + 3}.png").read_bytes()
        (tmp_path / "set" / "test" / "b" / f"00{number}.png").write_bytes(copied)
    (tmp_path / "set" / "test" / "a" / "000.png").write_bytes(b"P5 1 1 255\n7")
    (tmp_path / "set" / "test" / "a" / "001.png").write_bytes(b"P5 1 1 255\n8")

    words = ["task=classification", "data=image-folder", f"data.root={tmp_path / 'set'}", "data.size=[4,4]"]
    record = run(tmp_path / "run", *words, limit=limit)

    (notice,) = (notice for notice in record.notices if notice.code == "test-files-in-training")
    assert notice.count == (2 if limit is None else 1)
    assert notice.text == (
        f"{notice.count} of {limit or 4} test files are in another split too, such as 'b/000.png' (train: a/003.png); "
        "the score on them says nothing about unseen images."
    )


def test_rows_are_read_back_as_they_were(tmp_path: Path) -> None:
    from pyarrow import parquet

    from mlcvbench.running.scoring import Scored, write_scored

    columns = {
        "unit": np.arange(19),
        "right": np.arange(19) % 3 == 0,
        "share": np.linspace(0, 1, 19, dtype=np.float32),
        "rank": np.arange(19, dtype=np.uint8),
    }
    write_scored(Scored(scorer=None, table=Table(columns), targets={}, values={}), tmp_path)  # type: ignore[arg-type]

    stored = parquet.read_table(tmp_path / "rows.parquet")

    for name, column in columns.items():
        assert stored[name].to_numpy().tolist() == column.tolist()
        assert stored[name].type.to_pandas_dtype() == column.dtype.type


def test_intervals_off_skips_the_replicates(tmp_path: Path) -> None:
    record = run(tmp_path, "intervals=off")

    assert record.metrics["top1"].low is None
    assert record.intervals == {}
    assert not (tmp_path / "replicates.npz").exists()


def test_the_value_lies_inside_its_interval(tmp_path: Path) -> None:
    metric = run(tmp_path, "model=knn").metrics["top1"]

    assert metric.value == pytest.approx(0.9573, abs=1e-4)
    assert metric.low < metric.value < metric.high


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    run(tmp_path / "a", "model=knn")
    run(tmp_path / "b", "model=knn")

    for name in ("predictions.npz", "rows.parquet", "replicates.npz"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize("shards", [2, 7, 1000])
def test_any_number_of_shards_gives_the_same_bits(tmp_path: Path, shards: int) -> None:
    whole = run(tmp_path / "whole", "model=knn")
    parts = run(tmp_path / "parts", "model=knn", f"shards={shards}")

    assert parts.metrics == whole.metrics
    for name in ("predictions.npz", "rows.parquet", "replicates.npz"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()


def test_a_limited_run_is_partial_and_scores_the_first_samples(tmp_path: Path) -> None:
    record = run(tmp_path, "limit=10")

    assert record.partial
    assert record.dataset is not None
    assert record.dataset.n == 10


def test_a_second_run_takes_the_fit_from_the_cache_and_keeps_its_cost(tmp_path: Path) -> None:
    first = run(tmp_path / "a", "model=knn", "model.k=777")
    second = run(tmp_path / "b", "model=knn", "model.k=777", "limit=20")

    assert not first.fit.cached
    assert second.fit.cached
    assert second.fit.seconds == first.fit.seconds
    assert second.model.weights.sha256 == first.model.weights.sha256


def test_an_unknown_protocol_fails_in_the_resolve_stage(tmp_path: Path) -> None:
    config = config_for()
    broken = config.to_dict() | {"definition": config.to_dict()["definition"] | {"protocol": "top1/no-such@1"}}

    record = stages.execute(type(config).from_dict(broken), tmp_path)

    assert record.status == "error"
    assert record.error is not None
    assert record.error.stage == "resolve"
    assert "top1/no-such@1" in record.error.message


def test_a_record_holds_no_path_of_the_machine(tmp_path: Path) -> None:
    record = run(tmp_path, "model=knn")

    text = record.model_dump_json()

    assert str(Path.home()) not in text
    assert str(Path.cwd()) not in text
    assert str(tmp_path) not in text


class Reuser(Model):
    """Returns the same buffer each time, changed afterwards."""

    def __init__(self, problem) -> None:
        super().__init__(problem)
        self.buffer = np.zeros((2, 10), np.float32)

    def forward(self, inputs):
        self.buffer += 1
        return self.buffer[: len(inputs["image"])]

    def postprocess(self, outputs, batch):
        return {"scores": outputs}


def test_a_model_that_reuses_its_buffer_cannot_change_what_was_predicted() -> None:
    from mlcvbench.loading.data import load_data
    from mlcvbench.loading.resolved import resolve

    config = config_for("limit=6")
    task, data = resolve(config).task, load_data(resolve(config))

    got = predicting.predict(Reuser(data.problem), data.splits["test"], task, data.problem, 2)

    assert got["scores"][:, 0].tolist() == [1, 1, 2, 2, 3, 3]


def test_an_empty_split_is_refused() -> None:
    from mlcvbench.loading.data import load_data
    from mlcvbench.loading.resolved import resolve

    config = config_for("limit=2")
    task, data = resolve(config).task, load_data(resolve(config))
    empty = ArraySplit("test", {"image": np.zeros((0, 8, 8), np.uint8)}, {"label": np.zeros(0)}, ids=[])

    with pytest.raises(PredictionError) as error:
        predicting.predict(Reuser(data.problem), empty, task, data.problem, 2)

    assert str(error.value) == "split 'test' has no samples, so there is nothing to predict."


def test_images_that_are_read_are_counted_under_the_name_of_their_stage(tmp_path: Path) -> None:
    root = write_image_folder(tmp_path / "set", {"train/a": 40, "train/b": 40, "test/a": 3})
    seen: list[tuple[str, int, int]] = []
    config = config_for("data=image-folder", f"data.root={root}", "data.size=[4,4]", "model=knn")

    record = stages.execute(config, tmp_path, progress=lambda *said: seen.append(said[:3]))

    assert record.status == "ok"
    reading = seen.index(("read", 64, 80))
    assert seen[reading : reading + 3] == [("read", 64, 80), ("read", 80, 80), ("fit", 0, 1)]


def test_maps_that_are_scored_are_counted(tmp_path: Path) -> None:
    root, seen = write_label_folder(tmp_path / "set", label_maps()), list[tuple[str, int, int]]()
    write_predictions(tmp_path / "out", label_maps())
    (config,) = plan(["task=label-folder", f"data.root={root}"], outside="x", reads=True).configs
    (tmp_path / "run").mkdir()

    score_file(config, "x", tmp_path / "out", tmp_path / "run", progress=lambda *said: seen.append(said[:3]))

    assert {("resolve", place, 3) for place in (1, 2, 3)} < set(seen)
    assert {("score", place, 3) for place in (1, 2, 3)} < set(seen)
