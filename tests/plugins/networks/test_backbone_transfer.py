"""Weights of another network's checkpoint, and stages that do not learn."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision import models

from mlcvbench.errors import RecordError
from mlcvbench_networks.backbones import backbone
from mlcvbench_networks.transfer import freeze_backbone, load_backbone, maps_inside, take_weights

LEFT_OUT = "weights-left-out"


def same(first: nn.Module, second: nn.Module) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(*pair) for pair in pairs)


def other(name: str = "small") -> nn.Module:
    """Return a backbone whose every number, those of its norms included, is unlike a fresh one's."""
    made = backbone(name)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for key, tensor in made.state_dict().items():
            if not key.endswith("num_batches_tracked"):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return made


@pytest.mark.parametrize("form", ["safetensors", "pth", "pt"])
def test_a_backbone_takes_the_weights_of_a_file_without_a_word(form: str, tmp_path: Path):
    source, own = other(), backbone("small")
    path = tmp_path / f"weights.{form}"
    save_file(source.state_dict(), str(path)) if form == "safetensors" else torch.save(source.state_dict(), path)

    notices = load_backbone(own, path)

    assert same(own, source)
    assert notices == ()


@pytest.mark.parametrize("wrapper", ["module.", "backbone.", "model.", "module.model.backbone."])
@pytest.mark.parametrize("holder", [None, "state_dict", "model"])
def test_what_is_wrapped_around_the_tensors_is_taken_off(wrapper: str, holder: str | None, tmp_path: Path):
    source, own = other(), backbone("small")
    state = {wrapper + name: tensor for name, tensor in source.state_dict().items()}
    torch.save(state if holder is None else {holder: state, "epoch": 7, "optimizer": {"state": {}}}, tmp_path / "a.pth")

    assert load_backbone(own, tmp_path / "a.pth") == ()
    assert same(own, source)


def test_the_folder_of_a_fitted_state_is_taken_too(tmp_path: Path):
    source, own = other(), backbone("small")
    save_file(
        {f"backbone.{name}": tensor for name, tensor in source.state_dict().items()}, tmp_path / "weights.safetensors"
    )

    load_backbone(own, tmp_path)

    assert same(own, source)


def test_a_head_is_left_out_and_that_is_said():
    source, own = other(), backbone("small")
    state = {**source.state_dict(), "head.weight": torch.ones(1000, 128), "head.bias": torch.ones(1000)}

    (notice,) = take_weights(own, state, "imagenet.pth")

    assert same(own, source)
    assert (notice.code, notice.count) == (LEFT_OUT, 2)
    assert notice.text == (
        "imagenet.pth: 2 of its 67 tensors are left out, since there is no place for them here: head.bias, head.weight."
    )


def test_of_many_tensors_left_out_the_first_are_named_and_all_are_counted():
    state = {**other().state_dict(), **{f"rpn.{number}": torch.ones(1) for number in range(9)}}

    (notice,) = take_weights(backbone("small"), state, "detector.pth")

    assert notice.count == 9
    assert notice.text.endswith(": rpn.0, rpn.1, rpn.2, rpn.3 and 5 more.")


def test_a_head_of_ones_own_stays_as_it_is_where_the_shapes_differ():
    own = nn.ModuleDict({"body": nn.Linear(4, 3), "fc": nn.Linear(3, 2)})
    fresh = own["fc"].weight.detach().clone()
    state = {"body.weight": torch.ones(3, 4), "body.bias": torch.ones(3), "fc.weight": torch.ones(10, 3)}

    (notice,) = take_weights(own, state, "a.pth", heads=("fc",))

    assert torch.equal(own["body"].weight, torch.ones(3, 4))
    assert torch.equal(own["fc"].weight, fresh)
    assert notice.text == (
        "a.pth: 1 of its 3 tensors are left out, since there is no place for them here: fc.weight. Learned from "
        "scratch: fc.weight, fc.bias."
    )


def test_a_head_that_fits_is_taken():
    own = nn.ModuleDict({"body": nn.Linear(4, 3), "fc": nn.Linear(3, 2)})
    state = {name: torch.full_like(tensor, 2) for name, tensor in own.state_dict().items()}

    assert take_weights(own, state, "a.pth", heads=("fc",)) == ()
    assert torch.equal(own["fc"].bias.detach(), torch.full((2,), 2.0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda state: {"fc.weight": torch.ones(2)},
            "a.pth: tensor 'stem.0.weight': wanted shape (24, 3, 3, 3), got nothing; it has 0 of the 65 tensors "
            "of this backbone.",
        ),
        (
            lambda state: {**state, "stem.0.weight": torch.ones(24, 1, 3, 3)},
            "a.pth: tensor 'stem.0.weight': wanted shape (24, 3, 3, 3), got (24, 1, 3, 3); it has 64 of the 65 tensors "
            "of this backbone.",
        ),
        (
            lambda state: {name: tensor for name, tensor in state.items() if name != "stages.3.0.residual.4.bias"},
            "a.pth: tensor 'stages.3.0.residual.4.bias': wanted shape (128,), got nothing; it has 64 of the 65 tensors "
            "of this backbone.",
        ),
        (
            lambda state: {**state, "module.stem.0.weight": state["stem.0.weight"]},
            "a.pth: 'stem.0.weight' and 'module.stem.0.weight' would be the same tensor; keep those of one network.",
        ),
    ],
    ids=["nothing", "grey", "one short", "two networks"],
)
def test_a_checkpoint_of_another_network_is_refused_by_its_first_missing_tensor(change, message: str):
    own = backbone("small")
    before = own.stem[0].weight.detach().clone()

    with pytest.raises(RecordError) as caught:
        take_weights(own, change(other().state_dict()), "a.pth")

    assert str(caught.value) == message
    assert torch.equal(own.stem[0].weight, before)


def test_a_tensor_that_is_not_finite_is_refused_by_its_name_in_the_file():
    state = {f"module.{name}": tensor.clone() for name, tensor in other().state_dict().items()}
    name = next(name for name in state if name.endswith(".weight"))
    state[name][0] = torch.nan

    with pytest.raises(RecordError) as caught:
        take_weights(backbone("small"), state, "a.pth")

    assert str(caught.value) == f"a.pth: tensor {name!r}: wanted finite numbers."


@pytest.mark.parametrize("stored", [nn.Linear(2, 2), {"args": argparse.Namespace(a=1)}, [torch.ones(2)], {"lr": 0.1}])
def test_what_is_no_dict_of_tensors_is_refused_with_what_to_save(stored, tmp_path: Path):
    torch.save(stored, tmp_path / "whole.pth")

    with pytest.raises(
        RecordError, match=r"^whole\.pth: .*; save the tensors alone, as torch\.save\(model\.state_dict\(\), "
    ):
        load_backbone(backbone("small"), tmp_path / "whole.pth")


@pytest.mark.parametrize(
    ("name", "deepest"),
    [
        ("resnet18", "layer4"),
        ("mobilenet_v3_small", "features"),
        ("regnet_y_400mf", "trunk_output"),
        ("densenet121", "features"),
    ],
)
def test_a_checkpoint_of_torchvision_fits_its_backbone(name: str, deepest: str):
    torch.manual_seed(1)
    own, whole, seen = backbone(f"torchvision:{name}"), models.get_model(name, weights=None), []
    whole.get_submodule(deepest).register_forward_hook(lambda *given: seen.append(given[2].clone()))

    (notice,) = take_weights(own, whole.state_dict(), f"{name}.pth")

    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        whole.eval()((images - own.mean) / own.std)
        assert torch.equal(own.eval()(images)[-1], seen[0])
    assert notice.count == sum(1 for key in whole.state_dict() if key.startswith(("fc.", "classifier.")))


@pytest.mark.parametrize("name", ["resnet10t", "mobilenetv3_small_050", "convnext_atto", "regnety_002"])
def test_a_checkpoint_of_timm_fits_its_backbone(name: str):
    import timm

    torch.manual_seed(1)
    own, whole = backbone(f"timm:{name}"), timm.create_model(name)

    take_weights(own, whole.state_dict(), f"{name}.safetensors")

    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        wanted = whole.eval().forward_intermediates((images - own.mean) / own.std, intermediates_only=True)
        found = own.eval()(images)
    assert any(torch.equal(found[-1], one) for one in wanted)


@pytest.mark.parametrize("name", ["small", "timm:resnet10t", "torchvision:mobilenet_v3_small"])
@pytest.mark.parametrize("stages", [1, 2, 3, 4])
def test_frozen_stages_are_what_their_maps_depend_on(name: str, stages: int):
    own = backbone(name).train()

    freeze_backbone(own, stages, 3)

    assert own.training
    maps = own(torch.rand(2, 3, 64, 64))
    assert [each.requires_grad for each in maps] == [False] * stages + [True] * (4 - stages)


def test_a_whole_backbone_can_be_frozen_and_none_of_it_is_by_default():
    own = backbone("darknet53")
    assert all(parameter.requires_grad for parameter in own.parameters())

    freeze_backbone(own, 4, 3)

    assert not any(parameter.requires_grad for parameter in own.parameters())


def test_freezing_moves_no_statistic_and_draws_no_number():
    own, state = other(), torch.get_rng_state()
    before = {name: tensor.clone() for name, tensor in own.state_dict().items()}

    freeze_backbone(own, 2, 3)

    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in own.state_dict().items())


def test_grey_images_freeze_the_same_layers():
    own = backbone("small", channels=1)

    freeze_backbone(own, 1, 1)

    names = {
        name.split(".")[0] + "." + name.split(".")[1] for name, own in own.named_parameters() if not own.requires_grad
    }
    assert names == {"stem.0", "stem.1", "stages.0"}


@pytest.mark.parametrize("side", [48, 64, 100, 224])
def test_maps_inside_a_network_are_the_last_at_their_strides(side: int):
    network = models.get_model("resnet18", weights=None)
    seen: dict[str, torch.Tensor] = {}
    for name in ("layer1", "layer2", "layer3"):
        network.get_submodule(name).register_forward_hook(lambda _, __, out, name=name: seen.__setitem__(name, out))

    maps = maps_inside(network, torch.zeros(1, 3, side, side))

    assert all(own is wanted for own, wanted in zip(maps, seen.values(), strict=True))
    assert network.training


def test_a_pool_to_a_fixed_size_at_the_end_is_no_stage():
    network = models.get_model("vgg11", weights=None)  # pools to 7 x 7, which is stride 8 of 56 pixels

    maps = maps_inside(network, torch.zeros(1, 3, 56, 56))

    assert [tuple(each.shape[1:]) for each in maps] == [(256, 14, 14), (512, 7, 7), (512, 3, 3)]


def test_a_transformer_has_no_stages():
    with pytest.raises(ValueError, match=r"^no map at stride 4$"):
        maps_inside(models.get_model("vit_b_16", weights=None), torch.zeros(1, 3, 224, 224))
