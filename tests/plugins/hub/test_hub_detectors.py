"""Detectors of torchvision by name: what torchvision itself says, of the data set's classes; nothing is fetched."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from support.detecting import batch_of, objects_of
from support.fitting import context
from support.regions import masked
from support.torchvision_detectors import (
    COCO,
    pictures,
    predicted,
    problem,
    random_state,
    said_by,
    sizes_of,
    stored,
    torchvisions_own,
)
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models

from mlcvbench.errors import RecordError, RequestError, UnknownNameError
from mlcvbench.plan.planning import plan
from mlcvbench.registry import get_registry
from mlcvbench.testing.toy import toy_data
from mlcvbench_hub.torchvision_detectors import detector, names
from mlcvbench_networks.detection.categories import NO_CLASS

LIGHT = "ssdlite320_mobilenet_v3_large"
TWO_STAGES = "fasterrcnn_mobilenet_v3_large_320_fpn"
LARGE = ("retinanet_resnet50_fpn", "fcos_resnet50_fpn", "maskrcnn_resnet50_fpn", "ssd300_vgg16")
FAMILIES = [LIGHT, TWO_STAGES, *(pytest.param(name, marks=pytest.mark.slow) for name in LARGE)]
"""One network of each architecture that is trained."""
REVERSED = tuple(reversed(COCO))
QUICK = [LIGHT, TWO_STAGES, "retinanet_resnet50_fpn"]
SHAPES = ((48, 64), (80, 50))
PARAMETERS = {
    "retinanet_resnet50_fpn": (34_068_119, 34_014_999),
    "fcos_resnet50_fpn": (32_322_720, 32_269_600),
    "fasterrcnn_resnet50_fpn": (41_808_406, 41_755_286),
    "maskrcnn_resnet50_fpn": (44_454_513, 44_401_393),
    "fasterrcnn_mobilenet_v3_large_fpn": (19_410_754, 19_386_354),
    "ssdlite320_mobilenet_v3_large": (3_440_060, 3_440_060),
    "ssd300_vgg16": (35_641_826, 35_641_826),
}
"""Of the random network with 91 outputs, and with the norms that are frozen when weights are given."""
NINETY = [f"class {number}" for number in range(90)]
NINETY_ONE = [f"class {number}" for number in range(91)]


@cache
def weights_of(name: str) -> dict[str, torch.Tensor]:
    return random_state(name)


def given(name: str, path: Path, classes=REVERSED, **settings):
    """Return the detector with random weights in the form of published ones, read from a file."""
    model = detector(problem(classes, masks="mask" in name), name, **sizes_of(name), **settings)
    return model, model.load(stored(weights_of(name), path / "published.pth"))


def classes_of(name: str) -> tuple[str, ...]:
    return ("person",) if name.startswith("keypoint") else REVERSED


def parameters(network: torch.nn.Module) -> int:
    return sum(own.numel() for own in network.parameters())


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in names()]
)
def test_it_finds_what_torchvision_finds_with_the_same_weights(name, tmp_path):
    classes, images = classes_of(name), pictures(*SHAPES)
    model, _ = given(name, tmp_path, classes)
    network = torchvisions_own(name, weights_of(name))
    categories = models.get_model_weights(name).DEFAULT.meta["categories"]

    found = predicted(model, images)

    for place, said in enumerate(said_by(network, images)):
        kept = [
            number
            for number, (label, box) in enumerate(zip(said["labels"], said["boxes"], strict=True))
            if categories[label] not in NO_CLASS and (box[2:] > box[:2]).all()
        ]
        assert kept
        assert [categories[said["labels"][number]] for number in kept] == [classes[n] for n in found["labels"][place]]
        assert np.allclose(found["scores"][place], said["scores"][kept], atol=1e-5)
        assert np.allclose(found["boxes"][place], said["boxes"][kept], atol=1e-4)
        if "masks" in said and "mask" in name:
            assert np.array_equal(found["masks"][place], said["masks"][kept][:, 0] > 0.5)


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_the_published_ones(name):
    one = int(not name.startswith(("retinanet", "fcos")))
    with torch.device("meta"):
        own = detector(problem(NINETY if one else NINETY_ONE), name)._network(91, frozen=False)
        frozen = detector(problem(["person"]), name)._network(91, frozen=True)

    assert (parameters(own), parameters(frozen)) == PARAMETERS[name]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "side", "macs"),
    [
        ("retinanet_resnet50_fpn", 800, 151.54e9),
        ("fcos_resnet50_fpn", 800, 128.21e9),
        ("ssd300_vgg16", 300, 34.86e9),
        ("ssdlite320_mobilenet_v3_large", 320, 0.583e9),
    ],
)
def test_it_makes_the_multiply_adds_of_the_catalogue(name, side, macs):
    network = detector(problem(COCO), name)._network(91, frozen=True).eval()

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network([torch.rand(3, side, side, generator=torch.Generator().manual_seed(0))])

    assert counter.get_total_flops() / 2 == pytest.approx(macs, rel=1e-3)


def test_its_size_of_images_is_torchvisions_unless_another_is_asked_for():
    with torch.device("meta"):
        usual = detector(problem(["a"]), "retinanet_resnet50_fpn").network().transform
        asked = detector(problem(["a"]), "retinanet_resnet50_fpn", min_size=128, max_size=200).network().transform

    assert (usual.min_size, usual.max_size) == ((800,), 1333)
    assert (asked.min_size, asked.max_size) == ((128,), 200)


def test_classes_are_those_of_the_data_set_and_what_it_lacks_is_left_out_and_said(tmp_path):
    model, notices = given(LIGHT, tmp_path, ("unicorn", "TVmonitor", "person"))
    everything, _ = given(LIGHT, tmp_path, tuple(COCO))

    found, every = (predicted(one, pictures((60, 60))) for one in (model, everything))

    kept = np.isin(every["labels"][0], [COCO.index("tv"), COCO.index("person")])
    assert 0 < kept.sum() < len(kept)
    assert [("unicorn", "tv", "person")[label] for label in found["labels"][0]] == [
        COCO[label] for label in every["labels"][0][kept]
    ]
    assert [(one.code, one.count, one.text) for one in notices] == [
        (
            "weights-of-other-classes",
            1,
            "published.pth: 1 of the 3 classes are unknown to these weights, which never find them: unicorn; what they "
            "find of 78 classes that the data set does not have is left out.",
        )
    ]


def test_all_classes_of_coco_in_any_order_need_no_notice(tmp_path):
    assert given(LIGHT, tmp_path)[1] == ()


def test_weights_that_know_none_of_the_classes_are_refused(tmp_path):
    with pytest.raises(RecordError, match=r"^published\.pth: knows none of the classes cube, cone, but 80 others"):
        given(LIGHT, tmp_path, ("cube", "cone"))


def test_a_checkpoint_of_the_data_sets_own_classes_is_taken_as_it_is(tmp_path):
    torch.manual_seed(3)
    theirs = models.get_model(TWO_STAGES, weights=None, weights_backbone=None, num_classes=3, **sizes_of(TWO_STAGES))
    model = detector(problem(["b", "a"]), TWO_STAGES, **sizes_of(TWO_STAGES))
    images = pictures((48, 64))

    notices = model.load(stored(theirs.state_dict(), tmp_path / "own.pth"))

    said, found = said_by(theirs.eval(), images), predicted(model, images)
    assert notices is None
    assert len(said[0]["boxes"])
    assert np.array_equal(found["labels"][0], said[0]["labels"].numpy() - 1)
    assert np.allclose(found["scores"][0], said[0]["scores"], atol=1e-5)


@pytest.mark.parametrize(
    ("name", "new", "old"),
    [
        ("maskrcnn_resnet50_fpn", r"mask_head\.(\d)\.0\.", lambda found: f"mask_head.mask_fcn{int(found[1]) + 1}."),
        ("maskrcnn_resnet50_fpn", r"_blocks\.(\d)\.0\.", r"_blocks.\1."),
        ("maskrcnn_resnet50_fpn", r"rpn\.head\.conv\.0\.0\.", "rpn.head.conv."),
        ("retinanet_resnet50_fpn", r"_head\.conv\.(\d)\.0\.", lambda found: f"_head.conv.{2 * int(found[1])}."),
    ],
)
def test_names_of_published_checkpoints_are_brought_up_to_date(name, new, old):
    from mlcvbench_hub.detector_checkpoints import of_today

    with torch.device("meta"):
        state = models.get_model(name, weights=None, weights_backbone=None).state_dict()
    earlier = {re.sub(new, old, key): values for key, values in state.items()}

    assert earlier.keys() != state.keys()
    assert of_today(earlier, frozenset(state)).keys() == state.keys()


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    model = detector(problem(COCO), LIGHT)

    with pytest.raises(RecordError) as caught:
        model.load(stored({"backbone.body.0.weight": torch.zeros(2)}, tmp_path / "other.pth"))

    assert re.fullmatch(
        r"other\.pth: tensor '.*': wanted shape \(.*\), got nothing; wanted a checkpoint of torchvision:ssdlite320_"
        r"mobilenet_v3_large, of the 91 categories that torchvision publishes or of 81 for these classes\.",
        str(caught.value),
    )


@pytest.mark.parametrize("name", [*FAMILIES, pytest.param("keypointrcnn_resnet50_fpn", marks=pytest.mark.slow)])
def test_images_of_any_size_are_looked_at_also_together(name, tmp_path):
    model, _ = given(name, tmp_path)
    images = pictures((16, 16), (90, 61), (33, 140), (16, 16))

    together, alone = predicted(model, images), [predicted(model, [image]) for image in images]

    for place, image in enumerate(images):
        height, width = image.shape[:2]
        boxes = together["boxes"][place]
        assert (boxes >= 0).all()
        assert (boxes <= [width, height, width, height]).all()
        assert (np.diff(together["scores"][place]) <= 0).all()
        assert np.array_equal(together["labels"][place], alone[place]["labels"][0])
        assert np.array_equal(boxes, alone[place]["boxes"][0])


def test_no_image_has_no_objects_and_grey_ones_are_shown_in_colour(tmp_path):
    model = detector(problem(COCO, channels=1), LIGHT)
    model.load(stored(weights_of(LIGHT), tmp_path / "published.pth"))

    assert predicted(model, np.zeros((0, 64, 64), np.uint8)) == {"boxes": [], "scores": [], "labels": []}
    assert len(predicted(model, np.zeros((2, 64, 64), np.uint8))["boxes"]) == 2


@pytest.mark.slow
@pytest.mark.parametrize("name", [*FAMILIES, "keypointrcnn_resnet50_fpn"])
def test_a_photograph_of_2000x1500_pixels_is_looked_at(name, tmp_path):
    model, _ = given(name, tmp_path)

    (boxes,) = predicted(model, pictures((1500, 2000)))["boxes"]

    assert len(boxes)
    assert (boxes <= [2000, 1500, 2000, 1500]).all()


def test_without_weights_it_is_trained_by_torchvisions_losses_stored_and_read_back(tmp_path):
    data = next(iter(toy_data("detection").values()))
    model, again = (detector(data.problem, TWO_STAGES, **sizes_of(TWO_STAGES)) for _ in range(2))
    batch, _ = data.splits["test"].read(slice(0, 2))

    report = model.fit(data.splits["train"].take(range(4)), None, context(epochs=5, batch=4, lr=0.001))
    model.save(tmp_path)
    again.load(tmp_path)

    history = report.history
    parts = ["box_reg", "classifier", "objectness", "rpn_box_reg"]
    assert sorted(history) == sorted([*parts, "loss", "lr"])
    assert sum(history[name][0] for name in parts) == pytest.approx(history["loss"][0], rel=1e-5)
    assert history["loss"][-1] < 0.9 * history["loss"][0]
    first, second = model.predict(batch), again.predict(batch)
    assert all(np.array_equal(one, two) for name in first for one, two in zip(first[name], second[name], strict=True))


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("counts", [(0, 0), (1, 200)], ids=str)
def test_no_object_one_and_200_are_learned_from(name, counts):
    model = detector(problem(["a", "b", "c"], masks="mask" in name), name, **sizes_of(name))
    model.module = model.build()
    objects = masked(objects_of(counts, side=12.0))

    losses = model.loss(model.module.train(), batch_of(objects), torch.Generator())
    losses["loss"].backward()

    assert all(torch.isfinite(value) for value in losses.values())
    assert all(torch.isfinite(own.grad).all() for own in model.module.parameters() if own.grad is not None)


def test_a_published_checkpoint_is_fine_tuned_with_a_new_classifier_and_a_frozen_backbone(tmp_path):
    path = stored(weights_of(TWO_STAGES), tmp_path / "published.pth")
    data = next(iter(toy_data("detection").values()))
    model = detector(data.problem, TWO_STAGES, **sizes_of(TWO_STAGES), backbone_weights=str(path), freeze=4)

    report = model.fit(data.splits["train"].take(range(4)), None, context(epochs=1, batch=4))

    own, state = model.module.state_dict(), weights_of(TWO_STAGES)
    kept = [name for name in own if name.startswith("backbone.body")]
    assert kept
    assert all(torch.equal(own[name], state[name]) for name in kept)
    assert own["roi_heads.box_predictor.cls_score.bias"].shape == (len(data.problem.classes) + 1,)
    assert [notice.text for notice in report.notices] == [
        f"published.pth: 4 of its {len(state)} tensors are left out, since there is no place for them here: "
        "roi_heads.box_predictor.bbox_pred.bias, roi_heads.box_predictor.bbox_pred.weight, roi_heads.box_predictor."
        "cls_score.bias, roi_heads.box_predictor.cls_score.weight. Learned from scratch: roi_heads.box_predictor."
        "cls_score.weight, roi_heads.box_predictor.cls_score.bias, roi_heads.box_predictor.bbox_pred.weight, "
        "roi_heads.box_predictor.bbox_pred.bias."
    ]


def test_a_checkpoint_of_the_backbone_alone_is_a_beginning_too(tmp_path):
    torch.manual_seed(5)
    classifier = models.mobilenet_v3_large(weights=None).state_dict()
    path = stored(classifier, tmp_path / "imagenet.pth")
    model = detector(problem(["a"]), TWO_STAGES, **sizes_of(TWO_STAGES), backbone_weights=str(path))
    module = model.build()

    (notice,) = model.begin(module)

    assert "classifier.0.bias" in notice.text
    assert torch.equal(module.state_dict()["backbone.body.0.0.weight"], classifier["features.0.0.weight"])


def test_the_detector_of_joints_is_not_trained():
    data = next(iter(toy_data("detection").values()))

    with pytest.raises(RequestError) as caught:
        detector(data.problem, "keypointrcnn_resnet50_fpn").fit(data.splits["train"], None, context())

    assert str(caught.value) == (
        "torchvision:keypointrcnn_resnet50_fpn learns joints, which no data set has; give it weights=FILE."
    )


@pytest.mark.parametrize("setting", ["model.min_size=200", "model.max_size=400"])
def test_sizes_of_a_network_that_has_one_are_refused_before_anything_starts(setting):
    with pytest.raises(RequestError) as caught:
        plan(["task=scenes", f"model=torchvision:{LIGHT}", setting])

    assert str(caught.value) == (
        f"torchvision:{LIGHT} takes images of one size alone, to which it resizes them; leave model.min_size and "
        "model.max_size out."
    )


def test_a_shorter_side_that_is_longer_than_any_may_be_is_refused_before_anything_starts():
    name = "torchvision:fasterrcnn_resnet50_fpn"

    with pytest.raises(RequestError) as caught:
        plan(["task=scenes", f"model={name}", "model.min_size=300", "model.max_size=100"])

    assert str(caught.value) == (
        f"{name}: model.min_size=300 has no effect, since no side may be longer than model.max_size=100; set a larger "
        "one."
    )


def test_a_name_means_the_network_of_the_task_kind():
    registry = get_registry()

    assert registry.model(f"torchvision:{LIGHT}").spec.kinds == ("detection",)
    assert registry.model("torchvision:resnet18").spec.kinds == ("classification",)
    with pytest.raises(UnknownNameError, match=r"^unknown torchvision:NAME model 'resnet18'"):
        registry.model("torchvision:resnet18", "detection")
