"""`evaluate` takes functions and networks of every task kind; a wrong return says what the kind wants."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import mlcvbench
from mlcvbench.errors import OverrideError, PredictionError, RequestError
from mlcvbench.loading.data import load_data
from mlcvbench.loading.resolved import resolve
from mlcvbench.plan.planning import plan

LIMIT = 6


def truth_of(task: str) -> dict[str, Any]:
    (config,) = plan([f"task={task}", f"limit={LIMIT}"], outside="x").configs
    return dict(load_data(resolve(config)).splits["test"].targets())


def score(model: Any, task: str, **settings: Any) -> Any:
    settings = {"name": "mine", "time": "off", "intervals": False, "limit": LIMIT} | settings
    return mlcvbench.evaluate(model, task, **settings)


def in_turn(answers: Any) -> Any:
    """Return a function that answers with the next of `answers` for each image."""
    place = 0

    def answering(*inputs: Any) -> Any:
        nonlocal place
        place = 0 if place == LIMIT else place  # costs are measured on the first images again
        place += len(inputs[0])
        return answers(place - len(inputs[0]), place)

    return answering


def test_labels_of_images_are_classification() -> None:
    labels = np.asarray(truth_of("digits")["label"])

    record = score(in_turn(lambda start, stop: labels[start:stop]), "digits")

    assert record.metrics["top1"].value == 1
    assert record.metrics["nll"].value is None


@pytest.mark.parametrize("form", ["dict per image", "dict of lists", "tensors"])
def test_boxes_scores_and_labels_are_detection(form: str) -> None:
    truth = truth_of("detection")
    found = []
    for xywh, labels in zip(truth["xywh"], truth["labels"], strict=True):
        boxes = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
        found.append({"boxes": boxes, "scores": np.ones(len(boxes)), "labels": labels})
    if form == "tensors":
        found = [{name: torch.as_tensor(value) for name, value in one.items()} for one in found]

    def answers(start: int, stop: int) -> Any:
        part = found[start:stop]
        return {name: [one[name] for one in part] for name in part[0]} if form == "dict of lists" else part

    record = score(in_turn(answers), "detection")

    assert record.metrics["ap"].value == pytest.approx(1)


@pytest.mark.parametrize("form", ["maps", "list", "scores"])
def test_label_maps_or_scores_of_pixels_are_segmentation(form: str) -> None:
    maps = np.asarray(truth_of("segmentation")["label_map"])
    maps = np.where(maps == 255, 0, maps)

    def answers(start: int, stop: int) -> Any:
        part = maps[start:stop]
        if form == "scores":
            return torch.from_numpy(np.moveaxis(np.eye(7, dtype=np.float32)[part], -1, 1))
        return list(part) if form == "list" else part

    record = score(in_turn(answers), "segmentation")

    assert record.metrics["miou"].value == pytest.approx(1)


def test_embeddings_are_verification_and_cosine_is_said_to_be_assumed() -> None:
    record = score(lambda images: images.reshape(len(images), -1).astype(np.float64) + 1, "verification", limit=None)

    assert [notice.code for notice in record.notices] == ["distance-assumed"]
    assert 0.5 < record.metrics["auc"].value < 1


def test_embeddings_that_name_their_distance_assume_nothing() -> None:
    def embedding(images: np.ndarray) -> dict[str, Any]:
        return {"embedding": images.reshape(len(images), -1).astype(np.float32), "distance": "l2"}

    assert score(embedding, "verification", limit=None).notices == ()


def test_a_function_of_left_and_right_is_stereo() -> None:
    disparity = np.asarray(truth_of("scenes-stereo")["disparity"], dtype=np.float32)
    seen = []

    def answers(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        seen.append((left.shape, right.shape))
        return disparity[: len(left)]

    record = score(answers, "scenes-stereo")

    assert seen[0] == ((LIMIT, 128, 128, 3), (LIMIT, 128, 128, 3))
    assert record.metrics["epe"].value == pytest.approx(0, abs=1 / 256)


def test_a_function_of_one_image_gives_depth() -> None:
    depth = np.asarray(truth_of("scenes-mono")["depth"], dtype=np.float32)

    record = score(lambda images: depth[: len(images)], "scenes-mono")

    assert record.metrics["abs_rel"].value == pytest.approx(0, abs=1e-6)


class Stereo(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv2d(6, 1, 1)

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return self.mix(torch.cat([left, right], dim=1)).abs()[:, 0]


def test_a_network_of_two_images_is_scored_counted_and_known_by_its_weights() -> None:
    record = score(Stereo(), "scenes-stereo")

    assert record.operations.macs == 6 * 128 * 128
    assert record.model.weights.sha256 == record.config["content"]["weights"]


def test_a_network_of_depth_images_gets_metres() -> None:
    seen = []

    class Parts(nn.Module):
        def forward(self, depth: torch.Tensor) -> torch.Tensor:
            seen.append(depth)
            return torch.zeros(len(depth), 11, *depth.shape[2:])

    score(Parts(), "bodies")

    assert tuple(seen[0].shape) == (LIMIT, 1, 96, 96)
    assert seen[0].dtype == torch.float32


WANTED = {
    "digits": "class scores, floats (B, 10), larger for likelier classes, or labels, integers (B,) from 0 to 9; a dict "
    "names them 'scores', 'probabilities' or 'labels'",
    "detection": "for each image a dict of 'boxes', floats (n, 4) as [x1, y1, x2, y2] in pixels, 'scores', floats (n,),"
    " and 'labels', integers (n,) from 0 to 4 (and 'masks', booleans (n, H, W)), or one dict of such lists",
    "segmentation": "label maps, integers (B, H, W) from 0 to 6 in the size of the images (a list where sizes differ), "
    "or class scores per pixel, floats (B, 7, H, W), of which the highest wins; a dict names maps 'label_map'",
    "verification": "embeddings, floats (B, D), which are compared by cosine, or a dict of 'embedding' and 'distance', "
    "one of cosine, l2, l1",
    "scenes-stereo": "disparities in pixels, 0 where there is none, floats (B, H, W) in the size of the images (a list "
    "where sizes differ); a dict names them 'disparity', or 'depth' for depths in metres",
    "scenes-mono": "depths in metres, floats (B, H, W) in the size of the images (a list where sizes differ); a dict "
    "names them 'depth', or 'disparity' for disparities in pixels, 0 where there is none",
}


@pytest.mark.parametrize("task", WANTED)
def test_a_function_that_returns_something_else_is_told_what_is_wanted(task: str) -> None:
    kind = plan([f"task={task}"], outside="x").definition.kind

    with pytest.raises(PredictionError) as caught:
        score(lambda *inputs: None, task, limit=None)

    assert str(caught.value) == f"a model for {kind} returns {WANTED[task]}; got None."


@pytest.mark.parametrize(
    ("task", "answer", "message"),
    [
        ("segmentation", lambda images: {"out": images}, "predictions have no field 'label_map'; got out."),
        ("detection", lambda images: {"boxes": []}, "predictions have no field 'scores'; got boxes."),
        (
            "verification",
            lambda images: {"embedding": np.ones((len(images), 2), np.float32)},
            "field 'distance': wanted one of cosine, l2, l1, got nothing.",
        ),
        (
            "scenes-mono",
            lambda images: {"metres": images},
            "predictions have no field 'disparity' or 'depth'; got metres.",
        ),
    ],
)
def test_a_dict_without_the_column_that_counts_is_refused(task: str, answer: Any, message: str) -> None:
    with pytest.raises(PredictionError) as caught:
        score(answer, task, limit=None)

    assert str(caught.value) == message


def test_how_answers_are_read_is_part_of_the_key_and_of_the_call() -> None:
    record = score(lambda images: np.full((len(images), 10), 0.1), "digits", values="probabilities")

    assert record.config["reading"]["values"] == "probabilities"
    assert record.command == (
        "mlcvbench.evaluate(MODEL, 'digits', name='mine', limit=6, intervals=False, time='off', values='probabilities')"
    )


def test_a_name_of_two_settings_is_refused_with_both_ways_out() -> None:
    with pytest.raises(OverrideError) as caught:
        score(lambda left, right: left, "stereo-folder", root=".", scale=3)

    assert str(caught.value) == (
        "scale= is a setting of data set 'stereo-folder' and of how answers are read; write **{'data.scale': VALUE} "
        "for the data, **{'reading.scale': VALUE} for the answers."
    )


def test_a_setting_of_reading_does_nothing_to_a_model_of_the_contract() -> None:
    class Constant(mlcvbench.Model):
        def forward(self, inputs: Any) -> Any:
            return np.zeros((len(inputs["image"]), 10), np.float32)

        def postprocess(self, outputs: Any, batch: Any) -> Any:
            return {"scores": outputs}

    with pytest.raises(RequestError) as caught:
        score(Constant(None), "digits", values="logits")

    assert str(caught.value) == (
        "values= has no effect on an mlcvbench Model: its stages define its inputs and outputs."
    )


def test_a_strict_evaluation_refuses_what_was_assumed() -> None:
    with pytest.raises(RequestError, match=r"^strict=on: The embeddings did not say how two are compared"):
        score(lambda images: np.ones((len(images), 2)), "verification", limit=None, strict=True)
