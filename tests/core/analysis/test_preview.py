"""`mlcvbench data preview`: what a name means, what is drawn, and one clear line when it cannot be."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from support import pictures

from mlcvbench import DatasetSpec, Param, TaskSpec, hookimpl
from mlcvbench.cli import main
from mlcvbench.registry import Registry, using

DOTS = "support.pictures:load_dots"
LEVEL = Param("level", "str", default="easy", choices=("easy", "hard"))
DEFINITION = "name: hard-dots\nkind: classification\ndata:\n  name: dots\n  level: hard\nprotocol: top1/single-crop@1\n"


def registry(task: str = "Drawing") -> Registry:
    """Return two task kinds that both have the data set `dots`; `classification` also has a broken one."""
    tasks = [
        TaskSpec(
            "classification", f"support.pictures:{task}", "One label.", "digits", package="mlcvbench_classification"
        ),
        TaskSpec("segmentation", "support.pictures:AlsoDrawing", "Labels.", "scenes", package="mlcvbench_segmentation"),
    ]
    datasets = [
        DatasetSpec("dots", ("classification",), DOTS, "Random dots.", params=(LEVEL,)),
        DatasetSpec("dots", ("segmentation",), DOTS, "Random dots."),
        DatasetSpec("broken", ("classification",), "support.pictures:load_broken", "Raises."),
        DatasetSpec("files", ("classification",), DOTS, "Files.", params=(Param("root", "path", required=True),)),
    ]
    plugin = SimpleNamespace(mlcvbench_tasks=hookimpl(lambda: tasks), mlcvbench_datasets=hookimpl(lambda: datasets))
    return Registry.of({"pictures": plugin})


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pictures.LOADED.clear()
    return tmp_path


def files(place: Path) -> list[str]:
    return sorted(path.name for path in place.iterdir())


def preview(*words: str, task: str = "Drawing") -> int:
    with using(registry(task)):
        return main(["data", "preview", *words])


def test_a_sheet_is_written_and_its_place_printed(place, capsys):
    assert preview("dots", "task=classification", "count=5") == 0

    assert capsys.readouterr().out == "wrote preview-dots.png: split test, 20 samples, count=5\n"
    with Image.open(place / "preview-dots.png") as sheet:
        assert sheet.width > 4 * 128
    assert files(place) == ["preview-dots.png"]


def test_a_data_set_of_several_kinds_gives_a_sheet_each(place, capsys):
    assert preview("dots") == 0

    assert capsys.readouterr().out.splitlines() == [
        "wrote preview-dots-classification.png: split test, 20 samples, count=8",
        "wrote preview-dots-segmentation.png: split test, 20 samples, count=8",
    ]


def test_settings_reach_the_kinds_that_declare_them():
    assert preview("dots", "data.level=hard", "data.seed=7") == 0

    assert pictures.LOADED == [("dots", {"level": "hard"}, 7), ("dots", {}, 7)]


def test_a_definition_brings_its_settings(place):
    (place / "hard-dots.yaml").write_text(DEFINITION)

    assert preview("hard-dots.yaml", "out=mine.png") == 0
    assert preview("hard-dots.yaml", "data.level=easy") == 0

    assert [params for _, params, _ in pictures.LOADED] == [{"level": "hard"}, {"level": "easy"}]
    assert files(place) == ["hard-dots.yaml", "mine.png", "preview-hard-dots.png"]


def test_a_sheet_shows_the_chosen_split(place):
    assert preview("dots", "task=classification", "split=train", "count=2", "out=train.png") == 0
    with using(registry()):
        train = pictures.load_dots({}, 0).splits["train"].arrays()[0]["image"]

    sheet = np.asarray(Image.open(place / "train.png"))
    corner = sheet[np.argmax((sheet == train[0, 0, 0]).all(axis=2).any(axis=1)) :]
    grown = train[0].repeat(24, axis=0).repeat(24, axis=1)
    np.testing.assert_array_equal(corner[:192, 16 : 16 + 192], grown)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["dost"], "unknown data set 'dost'. Did you mean 'dots'?"),
        (["dost", "task=segmentation"], "unknown segmentation data set 'dost'. Did you mean 'dots'?"),
        (["dots", "task=segmantation"], "unknown task 'segmantation'. Did you mean 'segmentation'?"),
        (["dots", "split=tset"], "unknown split 'tset'. Did you mean 'test'?"),
        (["dots", "count=0"], "count=0: wanted a whole number from 1 to 200."),
        (["dots", "cuont=3"], "unknown key 'cuont'. Did you mean 'count' or 'out'?"),
        (
            ["dots", "data.levle=hard"],
            "key 'data.levle' has no effect: data set 'dots' declares no such setting. Did you mean 'data.level' or "
            "'data.seed'?",
        ),
        (["dots", "data.level=harder"], "data.level=harder: wanted one of easy or hard."),
        (["files"], "data set 'files' needs data.root=PATH."),
        (["files", "data.root=nowhere"], "data.root={place}/nowhere: no such file or folder."),
        (["dots", "out=x.png"], "out=x.png: 'dots' is a data set of 2 task kinds; say task=classification or "
         "task=segmentation as well."),
        (["broken"], "drawing data set 'broken' failed: KeyError: 'dots'."),
        (["broken", "out=sheet.jpg"], "out=sheet.jpg: wanted the name of a PNG file, such as sheet.png."),
        (["broken", "out=a/b.png"], "out=a/b.png: there is no folder 'a'."),
    ],
)  # fmt: skip
def test_a_wrong_request_is_one_line_and_exit_code_2(words, message, place, capsys):
    assert preview(*words) == 2
    assert capsys.readouterr().err == f"mlcvbench: error: {message.format(place=place)}\n"
    assert files(place) == []


def test_a_folder_in_the_way_is_named(place, capsys):
    (place / "sheet.png").mkdir()

    assert preview("broken", "out=sheet.png") == 2
    assert capsys.readouterr().err == "mlcvbench: error: out=sheet.png: is a folder; choose another file.\n"


def test_a_full_disk_leaves_no_half_a_sheet(place, capsys, monkeypatch):
    def full(self, path, **_):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)

    assert preview("dots", "task=classification") == 2
    assert capsys.readouterr().err == (
        "mlcvbench: error: out=preview-dots.png: cannot be written (No space left on device).\n"
    )
    assert files(place) == []


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("Plain", "task kind classification draws no pictures of its samples, so 'dots' has none."),
        ("Rubbish", "task kind 'classification': preview() gave uint8 (4, 4); wanted Panels of uint8 (H, W, 3)."),
        ("Failing", "drawing data set 'dots' failed: ValueError: no luck."),
    ],
)
def test_a_task_kind_that_does_not_draw_says_so(task, message, capsys):
    assert preview("dots", "task=classification", task=task) == 2
    assert capsys.readouterr().err == f"mlcvbench: error: {message}\n"


def test_a_kind_that_draws_nothing_does_not_stop_the_others(capsys):
    assert preview("dots", task="Plain") == 0
    assert capsys.readouterr().out == "wrote preview-dots-segmentation.png: split test, 20 samples, count=8\n"


def test_its_help_lists_each_key_on_a_line_of_its_own(capsys):
    assert main(["data", "preview", "--help"]) == 0
    assert "    count=8            samples, spread over the split\n" in capsys.readouterr().out
