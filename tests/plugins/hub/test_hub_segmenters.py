"""Segmenters of torchvision by name: what torchvision itself says, of the data set's classes; nothing is fetched."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from support.fitting import context, images_batch
from support.segmenting import problem, striped
from support.torchvision_segmenters import bare, random_state, said_by, torchvisions_own, voc_categories
from torch.nn import functional
from torchvision import models

from mlcvbench.contract import ArraySplit
from mlcvbench.errors import RecordError, RequestError
from mlcvbench.plan.planning import plan
from mlcvbench.registry import get_registry
from mlcvbench_hub.torchvision_segmenters import TorchvisionSemantic, _stages, names

LIGHT = "lraspp_mobilenet_v3_large"
VOC = tuple(voc_categories())
PARAMETERS = {
    "fcn_resnet50": (32_957_013, 35_322_218),
    "fcn_resnet101": (51_949_141, 54_314_346),
    "deeplabv3_resnet50": (39_638_869, 42_004_074),
    "deeplabv3_resnet101": (58_630_997, 60_996_202),
    "deeplabv3_mobilenet_v3_large": (11_025_477, 11_029_328),
    "lraspp_mobilenet_v3_large": (3_221_538, 3_221_538),
}
"""Without and with the second classifier, which published weights have."""


@cache
def weights_of(name: str) -> dict[str, torch.Tensor]:
    return random_state(name)


def given(name: str, path: Path, classes: tuple[str, ...] = VOC, **settings: object):
    """Return the segmenter with random weights in the form of published ones, and what was said of them."""
    torch.save(weights_of(name), path / "published.pth")
    model = TorchvisionSemantic(problem(classes), name, **settings)
    return model, model.load(path / "published.pth")


def picture(height: int, width: int) -> torch.Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "name", [name if name == LIGHT else pytest.param(name, marks=pytest.mark.slow) for name in names()]
)
def test_it_says_what_torchvision_says_with_the_same_weights(name, tmp_path):
    image, classes = picture(64, 96), VOC[::-1]
    model, notices = given(name, tmp_path, classes, size=64)

    logits = model.forward(image)

    wanted = said_by(torchvisions_own(name, weights_of(name)), image)
    assert torch.allclose(logits, wanted.flip(1), atol=1e-4 * float(wanted.abs().max()))
    assert len(logits.argmax(1).unique()) > 2
    assert notices == ()


def test_every_segmenter_of_torchvision_has_a_name():
    assert sorted(PARAMETERS) == sorted(names())


@pytest.mark.parametrize(
    "name", [name if "50" in name else pytest.param(name, marks=pytest.mark.slow) for name in sorted(PARAMETERS)]
)
def test_parameters_are_the_published_ones(name):
    alone, with_second = PARAMETERS[name]
    with torch.device("meta"):
        networks = [
            TorchvisionSemantic(problem(21), name, auxiliary=second) for second in {False, alone != with_second}
        ]
        counts = [sum(own.numel() for own in network.network().parameters()) for network in networks]

    assert counts == sorted({alone, with_second})
    assert with_second == models.get_model_weights(name).DEFAULT.meta["num_params"]


def test_images_are_resized_as_torchvision_does_and_answers_brought_back(tmp_path):
    model, _ = given(LIGHT, tmp_path, size=64)
    image = picture(96, 144)

    logits = model.forward(image)

    transforms = models.get_model_weights(LIGHT).DEFAULT.transforms
    with torch.inference_mode():
        seen = transforms(resize_size=64)(image)
        wanted = torchvisions_own(LIGHT, weights_of(LIGHT))(seen)["out"]
    assert seen.shape == (1, 3, 64, 96)
    wanted = functional.interpolate(wanted, (96, 144), mode="bilinear")
    assert torch.allclose(logits, wanted, atol=1e-3 * float(wanted.abs().max()))


def test_the_usual_size_is_torchvisions():
    transforms = models.get_model_weights(LIGHT).DEFAULT.transforms()

    assert [TorchvisionSemantic(problem(2), LIGHT).size] == transforms.resize_size


def test_classes_are_found_by_name_and_what_is_not_known_is_said(tmp_path):
    model, (notice,) = given(LIGHT, tmp_path, ("unicorn", "TVmonitor", "background"), size=64)

    logits = model.forward(picture(64, 64))

    wanted = said_by(torchvisions_own(LIGHT, weights_of(LIGHT)), picture(64, 64))
    kept = wanted[:, [VOC.index("tvmonitor"), 0]]
    assert torch.allclose(logits[:, 1:], kept, atol=1e-4 * float(kept.abs().max()))
    assert (logits[:, 0] < -1e3).all()
    assert (notice.code, notice.count) == ("weights-of-other-classes", 1)


def test_weights_that_know_none_of_the_classes_are_refused(tmp_path):
    with pytest.raises(RecordError, match=r"^published\.pth: knows none of the classes ground, wall, but 21 others"):
        given(LIGHT, tmp_path, ("ground", "wall"))


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    torch.save({"backbone.0.0.weight": torch.zeros(2)}, tmp_path / "other.pth")

    with pytest.raises(RecordError) as caught:
        TorchvisionSemantic(problem(2), LIGHT).load(tmp_path / "other.pth")

    assert str(caught.value) == (
        "other.pth: tensor 'backbone.0.0.weight': wanted shape (16, 3, 3, 3), got (2,); wanted a checkpoint of "
        f"torchvision:{LIGHT}, of the 21 classes that torchvision publishes or of these 2."
    )


def test_without_weights_it_is_trained_stored_and_read_back_also_on_grey_images_of_unequal_size(tmp_path):
    batch = striped(8, 48)
    images = list((255 * batch.inputs["image"][:, 0]).byte().numpy())
    images[0] = images[0][:40]
    labels = [
        own[: len(image)].numpy().astype(np.uint8) for own, image in zip(batch.maps["label_map"], images, strict=True)
    ]
    split = ArraySplit("train", {"image": images}, {"label_map": labels})
    model, again = (TorchvisionSemantic(problem(3, channels=1), LIGHT, size=64) for _ in range(2))

    report = model.fit(split, None, context(epochs=4, batch=4, lr=0.003))
    model.save(tmp_path)
    again.load(tmp_path)

    first, second = (one.predict(images_batch(images))["label_map"] for one in (model, again))
    assert report.history["loss"][-1] < report.history["loss"][0]
    assert [one.shape for one in first] == [image.shape for image in images]
    assert all(np.array_equal(one, two) for one, two in zip(first, second, strict=True))


@pytest.mark.slow
def test_the_second_classifier_is_trained_beside_and_published_weights_may_bring_it(tmp_path):
    model, _ = given("deeplabv3_mobilenet_v3_large", tmp_path, auxiliary=True, size=64)

    losses = model.loss(model.module.train(), striped(2, 64), torch.Generator())
    losses["loss"].backward()

    numbers = {key: float(value.detach()) for key, value in losses.items()}
    assert numbers["loss"] == pytest.approx(numbers["last"] + 0.5 * numbers["auxiliary"])
    assert model.module.network.aux_classifier[4].weight.grad.any()


def test_a_published_checkpoint_is_fine_tuned_with_a_new_classifier_and_a_frozen_backbone(tmp_path):
    path = tmp_path / "published.pth"
    torch.save(weights_of(LIGHT), path)
    model = TorchvisionSemantic(problem(3), LIGHT, size=64, backbone_weights=str(path), freeze=4)
    batch = striped(4, 64)
    images = (255 * batch.inputs["image"]).byte().permute(0, 2, 3, 1).numpy()
    split = ArraySplit("train", {"image": images}, {"label_map": batch.maps["label_map"].numpy().astype(np.uint8)})

    report = model.fit(split, None, context(epochs=1, batch=4))

    own, state = model.stored_module().state_dict(), weights_of(LIGHT)
    assert all(torch.equal(own[name], state[name]) for name in state if name.startswith("backbone."))
    assert own["classifier.low_classifier.bias"].shape == (3,)
    assert "Learned from scratch: classifier.low_classifier.weight" in report.notices[0].text


def test_a_checkpoint_of_the_backbone_alone_is_a_beginning_too(tmp_path):
    torch.manual_seed(5)
    classifier = models.mobilenet_v3_large(weights=None).state_dict()
    torch.save(classifier, tmp_path / "imagenet.pth")
    model = TorchvisionSemantic(problem(3), LIGHT, backbone_weights=str(tmp_path / "imagenet.pth"))
    module = model.build()

    (notice,) = model.begin(module)

    assert "classifier.0.bias" in notice.text
    assert torch.equal(module.network.state_dict()["backbone.0.0.weight"], classifier["features.0.0.weight"])


@pytest.mark.parametrize(("name", "channels"), [(LIGHT, [24, 40, 112, 960]), ("fcn_resnet50", [256, 512, 1024, 2048])])
def test_the_stages_that_freeze_counts_are_those_of_the_backbone(name, channels):
    maps = list(_stages(bare(name).backbone))

    assert [one.shape[1] for one in maps] == channels
    assert [one.shape[2] for one in maps[:2]] == [16, 8]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (
            [f"model=torchvision:{LIGHT}", "model.auxiliary=true"],
            f"torchvision:{LIGHT} has no auxiliary classifier; model.auxiliary is for those of FCN and DeepLabv3.",
        ),
        (
            ["model=torchvision:deeplabv3_resnet50", "fit.batch=1"],
            "torchvision:deeplabv3_resnet50: steps of one image cannot train it, for its mean of the map leaves batch "
            "norm one number a channel; set fit.batch=2 or more, and another fit.optimizer than online_gd.",
        ),
    ],
)
def test_what_a_network_cannot_do_is_refused_before_anything_starts(words, text):
    with pytest.raises(RequestError) as caught:
        plan(["task=scenes-semantic", *words])

    assert str(caught.value) == text


def test_a_name_means_the_network_of_the_task_kind():
    assert get_registry().model(f"torchvision:{LIGHT}", "segmentation").spec.kinds == ("segmentation",)
