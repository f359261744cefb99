"""Images of any shape: those that are resized, those that are not square, and those whose size nobody knows before."""

from __future__ import annotations

import numpy as np
import pytest
from support.fitting import context, scores_of, split

from mlcvbench.contract import InputSpec, Problem
from mlcvbench.errors import DataError
from mlcvbench.specs import load_target
from mlcvbench_cnn import mlcvbench_models

SPECS = {spec.name: spec for spec in mlcvbench_models()}
UNKNOWN = (None, None, 3)


def build(name: str, shape: tuple[int | None, ...], **params: object):
    spec = SPECS[name]
    problem = Problem("classification", ("a", "b"), {"image": InputSpec(shape)})
    declared = {param.name: param.default for param in spec.params}
    return load_target(spec.target)(problem, **{**declared, "width": 0.05, **params})


def pictures(count: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", ["resnet18", "vgg11"])
def test_training_and_test_images_of_two_sizes_are_brought_to_the_one_that_is_asked_for(name: str):
    import torch
    from torch.nn import functional

    train, test = pictures(4, 50, 40), pictures(3, 36, 45)
    model = build(name, UNKNOWN, size=32)

    model.fit(split(train, [0, 1] * 2), None, context(epochs=1, batch=4))

    pixels = torch.from_numpy(test).permute(0, 3, 1, 2).float() / 255
    resized = functional.interpolate(pixels, size=(32, 32), mode="bilinear", antialias=True)
    resize, network = model.module
    with torch.no_grad():
        assert torch.equal(resize(pixels), resized)
        assert np.allclose(scores_of(model, test), network(resized).numpy(), atol=1e-6)


@pytest.mark.parametrize(("shape", "resized"), [((32, 32, 3), False), ((32, 40, 3), True), ((32, None, 3), True)])
def test_images_are_resized_unless_they_are_known_to_have_that_size(shape: tuple[int | None, ...], resized: bool):
    import torch

    with torch.device("meta"):
        parts = [type(part).__name__ for part in build("resnet18", shape, size=32).build().modules()]

    assert ("Resize" in parts) == resized


def test_images_of_unknown_size_need_one():
    with pytest.raises(DataError) as caught:
        build("resnet18", UNKNOWN, size=0).build()

    assert str(caught.value) == "resnet18: images differ in size; set model.size to have them resized."


def test_images_of_unequal_size_in_one_batch_are_refused():
    model = build("resnet18", UNKNOWN, size=32)

    with pytest.raises(DataError, match=r"^ResNet18 needs images of one size, and these differ\.$"):
        scores_of(model, [pictures(1, 50, 40)[0], pictures(1, 36, 45)[0]])


@pytest.mark.parametrize(
    ("name", "size", "settings"),
    [
        ("vgg11", (40, 72), {}),
        ("alexnet", (40, 72), {"stem": "small"}),
        ("zfnet", (90, 70), {}),
        ("googlenet", (40, 72), {"auxiliary": True}),
        ("googlenet", (16, 40), {"auxiliary": True, "stem": "small"}),
    ],
)
def test_images_that_are_not_square_are_trained_on_as_they_are(
    name: str, size: tuple[int, int], settings: dict[str, object]
):
    images = pictures(4, *size)
    model = build(name, images.shape[1:], size=0, **settings)

    model.fit(split(images, [0, 1] * 2), None, context(epochs=1, batch=4))

    assert scores_of(model, images).shape == (4, 2)
