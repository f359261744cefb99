"""The settings `backbone`, `backbone_weights` and `freeze` of every network on a base."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from mlcvbench.contract import ArraySplit, Device, FitContext, InputSpec, Problem
from mlcvbench.errors import RecordError, RequestError, UnknownNameError
from mlcvbench_networks.backbone_params import backbone_params
from mlcvbench_networks.backbones import backbone
from mlcvbench_networks.bases.embedder import Embedder
from mlcvbench_networks.embedding.losses import contrastive


class Faces(Embedder):
    """Embeds by the mean of the deepest map."""

    def network(self) -> nn.Module:
        return Network(self.new_backbone())

    def loss(self, network: Any, batch: Any, generator: torch.Generator) -> torch.Tensor:
        return contrastive(network(batch.inputs["image"]), batch.labels)


class Network(nn.Module):
    def __init__(self, backbone: Any) -> None:
        super().__init__()
        self.backbone, self.last = backbone, nn.Linear(backbone.channels[3], 4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.last(self.backbone(images)[3].mean((2, 3)))


class Flat(Faces):
    """Has no backbone."""

    def network(self) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(32 * 32 * 3, 4))


PROBLEM = Problem("verification", (), {"image": InputSpec((32, 32, 3))})


def fit(model: Faces, **settings: Any):
    images = np.random.default_rng(0).integers(0, 255, (16, 32, 32, 3)).astype(np.uint8)
    split = ArraySplit("train", {"image": images}, {"identity": np.repeat(np.arange(4), 4)})
    ctx = FitContext(seed=0, device=Device(), settings={"epochs": 1, "batch": 8, **settings})
    return model.fit(split, None, ctx)


def stored(path: Path, name: str = "small", **further: torch.Tensor) -> dict[str, torch.Tensor]:
    """Store a backbone as a training script would, within a network that also has `further` tensors."""
    torch.manual_seed(5)
    state = {key: tensor.clone() for key, tensor in backbone(name).state_dict().items()}
    torch.save({"state_dict": {f"module.backbone.{key}": tensor for key, tensor in state.items()} | further}, path)
    return state


def test_a_spec_declares_them_in_one_go():
    default, weights, freeze = backbone_params("darknet53")

    assert (default.name, default.default) == ("backbone", "darknet53")
    assert (weights.name, weights.type) == ("backbone_weights", "path")  # so that its content is part of a run's key
    assert (freeze.name, freeze.default, freeze.low, freeze.high) == ("freeze", 0, 0, 4)


def test_a_fit_starts_from_the_weights_of_a_file_and_says_what_it_left_out(tmp_path: Path):
    state = stored(tmp_path / "coco.pth", **{"module.head.weight": torch.ones(80, 128)})
    model = Faces(PROBLEM, backbone_weights=str(tmp_path / "coco.pth"))

    report = fit(model, lr=1e-9)

    own = model.module.backbone.state_dict()
    assert all(torch.allclose(own[key], state[key], atol=1e-5) for key in state if key.endswith(".weight"))
    assert [(notice.code, notice.count) for notice in report.notices] == [("weights-left-out", 1)]
    assert report.notices[0].text.endswith("no place for them here: head.weight.")


@pytest.mark.parametrize("stages", [1, 4])
def test_frozen_stages_come_out_of_a_fit_as_they_were_in_the_file(stages: int, tmp_path: Path):
    state = stored(tmp_path / "a.pth")
    model = Faces(PROBLEM, backbone_weights=str(tmp_path / "a.pth"), freeze=stages)

    fit(model, lr=0.1)

    own = model.module.backbone.state_dict()
    still = {key for key in state if torch.equal(own[key], state[key])}
    early = ("stem.", *(f"stages.{number}." for number in range(stages)))
    assert {key for key in state if key.startswith(early)} <= still
    assert ("stages.3.0.residual.0.weight" in still) == (stages == 4)
    assert model.parameters().frozen == sum(own.numel() for own in model.module.parameters() if not own.requires_grad)
    assert model.parameters().frozen > 0


def test_a_frozen_network_is_the_same_when_it_is_loaded(tmp_path: Path):
    model, again = Faces(PROBLEM, freeze=2), Faces(PROBLEM, freeze=2)
    fit(model)
    model.save(tmp_path)

    again.load(tmp_path)

    assert again.parameters() == model.parameters()


def test_weights_are_read_for_a_fit_alone_so_that_a_fitted_model_needs_no_file(tmp_path: Path):
    model = Faces(PROBLEM, backbone_weights=str(tmp_path / "gone.pth"))

    assert model.parameters().trainable > 0


def test_the_backbone_is_the_one_that_was_asked_for():
    assert sum(own.numel() for own in Faces(PROBLEM).module.backbone.parameters()) == 445_032
    assert Faces(PROBLEM, backbone="torchvision:resnet18").module.backbone.channels == (64, 128, 256, 512)
    with pytest.raises(UnknownNameError):
        Faces(PROBLEM, backbone="smal").build()


def test_weights_of_another_backbone_are_refused_in_one_line(tmp_path: Path):
    stored(tmp_path / "a.pth")
    model = Faces(PROBLEM, backbone="torchvision:resnet18", backbone_weights=str(tmp_path / "a.pth"))

    with pytest.raises(
        RecordError, match=r"^a\.pth: tensor 'maps\.conv1\.weight': wanted shape .*, got nothing; it has 0 "
    ):
        fit(model)


@pytest.mark.parametrize("settings", [{"freeze": 1}, {"backbone_weights": "a.pth"}], ids=lambda one: next(iter(one)))
def test_a_network_without_a_backbone_refuses_them(settings: dict[str, Any]):
    with pytest.raises(RequestError, match=rf"^model\.{next(iter(settings))}: this network has no backbone\.$"):
        fit(Flat(PROBLEM, **settings))
