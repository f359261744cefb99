"""ArcFace: its loss is that of its head, its networks are the published ones, and their checkpoints are read."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from support.embedding import TINY, model_of, multiply_adds, photos
from support.fitting import context, images_batch

from mlcvbench.errors import RecordError, RequestError
from mlcvbench_metric_learning.iresnet import IResNet
from mlcvbench_networks.embedding.arcface import ArcFace
from mlcvbench_training.sample_batch import SampleBatch


def test_it_learns_by_the_angular_margin_of_its_settings():
    model = model_of("arcface", **TINY, scale=16.0, margin=0.3)
    model.beside = head = model.head(5)
    points, labels = torch.randn(6, 8), torch.arange(6) % 5

    loss = model.loss(lambda images: points, SampleBatch({"image": torch.zeros(6, 3, 32, 32)}, labels=labels), None)

    assert isinstance(head, ArcFace)
    assert (head.scale, head.margin, tuple(head.weight.shape)) == (16.0, 0.3, (5, 8))
    assert float(loss.detach()) == float(head(points, labels).detach())


def test_class_weights_are_learned_and_neither_stored_nor_counted(tmp_path):
    model = model_of("arcface", **TINY)
    model.fit(photos(), None, context(epochs=1, batch=12))

    model.save(tmp_path)

    again = model_of("arcface", **TINY)
    again.load(tmp_path)
    batch = images_batch(photos().arrays()[0]["image"])
    assert again.predict(batch)["embedding"] == pytest.approx(model.predict(batch)["embedding"])
    assert model.parameters().trainable == sum(part.numel() for part in model.network().parameters())


@pytest.mark.parametrize(
    ("depth", "parameters"), [(18, 24_025_600), (34, 34_139_328), (50, 43_590_848), (100, 65_156_160)]
)
def test_the_networks_are_the_published_ones_to_the_parameter(depth, parameters):
    with torch.device("meta"):
        network = IResNet(depth)

    assert sum(part.numel() for part in network.parameters()) == parameters


def test_of_100_layers_it_makes_the_multiply_adds_of_the_catalogue():
    with torch.device("meta"):
        network = IResNet(100)

    assert multiply_adds(network, 112) == pytest.approx(12.1e9, rel=0.01)


def test_a_checkpoint_of_these_layers_is_read_as_it_is_published(tmp_path):
    torch.manual_seed(0)
    given = IResNet(18, size=32, dimensions=16).eval()
    names = list(given.state_dict())
    save_file(given.state_dict(), str(tmp_path / "backbone.safetensors"))
    model = model_of("arcface_r18", size=32, dimensions=16)

    model.load(tmp_path / "backbone.safetensors")

    assert {"conv1.weight", "bn1.weight", "prelu.weight", "layer1.0.bn3.bias", "layer4.0.downsample.1.bias"} < {*names}
    assert {"bn2.running_var", "fc.bias", "features.weight"} < {*names}
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    with torch.no_grad():
        wanted = given(torch.from_numpy(images).permute(0, 3, 1, 2) / 255)
    assert model.predict(images_batch(images))["embedding"] == pytest.approx(wanted.numpy(), abs=1e-4)


def test_a_checkpoint_of_other_layers_is_refused_by_the_tensor(tmp_path):
    save_file(IResNet(18, size=32, dimensions=16).state_dict(), str(tmp_path / "backbone.safetensors"))

    with pytest.raises(RecordError, match=r"^backbone\.safetensors: tensor 'layer1\.2\."):
        model_of("arcface_r34", size=32, dimensions=16).load(tmp_path / "backbone.safetensors")


def test_a_size_that_its_strides_do_not_divide_is_refused():
    with pytest.raises(RequestError, match=r"^arcface_r50: model\.size=100: wanted a multiple of 16, such as 112\.$"):
        model_of("arcface_r50", size=100)
