"""Darknet's files of weights for YOLOv3: the layers of its cfg in order, its classes by name, wrong sizes refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from support.fitting import images_batch
from support.torchvision_detectors import COCO, pictures, problem

from mlcvbench.errors import RecordError
from mlcvbench_onestage.darknet_file import classes_in, layers_of
from mlcvbench_onestage.yolov3 import YOLOv3

FULL = {"backbone": "darknet53", "width": 128, "finest": 3, "priors": "coco"}
PUBLISHED_BYTES = 248_007_048
"""Of pjreddie's yolov3.weights."""


def layers_of_the_cfg(classes: int) -> list[tuple[int, int, int, bool]]:
    """Return outputs, inputs, side and whether there is a norm of each convolution of yolov3.cfg, in its order."""
    layers = [(32, 3, 3, True)]
    for width, blocks in ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4)):
        layers.append((width, width // 2, 3, True))
        layers += [(width // 2, width, 1, True), (width, width // 2, 3, True)] * blocks
    inside = 1024
    for width in (512, 256, 128):
        layers += [(width, inside, 1, True), (2 * width, width, 3, True)]
        layers += [(width, 2 * width, 1, True), (2 * width, width, 3, True)] * 2
        layers += [(3 * (5 + classes), 2 * width, 1, False)]
        if width > 128:
            layers.append((width // 2, width, 1, True))
        inside = width // 2 + width
    return layers


def write(path: Path, model: YOLOv3, version: tuple[int, int, int] = (0, 2, 0)) -> Path:
    """Write a network as darknet does, by the names of its parts."""
    state = model.module.state_dict()
    backbone = [
        name.removesuffix(".weight") for name in state if name.startswith("backbone") and name.endswith("0.weight")
    ]
    names = [name for name in backbone if state[f"{name}.weight"].ndim == 4]
    for scale in (2, 1, 0):
        names += [f"pyramid.levels.{scale}.{place}.0" for place in range(5)]
        names += [f"heads.{scale}.0.0", f"heads.{scale}.1"]
        names += [f"pyramid.passes.{scale - 1}.0"] if scale else []
    with path.open("wb") as file:
        np.array(version, dtype="<i4").tofile(file)
        np.array([640], dtype="<i8" if version[1] >= 2 else "<i4").tofile(file)
        for name in names:
            norm = f"{name.removesuffix('.0')}.1"
            parts = [f"{name}.bias"]
            if f"{norm}.running_var" in state and not name.endswith(".1"):
                parts = [f"{norm}.{part}" for part in ("bias", "weight", "running_mean", "running_var")]
            for part in (*parts, f"{name}.weight"):
                state[part].numpy().astype("<f4").tofile(file)
    return path


@pytest.fixture(scope="module")
def written() -> YOLOv3:
    return random_model()


def random_model(classes: Sequence[str] = COCO) -> YOLOv3:
    """Return the published network with random weights and norms, whose scores are no longer those of nothing."""
    torch.manual_seed(0)
    model = YOLOv3(problem(classes), **FULL)
    with torch.no_grad():
        for name, values in model.module.state_dict().items():
            if name.endswith("running_var"):
                values.uniform_(0.5, 1.5)
            elif name.endswith("running_mean") or (name.startswith("heads") and name.endswith("1.bias")):
                values.normal_(0, 0.2)
    return model


def test_layers_are_those_of_the_cfg_in_its_order():
    with torch.device("meta"):
        network = YOLOv3(problem(COCO), **FULL).network()

    found = [(*one.convolution.weight.shape[:3], one.norm is not None) for one in layers_of(network)]

    assert len(found) == 75
    assert found == layers_of_the_cfg(80)


def test_the_published_file_has_the_size_that_is_wanted(tmp_path):
    with torch.device("meta"):
        network = YOLOv3(problem(["a", "b"]), **FULL).network()
    path = tmp_path / "yolov3.weights"
    with path.open("wb") as file:
        np.array([0, 2, 0], dtype="<i4").tofile(file)
        file.truncate(PUBLISHED_BYTES)

    assert classes_in(path, network, 2, 80) == 80


@pytest.mark.parametrize("version", [(0, 2, 0), pytest.param((0, 1, 0), marks=pytest.mark.slow)], ids=str)
def test_what_is_read_is_what_was_written_with_the_classes_in_the_order_of_the_data_set(written, tmp_path, version):
    model = YOLOv3(problem(COCO[::-1]), **FULL)

    notices = model.load(write(tmp_path / "random.weights", written, version))

    state = model.module.state_dict()
    for name, values in written.module.state_dict().items():
        if re.fullmatch(r"heads\..\.1\..*", name):
            mine, theirs = (own.reshape(3, 85, -1) for own in (state[name], values))
            assert torch.equal(mine[:, :5], theirs[:, :5])
            assert torch.equal(mine[:, 5:], theirs[:, 5:].flip(1))
        else:
            assert torch.equal(state[name], values)
    assert notices == ()


def test_classes_that_the_file_does_not_know_are_never_found_and_said(written, tmp_path):
    path = write(tmp_path / "random.weights", written)
    model = YOLOv3(problem(["axolotl", "tvmonitor"]), **FULL)

    (notice,) = model.load(path)

    labels = model.predict(images_batch(pictures((64, 96))))["labels"][0]
    assert len(labels)
    assert (labels == 1).all()
    assert notice.text.startswith("random.weights: 1 of the 2 classes are unknown to these weights, which never find")


def test_a_file_of_the_data_sets_own_classes_is_taken_in_their_order(tmp_path):
    written = random_model(["a", "b"])
    model = YOLOv3(problem(["a", "b"]), **FULL)

    assert model.load(write(tmp_path / "own.weights", written)) == ()

    state = model.module.state_dict()
    assert all(torch.equal(values, state[name]) for name, values in written.module.state_dict().items())


def test_a_file_of_another_size_is_refused(tmp_path):
    path = tmp_path / "tiny.weights"
    np.zeros(10, dtype="<i4").tofile(path)

    with pytest.raises(RecordError) as caught:
        YOLOv3(problem(["a", "b"]), **FULL).load(path)

    assert str(caught.value) == (
        "tiny.weights: wanted a file of darknet for YOLOv3 of 248,007,044 for 80 classes or 246,326,924 for 2 classes "
        "in bytes, got 40."
    )


@pytest.mark.parametrize("length", [0, 5, 11])
def test_a_file_shorter_than_a_header_is_refused(tmp_path, length):
    path = tmp_path / "tiny.weights"
    path.write_bytes(bytes(length))

    with pytest.raises(RecordError, match=rf"^tiny\.weights: wanted a header of darknet, got {length} bytes\.$"):
        YOLOv3(problem(["a", "b"]), **FULL).load(path)


def test_another_network_does_not_take_it(tmp_path):
    path = tmp_path / "yolov3.weights"
    path.write_bytes(b"")

    with pytest.raises(
        RecordError,
        match=re.escape(
            "yolov3.weights: darknet's file is for model.backbone=darknet53 model.width=128 model.finest=3 and images "
            "in colour."
        ),
    ):
        YOLOv3(problem(["a", "b"])).load(path)
