"""What R-CNN fits on features: SVMs with hard negatives, and ridge regression of boxes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou

from mlcvbench_networks.detection.box_coding import decode_deltas, encode_deltas
from mlcvbench_rcnn.region_learning import Fitted, Learner, Prices, Seen
from mlcvbench_training.sample_batch import Objects

CLASSES, FEATURES = 3, 6
OBJECT = np.array([20.0, 20, 40, 40], dtype=np.float32)


def near(generator: np.random.Generator, count: int, reach: float) -> np.ndarray:
    """Return boxes around that of the object, whose corners are up to `reach` pixels off."""
    return (OBJECT + generator.uniform(-reach, reach, (count, 4))).astype(np.float32)


def images(labels: list[int], ignored: bool = False, seed: int = 0) -> list[Seen]:
    """Return an image for each label, with one object of it, and proposals near to it and far."""
    generator = np.random.default_rng(seed)
    seen = []
    for place, label in enumerate(labels):
        far = generator.uniform(0, 60, (30, 2))
        boxes = np.concatenate([far, far + generator.uniform(4, 30, (30, 2))], axis=1).astype(np.float32)
        objects = Objects(torch.from_numpy(OBJECT[None]), torch.tensor([label]), torch.tensor([ignored]))
        picture = np.full((64, 64, 3), place, dtype=np.uint8)
        seen.append(Seen(picture, objects, np.concatenate([near(generator, 20, 4.0), boxes])))
    return seen


def described(seen: list[Seen]):
    """Return features that say the overlap with the object of its class, and a map that holds the way to it."""

    def describe(image: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        objects = seen[int(image[0, 0, 0])].objects
        given = torch.from_numpy(boxes)
        overlap = box_iou(given, objects.boxes)[:, 0].numpy()
        features = np.random.default_rng(len(boxes)).normal(0, 0.1, (len(boxes), FEATURES)).astype(np.float32)
        features[:, int(objects.labels[0])] += overlap
        pooled = encode_deltas(objects.boxes.expand_as(given), given).numpy()
        return np.concatenate([pooled, features], axis=1).astype(np.float32), features

    return describe


def learn(seen: list[Seen], **changes: float) -> Fitted:
    prices = Prices(**{"c": 1.0, "ridge": 1e-6, "negatives": 20, "rounds": 2, **changes})
    return Learner(lambda: iter(seen), len(seen), described(seen), CLASSES, prices, 0, FEATURES + 4).run()


def test_objects_of_a_class_are_on_its_side_and_others_are_not():
    seen = images([0, 1, 0, 1, 1, 0])

    fitted = learn(seen)

    for one in seen:
        label = int(one.objects.labels[0])
        _, features = described(seen)(one.image, OBJECT[None])
        margins = (features @ fitted.svm.T + fitted.svm_bias)[0]
        assert margins[label] > 0
        assert margins[1 - label] < 0


def test_after_hard_negatives_fewer_regions_without_an_object_are_inside_the_margin():
    seen = images([0, 1] * 6)
    inside = []

    for rounds in (0, 3):
        fitted = learn(seen, negatives=2, rounds=rounds)
        wrong = 0
        for image, objects, proposals in seen:
            _, features = described(seen)(image, proposals)
            beside = box_iou(torch.from_numpy(proposals), objects.boxes)[:, 0].numpy() < 0.3
            margins = features @ fitted.svm.T + fitted.svm_bias
            wrong += int((margins[beside][:, :2] > -1).sum())
        inside.append(wrong)

    assert inside[1] < inside[0] / 2


def test_a_class_without_objects_is_never_there():
    fitted = learn(images([0, 1]))

    assert not fitted.svm[2].any()
    assert fitted.svm_bias[2] == -20
    assert not fitted.ridge[2].any()
    assert not fitted.ridge_bias[2].any()


def test_ignored_objects_teach_nothing_and_what_overlaps_them_is_no_negative():
    seen = images([0, 1, 0, 1]) + [one._replace(image=one.image + 4) for one in images([2, 2], ignored=True, seed=1)]

    fitted = learn(seen)

    assert not fitted.svm[2].any()
    assert not fitted.ridge[2].any()


def test_without_any_object_nothing_is_found():
    fitted = learn(images([0, 0], ignored=True))

    assert (fitted.svm_bias == -20).all()
    assert not fitted.svm.any()


def test_the_way_to_the_object_that_the_map_holds_is_learned_exactly():
    seen = images([0, 1, 0, 1])
    fitted = learn(seen)
    boxes = near(np.random.default_rng(9), 5, 3.0)

    pooled, _ = described(seen)(seen[1].image, boxes)
    deltas = pooled @ fitted.ridge[1].T + fitted.ridge_bias[1]

    found = decode_deltas(torch.from_numpy(deltas), torch.from_numpy(boxes))
    assert found.numpy() == pytest.approx(np.tile(OBJECT, (5, 1)), abs=0.05)


def test_more_expensive_coefficients_are_smaller():
    cheap, dear = (np.abs(learn(images([0, 0, 0]), ridge=price).ridge[0]).sum() for price in (1e-3, 1e3))

    assert dear < cheap
