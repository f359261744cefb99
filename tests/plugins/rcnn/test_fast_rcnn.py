"""Fast R-CNN: proposals that move with their image, one pass for all of them, and the parameters of VGG-16's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.detecting import average_precision, batch_of, built, objects_of, parameters, predictions_of
from support.fitting import images_batch
from support.regions import beside, model_of, true_answers
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import vgg16

from mlcvbench_rcnn.fast_rcnn import apart, pixels_of, together
from mlcvbench_training.geometry import Changes, augment_batch
from mlcvbench_training.sample_batch import SampleBatch

PUBLISHED = {"backbone": "torchvision:vgg16", "level": 4, "hidden": 4096, "proposals": 2000}


def pictures(*shapes):
    generator = np.random.default_rng(0)
    return [
        np.kron(generator.integers(0, 256, (h // 16, w // 16, 3)), np.ones((16, 16, 1))).astype(np.uint8)
        for h, w in shapes
    ]


@pytest.mark.parametrize("counts", [(1,), (0, 1, 5), (12, 0, 30)], ids=str)
def test_outputs_that_say_the_truth_are_read_as_the_truth(counts):
    model, objects = model_of("fast_rcnn"), objects_of(counts)

    predictions = predictions_of(model, true_answers(objects, 3), len(objects))

    assert [len(boxes) for boxes in predictions["boxes"]] == list(counts)
    assert average_precision(predictions, objects) == pytest.approx(1.0)


def test_proposals_move_with_their_image_and_come_apart_from_its_objects():
    (own,) = objects_of([4])
    proposals = beside(own.boxes)
    batch = SampleBatch({"image": torch.zeros(1, 3, 160, 224)}, objects=[together(own, proposals)])

    mirrored = augment_batch(batch, Changes(flip=1.0), torch.Generator().manual_seed(0))
    (objects,), (regions,) = apart(mirrored.objects)

    assert objects.labels.tolist() == own.labels.tolist()
    assert regions[:, [0, 2]] == pytest.approx(224 - proposals[:, [2, 0]])
    assert regions[:, [1, 3]] == pytest.approx(proposals[:, [1, 3]])


def test_regions_of_a_training_image_are_those_that_are_searched_when_it_is_predicted():
    (image,) = pictures((64, 96))
    shown = SampleBatch({"image": torch.from_numpy(image).permute(2, 0, 1)[None] / 255}, sizes=torch.tensor([[64, 90]]))

    assert np.array_equal(pixels_of(shown), image[:, :90])


def test_the_loss_is_of_its_two_parts_on_64_regions():
    model, objects = built(model_of("fast_rcnn")), objects_of([3, 2])
    learned = [together(own, beside(own.boxes)) for own in objects]
    seen = []

    def network(images, regions):
        seen.extend(len(own) for own in regions)
        return model.module(images, regions)

    losses = model.loss(network, batch_of(learned), torch.Generator().manual_seed(0))

    assert set(losses) == {"loss", "classes", "boxes"}
    assert losses["loss"].item() == pytest.approx((losses["classes"] + losses["boxes"]).item())
    assert seen == [2 * 3, 2 * 2]


def test_the_convolutions_run_once_however_many_regions_there_are():
    network = model_of("fast_rcnn").build().eval()
    image, box = torch.zeros(1, 3, 128, 128), torch.tensor([[8.0, 8.0, 40.0, 40.0]])
    counts = []
    for regions in (1, 11, 21):
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            network(image, [box.repeat(regions, 1)])
        counts.append(counter.get_total_flops() // 2)

    each = sum(layer.weight.numel() for layer in network.head.modules() if isinstance(layer, torch.nn.Linear))
    assert counts[2] - counts[1] == counts[1] - counts[0] == 10 * each


def test_proposals_are_made_before_the_network_runs_and_so_timed_as_preprocessing():
    model = built(model_of("fast_rcnn", proposals=20))

    images, regions = model.preprocess(images_batch(pictures((64, 96), (48, 48))))

    assert images.shape == (2, 3, 64, 96)
    assert [own.shape[1] for own in regions] == [4, 4]
    assert all(0 < len(own) <= 20 for own in regions)


def test_on_vgg_16_it_has_its_layers_and_two_more():
    with torch.device("meta"):
        trunk = vgg16(weights=None)
        trunk.classifier[-1] = torch.nn.Identity()
    siblings = (21 + 4 * 21) * (4096 + 1)

    ours = parameters(model_of("fast_rcnn", 20, **PUBLISHED))

    assert ours == sum(part.numel() for part in trunk.parameters()) + siblings == 134_690_729
