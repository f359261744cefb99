"""What holds for every segmenter of the family: it learns, answers every pixel of any image, keeps the contract."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.fitting import context, images_batch
from support.segmenting import SPECS, model_of, striped

from mlcvbench.contract import ArraySplit
from mlcvbench.testing import assert_conforms

NAMES = sorted(SPECS)
TINY = {
    "fcn_32s": {"width": 4, "hidden": 16, "zoom": 1},
    "fcn_16s": {"width": 4, "hidden": 16, "zoom": 1},
    "fcn_8s": {"width": 4, "hidden": 16, "zoom": 1},
    "unet": {"width": 4, "levels": 2},
    "deeplab": {"width": 8},
    "patch_window": {"width": 4, "window": 16, "step": 8},
}


def tiny(name: str):
    return TINY.get(name, {})


@pytest.fixture(scope="module")
def stripes() -> ArraySplit:
    """Return 16 images of stripes of three greys, each of a class; a fifth of the pixels is not known."""
    batch = striped(16, 32, unknown=6)
    images = (255 * batch.inputs["image"]).byte().permute(0, 2, 3, 1).numpy()
    return ArraySplit("train", {"image": images}, {"label_map": batch.maps["label_map"].numpy().astype(np.uint8)})


@pytest.fixture(scope="module", params=NAMES)
def fitted(request, stripes):
    """Return a segmenter after a few steps, and its history."""
    model = model_of(request.param, **tiny(request.param))
    report = model.fit(stripes, None, context(epochs=8, batch=8, lr=0.01))
    return model, report.history


def test_the_loss_falls_over_a_few_steps(fitted, request):
    _, history = fitted

    share = 0.97 if request.node.callspec.params["fitted"] == "fcn_32s" else 0.8  # its cells are wider than the stripes
    assert history["loss"][-1] < share * history["loss"][0]


@pytest.mark.parametrize("shapes", [[(16, 16)], [(16, 16), (90, 61), (33, 140), (16, 16)]], ids=str)
def test_every_pixel_of_images_of_any_size_is_answered_the_same_alone_and_together(fitted, shapes):
    model, _ = fitted
    generator = np.random.default_rng(0)
    images = [generator.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in shapes]

    together = model.predict(images_batch(images))["label_map"]

    assert [one.shape for one in together] == shapes
    assert all(one.max() < 3 for one in together)
    (alone,) = model.predict(images_batch(images[-1:]))["label_map"]
    assert (alone == together[-1]).mean() > 0.999


def test_no_image_has_no_map(fitted):
    model, _ = fitted

    assert len(model.predict(images_batch(np.zeros((0, 64, 64, 3), np.uint8)))["label_map"]) == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_without_a_known_pixel_costs_nothing_and_teaches_nothing(name):
    model = model_of(name, **tiny(name))
    network = model.build().train()

    losses = model.loss(network, striped(2, 32, unknown=32), torch.Generator())
    loss = losses if isinstance(losses, torch.Tensor) else losses["loss"]
    loss.backward()

    assert float(loss.detach()) == 0
    assert all(not own.grad.any() for own in network.parameters() if own.grad is not None)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_it_keeps_the_contract(name):
    assert_conforms(name, "segmentation", params=tiny(name))
