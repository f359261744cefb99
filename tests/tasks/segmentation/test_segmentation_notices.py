"""What is legal but surely not meant is noticed: labels and predictions that leave classes out."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from click.testing import CliRunner
from support.label_folders import write_each, write_labelled
from support.read_labels import PROTOCOL, maps

from mlcvbench.cli.score import score as command
from mlcvbench.contract import Notice, Problem
from mlcvbench.running import scoring
from mlcvbench_segmentation.scoring import SegmentationScorer

CLASSES = ("sky", "road", "car")


def noticed(labels, guesses, classes=CLASSES, **extra) -> list[Notice]:
    scorer = SegmentationScorer(PROTOCOL, Problem("segmentation", classes, {}, extra))
    return scorer.notices(
        scoring.tabulate(scorer, {"label_map": guesses}, {"label_map": labels}, len(labels), shards=2)
    )


def column(*values: int) -> np.ndarray:
    return np.array([values], np.uint8)


def test_maps_with_every_class_are_not_noticed():
    assert noticed([column(0, 1, 2, 2, 255)], [column(0, 1, 2, 1, 0)]) == []


def test_masks_of_0_and_255_are_recognised_however_few_pixels_they_cover():
    labels = [column(*[0] * 99, 255), column(*[0] * 100)]

    assert noticed(labels, labels[1:] * 2, ("background", "lesion")) == [
        Notice(
            "masks-of-0-and-255",
            "no pixel is labelled lesion and 0.5% are not scored; if the labels are masks of 0 and 255, say "
            "data.label_map=FILE with the lines 0,background and 255,lesion.",
            1,
        )
    ]


def test_classes_without_a_labelled_pixel_are_named():
    assert noticed([column(0, 0, 0)], [column(0, 1, 2)]) == [
        Notice(
            "classes-without-labels",
            "2 of 3 classes have no labelled pixel: road, car; check the class list, data.label_map and data.ignore.",
            2,
        )
    ]


def test_of_many_classes_five_are_named():
    classes = tuple(f"class{index}" for index in range(9))

    (notice,) = noticed([column(0, 1)], [column(0, 1)], classes)

    assert "7 of 9 classes have no labelled pixel: class2, class3, class4, class5, class6 and 2 more; " in notice.text


def test_a_large_share_that_is_not_scored_is_noticed_and_counts_images_without_a_scored_pixel():
    labels = [column(0, 1, 2, 0, 1), column(255, 255)]
    guesses = [column(0, 1, 2, 0, 1), column(0, 1)]

    assert noticed(labels, guesses) == [
        Notice(
            "many-pixels-ignored",
            "28.6% of the pixels are not scored, more than 20%; check data.ignore and data.label_map.",
        )
    ]
    assert noticed([column(0, 1, 2, 0), column(255)], [column(0, 1, 2, 0), column(0)]) == []


def test_data_that_score_few_pixels_on_purpose_are_not_noticed():
    assert noticed([column(0, 1, 2, 255, 255, 255)], [column(0, 1, 2, 0, 0, 0)], sparse=True) == []


def test_predictions_of_one_class_are_noticed():
    assert noticed([column(0, 1, 2)], [column(1, 1, 1)]) == [
        Notice("one-class-predicted", "every scored pixel is predicted as road.", 1)
    ]


def test_labelled_classes_that_are_never_predicted_are_named():
    assert noticed([column(0, 1, 2)], [column(0, 1, 1)]) == [
        Notice("classes-never-predicted", "1 of 3 labelled classes are never predicted: car.", 1)
    ]


def test_an_image_without_a_scored_pixel_changes_no_metric():
    scorer = SegmentationScorer(PROTOCOL, Problem("segmentation", CLASSES, {}))
    labels, guesses = [column(0, 1, 2, 0), column(255, 255)], [column(0, 1, 1, 0), column(0, 2)]

    def values(count: int) -> dict[str, float | None]:
        columns = {"label_map": guesses[:count]}, {"label_map": labels[:count]}
        return scorer.summarise(scoring.tabulate(scorer, *columns, count))

    assert values(2) == values(1)


@pytest.fixture
def painted(tmp_path):
    masks = maps(2, 1)
    root = write_labelled(tmp_path / "set", ("background", "lesion"), [one * 255 for one in masks])
    out = write_each(tmp_path / "out", masks)
    return ["task=label-folder", f"data.root={root}", f"predictions={out}", "as=x", f"out={tmp_path / 'runs'}"]


def test_score_says_it_and_stores_it(painted, tmp_path):
    outcome = CliRunner().invoke(command, [*painted, "intervals=off"])

    assert outcome.exit_code == 0
    assert re.search(r"^  masks-of-0-and-255 +no pixel is labelled lesion and ", outcome.output, flags=re.MULTILINE)
    (file,) = (tmp_path / "runs").glob("*/record.json")
    assert [notice["code"] for notice in json.loads(file.read_text())["notices"]] == ["masks-of-0-and-255"]


def test_how_predictions_were_read_is_part_of_the_stored_command(painted, tmp_path):
    (tmp_path / "map.csv").write_text("0,background\n255,lesion\n")
    words = [*painted, f"data.label_map={tmp_path / 'map.csv'}", "intervals=off", "strict=on"]

    outcome = CliRunner().invoke(command, [*words, "values=indices", "--json"])
    refused = CliRunner().invoke(command, words)

    record = json.loads(outcome.output)
    assert (record["metrics"]["miou"]["value"], record["notices"]) == (1.0, [])
    assert "values=indices" in record["command"].split()
    assert refused.exception.exit_code == 2
    assert str(refused.exception).endswith(
        "values=labels (they are), values=indices (they hold 0 to 1, places in the class list) or prediction_map=FILE."
    )
