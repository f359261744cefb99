"""TorchModel: give it a module; preprocessing, eval, counting and saving come with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from mlcvbench.contract import ArraySplit, Batch, Device, InputSpec, Problem, TorchModel
from mlcvbench.errors import DataError, RecordError

PROBLEM = Problem("classification", ("a", "b"), {"image": InputSpec((4, 4))})


class Tiny(TorchModel):
    def build(self) -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2))


@pytest.fixture
def batch():
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 4), dtype=np.uint8)
    return next(ArraySplit("test", {"image": images}, {"label": np.zeros(3)}).inputs(3))


def test_grey_and_colour_images_become_channels_first_floats_in_0_1(batch) -> None:
    colour = np.full((2, 4, 6, 3), 255, np.uint8)
    colour_batch = next(ArraySplit("t", {"image": colour}, {"label": np.zeros(2)}).inputs(2))

    grey_tensor, colour_tensor = Tiny(PROBLEM).preprocess(batch), Tiny(PROBLEM).preprocess(colour_batch)

    assert grey_tensor.shape == (3, 1, 4, 4)
    assert colour_tensor.shape == (2, 3, 4, 6)
    assert grey_tensor.dtype == torch.float32
    assert colour_tensor.max() == 1.0


def test_images_lie_in_the_order_of_their_axes_so_that_networks_may_view_their_maps() -> None:
    class Viewing(TorchModel):
        def build(self) -> nn.Module:
            class Net(nn.Module):
                def __init__(self) -> None:
                    super().__init__()
                    self.conv = nn.Conv2d(3, 4, 3)

                def forward(self, x):
                    return self.conv(x).view(len(x), -1)

            return Net()

    images = np.zeros((2, 6, 6, 3), np.uint8)

    scores = Viewing(PROBLEM).predict(Batch(np.array(["a", "b"]), {"image": images}))["scores"]

    assert scores.shape == (2, 64)


def test_predict_is_in_eval_mode_and_leaves_no_gradient(batch) -> None:
    model = Tiny(PROBLEM)
    model.module.train()

    first, second = model.predict(batch)["scores"], model.predict(batch)["scores"]

    assert np.array_equal(first, second)
    assert first.dtype == np.float32
    assert not model.module.training


def test_ragged_images_are_refused_in_one_sentence() -> None:
    images = [np.zeros((2, 2), np.uint8), np.zeros((3, 2), np.uint8)]
    ragged = next(ArraySplit("t", {"image": images}, {"label": np.zeros(2)}).inputs(2))

    with pytest.raises(DataError) as error:
        Tiny(PROBLEM).preprocess(ragged)

    assert str(error.value) == "Tiny needs images of one size, and these differ."


def test_parameters_frozen_ones_and_buffers_are_counted_apart() -> None:
    model = Tiny(PROBLEM)
    model.module[1].bias.requires_grad_(False)

    counts = model.parameters()

    assert counts.trainable == 16 * 4 + 8 + 4 * 2 + 2
    assert counts.frozen == 4
    assert counts.buffers == 9
    assert counts.bytes == (counts.trainable + counts.frozen + 8) * 4 + 8


def test_saving_and_loading_gives_the_same_predictions(batch, tmp_path: Path) -> None:
    model = Tiny(PROBLEM)
    with torch.no_grad():
        model.module[1].weight.fill_(0.25)
    model.save(tmp_path)
    other = Tiny(PROBLEM)
    other.load(tmp_path)

    assert np.array_equal(model.predict(batch)["scores"], other.predict(batch)["scores"])


def test_weights_of_another_shape_are_refused_by_name(tmp_path: Path) -> None:
    model = Tiny(PROBLEM)
    state = {name: tensor.contiguous() for name, tensor in model.module.state_dict().items()}
    state["4.weight"] = torch.zeros(3, 4)
    save_file(state, str(tmp_path / "weights.safetensors"))

    with pytest.raises(RecordError) as error:
        model.load(tmp_path)

    assert str(error.value) == "weights.safetensors: tensor '4.weight': wanted shape (2, 4), got (3, 4)."


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_by_name(value: float, tmp_path: Path) -> None:
    model = Tiny(PROBLEM)
    state = {name: tensor.clone() for name, tensor in model.module.state_dict().items()}
    state["4.weight"][0, 0] = value
    save_file(state, str(tmp_path / "weights.safetensors"))

    with pytest.raises(RecordError, match=r"^weights\.safetensors: tensor '4\.weight': wanted finite numbers\.$"):
        model.load(tmp_path)


def test_an_infinity_of_the_network_itself_is_read_back(tmp_path: Path) -> None:
    model, other = Tiny(PROBLEM), Tiny(PROBLEM)
    for one in (model, other):
        one.module.register_buffer("mask", torch.tensor([0.0, -torch.inf]))
    model.save(tmp_path)

    other.load(tmp_path)

    assert other.module.state_dict()["mask"].tolist() == [0.0, -torch.inf]


def test_a_header_that_claims_more_than_the_file_holds_is_refused_before_the_library_reads_it(tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes((2**63 - 1).to_bytes(8, "little") + b"{}")

    with pytest.raises(RecordError) as error:
        Tiny(PROBLEM).load(tmp_path)

    assert str(error.value) == (
        "weights.safetensors: not a file of safetensors: its header claims 9223372036854775807 bytes of 10; the most "
        "is 1048576."
    )


def test_a_header_that_is_no_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes((2).to_bytes(8, "little") + b"{]")

    with pytest.raises(RecordError, match=r"^weights\.safetensors: its header is not JSON \("):
        Tiny(PROBLEM).load(tmp_path)


def test_a_model_without_build_says_what_to_override() -> None:
    with pytest.raises(TypeError, match=r"TorchModel must override build\(\) or set \.module\."):
        _ = TorchModel(PROBLEM).module


def test_reduced_precision_runs_through_autocast(batch) -> None:
    model = Tiny(PROBLEM)
    exact = model.predict(batch)["scores"]
    model.to(Device(precision="bfloat16"))

    reduced = model.predict(batch)["scores"]

    assert reduced.dtype == np.float32
    assert np.allclose(exact, reduced, atol=0.1)
    assert not np.array_equal(exact, reduced)


def test_outputs_of_reduced_precision_come_back_as_float32_however_they_are_nested(batch) -> None:
    class Answers(NamedTuple):
        scores: torch.Tensor
        labels: torch.Tensor

    class Packing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(16, 2)

        def forward(self, images: torch.Tensor) -> dict[str, Any]:
            scores = self.layer(images.flatten(1))
            assert scores.dtype == torch.bfloat16
            return {"all": Answers(scores, scores.argmax(dim=1)), "parts": [scores, (scores, 3)], "name": "x"}

    class Nested(TorchModel):
        def build(self) -> nn.Module:
            return Packing()

    model = Nested(PROBLEM)
    model.to(Device(precision="bfloat16"))

    outputs = model.forward(model.preprocess(batch))

    assert outputs["all"].scores.dtype == torch.float32
    assert outputs["all"].labels.dtype == torch.int64
    assert [outputs["parts"][0].dtype, outputs["parts"][1][0].dtype] == [torch.float32, torch.float32]
    assert (outputs["parts"][1][1], outputs["name"]) == (3, "x")
