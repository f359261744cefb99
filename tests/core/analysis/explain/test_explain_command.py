"""`mlcvbench explain RUN`: from a stored run to pictures and numbers, and one clear line where that cannot be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.runs import stored_run

from mlcvbench.analysis.explain.explaining import _file_of
from mlcvbench.cli import main
from mlcvbench.records.schema import Record
from mlcvbench.storage import cache
from mlcvbench.storage.digests import content_hash

SETTINGS = ("model=small_cnn", "fit.epochs=2", "model.width=8", "model.stages=2")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Record, Path]:
    return stored_run(tmp_path_factory.mktemp("runs"), *SETTINGS)


@pytest.fixture(scope="module")
def neighbours(tmp_path_factory: pytest.TempPathFactory) -> tuple[Record, Path]:
    return stored_run(tmp_path_factory.mktemp("runs"), "model=knn", "limit=30")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def states(record: Record, *, own: bool) -> list[Path]:
    """Return the stored states in the cache that are, or are not, the record's weights."""
    digest = record.model.weights.sha256
    folders = [folder / "state" for folder in cache.entries("fits")]
    return [folder for folder in folders if (content_hash(folder) == digest) == own]


def stored_scores(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "predictions.npz") as file:
        return dict(zip(file["ids"].tolist(), file["scores"].astype(np.float64), strict=True))


def test_samples_are_drawn_and_their_numbers_written(run, place, capsys):
    record, folder = run

    assert main(["explain", str(folder), "sample=1000,1265", "features=3", "out=why"]) == 0

    assert sorted(path.name for path in (place / "why").iterdir()) == ["1000.png", "1265.png", "explain.json"]
    document = json.loads((place / "why/explain.json").read_text())
    assert (document["run"], document["model"]) == (record.run_id, "small_cnn")
    first = document["samples"][0]
    assert (first["file"], first["id"], first["truth"], first["layer"]) == ("1000.png", "1000", "1", "13")
    assert len(first["features"]) == 3
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"wrote why/1000.png: is '1', read as {first['prediction']!r} ({first['probability']:.3f})"
    with Image.open(place / "why/1000.png") as sheet:
        assert sheet.width > 5 * 192  # the image, the occlusion map, three projections


def test_the_predictions_are_those_of_the_run(run, place):
    _, folder = run

    main(["explain", str(folder), "count=3", "out=why"])

    scores = stored_scores(folder)
    for sample in json.loads((place / "why/explain.json").read_text())["samples"]:
        powers = np.exp(scores[sample["id"]] - scores[sample["id"]].max())
        assert sample["prediction"] == str(powers.argmax())
        assert sample["probability"] == pytest.approx(powers.max() / powers.sum(), abs=1e-5)


def test_equal_requests_write_equal_bytes(run, place):
    _, folder = run
    for out in ("a", "b"):
        main(["explain", str(folder), "count=1", f"out={out}"])

    assert (place / "a/1000.png").read_bytes() == (place / "b/1000.png").read_bytes()
    assert (place / "a/explain.json").read_bytes() == (place / "b/explain.json").read_bytes()


def test_occlusion_watches_the_truth_when_told_to_and_takes_window_and_step(run, place):
    _, folder = run

    main(["explain", str(folder), "count=1", "show=occlusion", "class=truth", "window=4", "step=2", "out=why"])

    (sample,) = json.loads((place / "why/explain.json").read_text())["samples"]
    assert sample["occlusion"]["class"] == sample["truth"]
    assert sample["occlusion"]["tops"] == sample["occlusion"]["lefts"] == [0, 2, 4]
    assert np.shape(sample["occlusion"]["drops"]) == (3, 3)
    assert (sample["layer"], sample["features"]) == (None, [])


def test_any_classifier_has_an_occlusion_map(neighbours, place):
    record, folder = neighbours

    assert main(["explain", str(folder), "show=occlusion", "count=2"]) == 0

    written = place / f"explain-{record.run_id}"
    assert sorted(path.name for path in written.iterdir()) == ["1000.png", "1029.png", "explain.json"]


def test_a_chosen_layer_is_projected(run, place):
    _, folder = run

    main(["explain", str(folder), "count=1", "show=deconvnet", "layer=2", "out=why"])

    (sample,) = json.loads((place / "why/explain.json").read_text())["samples"]
    assert sample["layer"] == "2"
    assert sample["occlusion"] is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sample=zzz"], "unknown sample 'zzz'. Known: 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007, ..."),
        (["layer=99"], "unknown layer '99'. Did you mean '9'?"),
        (["layers=1"], "unknown key 'layers'. Did you mean 'layer' or 'class'?"),
        (["count=0"], "count=0: wanted a whole number from 1 to 50."),
        (["count=2", "sample=1000"], "key 'count' has no effect beside sample=."),
        (["show=occlusion", "layer=2"], "key 'layer' has no effect with show=occlusion."),
        (["show=deconvnet", "window=2"], "key 'window' has no effect with show=deconvnet."),
        (["window=9"], "window=9: wanted at most the image's shorter side, 8."),
        (
            ["show=occlusion", "window=2", "step=5"],
            "step=5: wanted at most the side of the square, 2, so that it hides every pixel.",
        ),
        (["step=3"], "step=3: wanted at most the side of the square, 2, so that it hides every pixel."),
        (["weights=nowhere"], "weights={place}/nowhere: no such file or folder."),
    ],
)
def test_a_wrong_request_is_one_line_and_leaves_nothing(words, message, run, place, capsys):
    assert main(["explain", str(run[1]), *words]) == 2
    assert capsys.readouterr().err == f"mlcvbench: error: {message.format(place=place)}\n"
    assert list(place.iterdir()) == []


def test_a_method_without_a_network_has_no_deconvnet(neighbours, place, capsys):
    assert main(["explain", str(neighbours[1])]) == 2
    assert capsys.readouterr().err == (
        "mlcvbench: error: model 'knn' is not a torch network, so it has no deconvnet; use show=occlusion.\n"
    )
    assert list(place.iterdir()) == []


def test_weights_that_are_gone_can_be_made_again_or_given(run, place, capsys, monkeypatch):
    record, folder = run
    shutil.copytree(states(record, own=True)[0], place / "kept")
    monkeypatch.setattr("mlcvbench.plan.given_weights.cache.entries", lambda *_: [])

    assert main(["explain", str(folder)]) == 2
    assert capsys.readouterr().err == (
        f"mlcvbench: error: the fitted weights of run {record.run_id!r} are not in the cache; fit them again with "
        f"`{record.command} out=refit` and explain that run, or give weights=PATH.\n"
    )
    assert main(["explain", str(folder), f"weights={place / 'kept'}", "count=1"]) == 0


def test_other_weights_are_refused(run, neighbours, place, capsys):
    other, *_ = states(run[0], own=False)

    assert main(["explain", str(run[1]), f"weights={other}"]) == 2
    assert capsys.readouterr().err == (
        f"mlcvbench: error: state: these are not the weights of run {run[0].run_id!r} (their sha256 differs).\n"
    )


def test_a_failed_run_and_one_of_outside_predictions_have_nothing_to_explain(run, place, capsys):
    record, _ = run
    for change, message in (
        ({"status": "error"}, "record {id!r} has status 'error', so there is nothing to explain."),
        (
            {"config": {**record.config, "model": "theirs"}},
            "run {id!r}: no plugin has its model 'theirs', so there is nothing to explain.",
        ),
    ):
        copy = place / "copy"
        copy.mkdir(exist_ok=True)
        (copy / "record.json").write_text(record.model_copy(update=change).model_dump_json())

        assert main(["explain", str(copy)]) == 2
        assert capsys.readouterr().err == f"mlcvbench: error: {message.format(id=record.run_id)}\n"


def test_a_run_of_another_task_kind_is_refused(tmp_path, place, capsys):
    _, folder = stored_run(tmp_path / "other", "task=motorcycle", "model=constant_depth")

    assert main(["explain", str(folder), "show=occlusion"]) == 2
    assert capsys.readouterr().err.endswith("(depth) has no image classes, so there is nothing to explain.\n")


def test_colour_images_are_explained_too(tmp_path, place):
    generator = np.random.default_rng(0)
    for split, count in (("train", 6), ("test", 2)):
        for name, channel in (("red", 0), ("green", 1)):
            folder = place / "pictures" / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                image = generator.integers(0, 90, (16, 16, 3), dtype=np.uint8)
                image[4:12, 4:12, channel] += 160
                Image.fromarray(image).save(folder / f"{number}.png")
    data = f"data.root={place / 'pictures'}"
    _, folder = stored_run(tmp_path / "runs", "data=image-folder", data, "data.size=[16,16]", *SETTINGS)

    assert main(["explain", str(folder), data, "count=1", "out=why"]) == 0

    (sample,) = json.loads((place / "why/explain.json").read_text())["samples"]
    assert (sample["id"], sample["file"], sample["truth"]) == ("green/0.png", "green-0.png", "green")
    assert sample["features"]
    with Image.open(place / "why" / sample["file"]) as sheet:
        pixels = np.asarray(sheet).astype(int)
    assert (np.ptp(pixels[-150:, -150:], axis=2) > 30).any()  # the projection has colours


def test_the_alexnet_of_2012_is_explained_through_its_groups_and_norms(tmp_path, place):
    settings = ("model.variant=2012", "model.stem=small", "model.size=16", "model.width=0.06", "fit.epochs=1")
    _, folder = stored_run(tmp_path / "runs", "model=alexnet", *settings, "limit=5")

    assert main(["explain", str(folder), "count=1", "show=deconvnet", "layer=1.0.9", "out=why"]) == 0

    (sample,) = json.loads((place / "why/explain.json").read_text())["samples"]
    assert sample["layer"] == "1.0.9"
    assert sample["features"]


def test_files_are_named_after_ids_and_never_twice():
    taken: set[str] = set()

    names = [_file_of(one, taken) for one in ("a/b", "a-b", "a.b.PNG", "../../x", "é")]

    assert names == ["a-b.png", "a-b-2.png", "a.b.png", "-..-x.png", "-.png"]


def test_its_help_lists_each_key_on_a_line_of_its_own(capsys):
    assert main(["explain", "--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n    {key}=" in out for key in ("sample", "show", "layer", "window", "out", "weights"))
    assert max(map(len, out.splitlines())) <= 80
