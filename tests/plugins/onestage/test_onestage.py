"""What holds for every detector of the family: it learns, takes any image, keeps the contract, says what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.detecting import assert_learned_from, batch_of, built, objects_of
from support.fitting import context, images_batch
from support.onestage import SPECS, model_of

from mlcvbench.testing import assert_conforms
from mlcvbench.testing.toy import toy_data
from mlcvbench_networks.backbones import backbone

NAMES = sorted(SPECS)
FORMS = [name for name in NAMES if name not in {"efficientdet_d1", "efficientdet_d2"}]  # these are d0 with more of it


def tiny(name):
    """Return settings of a network that is small in tests."""
    return {"width": 16} if "width" in {param.name for param in SPECS[name].params} else {}


@pytest.fixture(scope="module", params=FORMS)
def fitted(request):
    """Return a detector after a few steps on toy data, and its history."""
    data = next(iter(toy_data("detection").values()))
    model = model_of(request.param, len(data.problem.classes), **tiny(request.param))
    report = model.fit(data.splits["train"], None, context(epochs=6, batch=8, lr=0.003))
    return model, report.history


def test_the_loss_falls_over_a_few_steps(fitted):
    _, history = fitted

    assert history["loss"][-1] < 0.7 * history["loss"][0]


@pytest.mark.parametrize("shapes", [[(16, 16)], [(300, 420)], [(16, 16), (90, 61), (33, 140)]], ids=str)
def test_images_of_any_size_are_looked_at_also_together(fitted, shapes):
    model, _ = fitted
    generator = np.random.default_rng(0)
    images = [generator.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in shapes]

    together, alone = model.predict(images_batch(images)), [model.predict(images_batch([one])) for one in images]

    for place, (height, width) in enumerate(shapes):
        boxes, scores = together["boxes"][place], together["scores"][place]
        assert len(boxes) == len(scores) == len(together["labels"][place]) <= 100
        assert (boxes >= 0).all()
        assert (boxes <= [width, height, width, height]).all()
        assert (np.diff(scores) <= 0).all()
        assert len(alone[place]["boxes"][0]) <= 100


def test_no_image_has_no_objects(fitted):
    model, _ = fitted

    assert model.predict(images_batch(np.zeros((0, 64, 64, 3), np.uint8))) == {"boxes": [], "scores": [], "labels": []}


@pytest.mark.parametrize("name", FORMS)
def test_it_starts_from_the_backbone_of_another_network_and_leaves_its_frozen_stages_alone(name, tmp_path):
    torch.save(backbone("small").state_dict(), tmp_path / "small.pth")
    data = next(iter(toy_data("detection").values()))
    settings = {"backbone_weights": str(tmp_path / "small.pth"), "freeze": 2}
    model = model_of(name, len(data.problem.classes), **tiny(name), **settings)

    report = model.fit(data.splits["train"], None, context(epochs=1, batch=8, lr=0.003))

    given = torch.load(tmp_path / "small.pth", weights_only=True)
    own = model.module.backbone.state_dict()
    changed = {key.split(".")[1] for key, value in given.items() if not torch.equal(value, own[key])}
    assert changed == {"2", "3"}  # the stem and the two finest stages stay, norms included
    assert [notice.code for notice in report.notices] == []


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("counts", [(0,), (1,), (0, 0), (0, 1, 200)], ids=str)
def test_no_object_one_and_200_are_learned_from(name, counts):
    assert_learned_from(built(model_of(name, **tiny(name))), objects_of(counts, side=12.0))


@pytest.mark.parametrize("name", FORMS)
def test_what_is_to_be_ignored_is_neither_an_object_nor_background(name):
    model = built(model_of(name, **tiny(name)))
    network = model.module.eval()
    (objects,) = objects_of([3])
    ignored = type(objects)(objects.boxes, objects.labels, torch.ones(3, dtype=torch.bool))
    nobody = objects_of([0])

    spared, empty = (model.loss(network, batch_of(truth), torch.Generator()) for truth in ([ignored], nobody))

    assert 0 < spared["loss"] < empty["loss"]


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMS)
def test_a_photograph_of_2000x1500_pixels_is_looked_at(name):
    model = built(model_of(name, **tiny(name)))
    photograph = np.random.default_rng(0).integers(0, 256, (1, 1500, 2000, 3), dtype=np.uint8)

    (boxes,) = model.predict(images_batch(photograph))["boxes"]

    assert (boxes >= 0).all()
    assert (boxes <= [2000, 1500, 2000, 1500]).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMS)
def test_it_keeps_the_contract(name):
    assert_conforms(name, "detection", params=tiny(name))
