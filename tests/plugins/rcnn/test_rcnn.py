"""R-CNN: the published network, learning, images of any size, and what is fitted apart from the network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.detecting import built, parameters
from support.fitting import context, images_batch
from support.regions import SPECS, model_of
from torchvision.models import alexnet

from mlcvbench.errors import RequestError
from mlcvbench.specs import Chosen, load_target
from mlcvbench.testing import assert_conforms
from mlcvbench.testing.toy import toy_data
from mlcvbench_networks.detection.box_coding import encode_deltas
from mlcvbench_rcnn.rcnn import Rcnn
from mlcvbench_rcnn.region_learning import Prices

FULL = {"backbone": "alexnet", "size": 227, "context": 16, "count": 2000}
SMALL = {"size": 32, "context": 4, "width": 32, "count": 60, "mode": "single", "negatives": 200}


@pytest.fixture(scope="module")
def toy():
    return toy_data("detection")


@pytest.fixture(scope="module")
def fitted(toy):
    """Return R-CNN after a few steps on toy data, and its history."""
    data = next(iter(toy.values()))
    model = load_target(SPECS["rcnn"].target)(
        data.problem, **{param.name: param.default for param in SPECS["rcnn"].params} | SMALL
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as `one_thread` has it, which begins with the tests
    report = model.fit(data.splits["train"], None, context(epochs=4, batch=8, lr=0.004))
    torch.set_num_threads(threads)
    return model, report.history


def test_at_full_size_it_is_alexnet_with_a_layer_for_the_classes_and_background():
    model = model_of("rcnn", 20, **FULL)

    assert parameters(model) == 61_100_840 - 4097 * 1000 + 4097 * 21
    assert isinstance(model, Rcnn)
    assert (model.size, model.context) == (227, 16)
    network = model.build()
    assert network.svm.shape == (20, 4096)
    assert network.ridge.shape == (20, 4, 9216)


def test_svms_and_regressions_count_as_learned():
    model = built(model_of("rcnn", 3, width=32))

    counts = model.parameters()

    assert counts.trainable == parameters(model) + 3 * (32 + 1) + 3 * 4 * (4 * 128 + 1)
    assert counts.buffers == sum(part.numel() for part in model.module.buffers()) - 3 * 33 - 12 * 513


@pytest.mark.slow
def test_at_full_size_a_region_of_227_pixels_is_described_by_pool5_and_fc7():
    network = model_of("rcnn", 20, **FULL).build().eval()

    with torch.inference_mode():
        described = network.describe(torch.zeros(1, 3, 227, 227))

    assert described.pooled.shape == (1, 9216)
    assert described.features.shape == (1, 4096)


@pytest.mark.slow
def test_it_begins_with_published_weights_of_torchvision(tmp_path):
    published = alexnet(weights=None)
    torch.save(published.state_dict(), tmp_path / "alexnet.pth")
    model = built(model_of("rcnn", 20, **FULL, backbone_weights=str(tmp_path / "alexnet.pth")))

    (notice,) = model._begin()

    trunk = model.module.trunk
    assert "classifier.6" in notice.text
    assert torch.equal(trunk.features[0].weight, published.features[0].weight)
    assert torch.equal(trunk.classifier[4].weight, published.classifier[4].weight)


def test_the_loss_falls_over_a_few_steps(fitted):
    _, history = fitted

    assert history["loss"][-1] < 0.7 * history["loss"][0]


def test_classifiers_and_regressions_are_fitted_apart_from_the_network(fitted):
    network = fitted[0].module

    assert network.svm.abs().sum(dim=1).all()
    assert network.ridge.abs().sum(dim=(1, 2)).all()
    assert not any(part.requires_grad for part in (network.svm, network.ridge))
    assert 0.1 < network.mean.mean() < 0.9


def test_it_finds_the_objects_of_toy_pictures(fitted, toy):
    batch, targets = next(iter(toy.values())).splits["test"].read(slice(0, 12))

    found = fitted[0].predict(batch)

    best = [
        iou_with(boxes[:5], xywh).max()
        for boxes, xywh in zip(found["boxes"], targets["xywh"], strict=True)
        if len(xywh) and len(boxes)
    ]
    assert np.median(best) > 0.7


@pytest.mark.parametrize("classifier", ["svm", "softmax"])
def test_a_region_is_scored_by_what_is_asked_for(fitted, classifier):
    model = fitted[0]
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    boxes = np.array([[4, 4, 30, 40], [0, 0, 64, 48]], dtype=np.float32)
    _, features = model.features_of(image, boxes)
    wanted = {
        "svm": torch.sigmoid(torch.from_numpy(features) @ model.module.svm.T + model.module.svm_bias),
        "softmax": model.module.logits(torch.from_numpy(features)).softmax(dim=1)[:, 1:],
    }[classifier].detach()

    before, model.classifier = model.classifier, classifier
    with torch.inference_mode():
        judged = model._judged(model.module, image, boxes)
    model.classifier = before

    assert torch.allclose(judged.scores, wanted, atol=1e-6)


def test_the_box_of_a_class_is_the_proposal_moved_by_its_regression(fitted):
    model = fitted[0]
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    boxes = np.array([[4, 4, 30, 40]], dtype=np.float32)
    pooled, _ = model.features_of(image, boxes)

    with torch.inference_mode():
        moved = model._judged(model.module, image, boxes).boxes[0]

    for label in range(3):
        deltas = model.module.ridge[label].numpy() @ pooled[0] + model.module.ridge_bias[label].numpy()
        assert encode_deltas(moved[label], torch.from_numpy(boxes[0])).numpy() == pytest.approx(deltas, abs=1e-4)


@pytest.mark.parametrize("shapes", [[(16, 16)], [(300, 420)], [(16, 16), (90, 61), (33, 140)]], ids=str)
def test_images_of_any_size_are_looked_at_also_together(fitted, shapes):
    model, _ = fitted
    generator = np.random.default_rng(0)
    images = [generator.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in shapes]

    together = model.predict(images_batch(images))

    for place, (height, width) in enumerate(shapes):
        alone = model.predict(images_batch([images[place]]))
        for name, column in together.items():
            assert np.array_equal(column[place], alone[name][0])
        assert (together["boxes"][place] >= 0).all()
        assert (together["boxes"][place] <= [width, height, width, height]).all()
        assert len(together["proposals"][place]) <= 60


def test_no_image_has_no_objects(fitted):
    found = fitted[0].predict(images_batch(np.zeros((0, 64, 64, 3), np.uint8)))

    assert found == {"boxes": [], "scores": [], "labels": [], "proposals": []}


def test_windows_in_place_of_proposals_are_a_network_on_sliding_windows():
    model = built(model_of("rcnn", proposals="windows", **SMALL))

    found = model.predict(images_batch(np.zeros((1, 64, 64, 3), np.uint8)))

    assert len(found["proposals"][0]) == 60
    sides = found["proposals"][0][:, 2:] - found["proposals"][0][:, :2]
    assert set((sides[:, 1] / sides[:, 0]).round(2)) == {0.5, 1.0, 2.0}


@pytest.mark.slow
def test_a_photograph_of_2000x1500_pixels_is_looked_at():
    model = built(model_of("rcnn", **SMALL))
    photograph = np.random.default_rng(0).integers(0, 256, (1, 1500, 2000, 3), dtype=np.uint8)

    (boxes,) = model.predict(images_batch(photograph))["boxes"]

    assert (boxes >= 0).all()
    assert (boxes <= [2000, 1500, 2000, 1500]).all()


@pytest.mark.parametrize("name", ["images of unequal size", "no object in any image", "200 objects in an image"])
def test_hard_training_sets_are_learned_from(toy, name):
    data = toy[name]
    declared = {param.name: param.default for param in SPECS["rcnn"].params}
    model = load_target(SPECS["rcnn"].target)(data.problem, **declared | SMALL)

    report = model.fit(data.splits["train"], None, context(epochs=1, batch=4))

    assert np.isfinite(report.history["loss"]).all()
    assert model.prices == Prices(0.001, 1000.0, 200, 1)


def test_a_context_that_leaves_nothing_is_refused():
    params = {param.name: param.default for param in SPECS["rcnn"].params}
    check = load_target(SPECS["rcnn"].check)

    check(Chosen("rcnn", "detection", params, {}))
    with pytest.raises(
        RequestError, match=r"rcnn: model.context=24 on both sides leaves nothing of model.size=48; wan"
    ):
        check(Chosen("rcnn", "detection", params | {"context": 24}, {}))


@pytest.mark.slow
def test_it_keeps_the_contract():
    assert_conforms("rcnn", "detection", params=SMALL)


def iou_with(boxes: np.ndarray, xywh: np.ndarray) -> np.ndarray:
    corners = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
    low = np.maximum(boxes[:, None, :2], corners[:, :2])
    high = np.minimum(boxes[:, None, 2:], corners[:, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = [(some[:, 2:] - some[:, :2]).prod(axis=1) for some in (boxes, corners)]
    return shared / (areas[0][:, None] + areas[1] - shared)
