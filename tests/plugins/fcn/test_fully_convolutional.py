"""FCN-32s, 16s and 8s: the published numbers, sums of scores from coarse to fine, and VGG-16's weights."""

from __future__ import annotations

import pytest
import torch
from support.segmenting import model_of, multiply_adds, parameters
from torch import nn
from torchvision.models import VGG, vgg16
from torchvision.models.vgg import make_layers

from mlcvbench.errors import RecordError
from mlcvbench_fcn.vgg import as_convolutions
from mlcvbench_networks.dense.upsampling import bilinear

PUBLISHED = {"width": 64, "layers": [2, 2, 3, 3, 3], "hidden": 4096, "normed": False, "dropout": 0.5, "zoom": 1}
TINY = {"width": 2, "hidden": 8}
NAMES = ("fcn_32s", "fcn_16s", "fcn_8s")
LAST = {"fcn_32s": 32, "fcn_16s": 16, "fcn_8s": 8}


def on_paper(side: int, classes: int, finest: int) -> int:
    """Return multiply-adds of the networks of the paper by hand, layer after layer."""
    inside, pixels, total = 3, side * side, 0
    scored = {}
    for stage, (layers, width) in enumerate(((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)), start=1):
        for _ in range(layers):
            total += pixels * 9 * inside * width
            inside = width
        pixels //= 4
        scored[2**stage] = (pixels, width)
    total += pixels * (49 * 512 * 4096 + 4096 * 4096 + 4096 * classes)
    stride = 32
    while stride > finest:
        stride //= 2
        total += pixels * 16 * classes**2  # 4x4 kernels of stride 2, from the coarser map
        pixels, width = scored[stride]
        total += pixels * width * classes
    return total + pixels * (2 * finest) ** 2 * classes**2


@pytest.mark.parametrize(
    ("name", "count"), [("fcn_32s", 136_152_917), ("fcn_16s", 134_815_994), ("fcn_8s", 134_489_759)]
)
def test_at_full_size_the_parameters_are_those_of_the_catalogue(name, count):
    assert parameters(model_of(name, 21, **PUBLISHED)) == count


@pytest.mark.parametrize("name", NAMES)
def test_at_full_size_the_multiply_adds_are_those_of_the_layers(name):
    with torch.device("meta"):
        network = model_of(name, 21, **PUBLISHED).network()

    assert multiply_adds(network, 512) == on_paper(512, 21, LAST[name])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("zoom", [1, 2, 4])
def test_scores_of_finer_maps_are_added_to_the_enlarged_coarser_ones(name, zoom):
    network = model_of(name, 3, **TINY, zoom=zoom, upsampling="nearest").network().eval()
    for score in network.scores[1:]:
        nn.init.normal_(score.weight)
    images = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))

    answers = network(images)

    larger = images if zoom == 1 else bilinear(images, (64 * zoom, 96 * zoom))
    maps = network.backbone(larger)
    wanted = network.scores[0](maps[3])
    for score, finer in zip(network.scores[1:], maps[2::-1], strict=False):
        wanted = wanted.repeat_interleave(2, 2).repeat_interleave(2, 3) + score(finer)
    factor = LAST[name] // zoom
    assert answers.shape == (2, 3, 64, 96)
    assert torch.allclose(answers, wanted.repeat_interleave(factor, 2).repeat_interleave(factor, 3), atol=1e-6)


def test_a_fresh_network_says_what_its_coarsest_scores_say():
    torch.manual_seed(0)
    network = model_of("fcn_8s", **TINY, upsampling="nearest").network().eval()
    images = torch.rand(1, 3, 64, 64)

    coarse = network.scores[0](network.backbone(bilinear(images, (128, 128)))[3])

    assert torch.equal(network(images)[0, :, ::16, ::16], coarse[0])


def torchvisions(widths: list[int], layers: list[int], hidden: int, *, normed: bool) -> nn.Module:
    """Return a VGG of torchvision for images of 224 pixels, with fewer channels than it has."""
    plan = [part for width, count in zip(widths, layers, strict=True) for part in [width] * count + ["M"]]
    network = VGG(make_layers(plan, batch_norm=normed), num_classes=5, init_weights=False)
    network.classifier[0] = nn.Linear(widths[-1] * 49, hidden)
    network.classifier[3] = nn.Linear(hidden, hidden)
    return network


@pytest.mark.parametrize("normed", [False, True])
def test_its_convolutions_say_what_torchvisions_vgg_says(normed, tmp_path):
    """The fully-connected layers are the same numbers as 7x7 and 1x1 convolutions, on the one place that they fit."""
    with torch.device("meta"):
        theirs = torchvisions([4, 8, 16, 32, 32], PUBLISHED["layers"], 24, normed=normed)
    theirs = theirs.to_empty(device="cpu").eval()
    generator = torch.Generator().manual_seed(0)
    for own in theirs.state_dict().values():
        if own.is_floating_point():
            own.copy_(torch.rand(own.shape, generator=generator) - (0.4 if own.ndim > 1 else 0))
    torch.save(theirs.state_dict(), tmp_path / "vgg.pth")
    settings = PUBLISHED | {"width": 4, "hidden": 24, "normed": normed}
    model = model_of("fcn_8s", **settings, backbone_weights=str(tmp_path / "vgg.pth"))
    module = model.network()

    (notice,) = model.begin(module)
    image = torch.rand(1, 3, 224, 224, generator=generator)
    with torch.inference_mode():
        wanted = theirs.classifier[:3](theirs.features(image).flatten(1))
        wanted = theirs.classifier[3:5](wanted)
        maps = module.eval().backbone(image)

    assert notice.text.endswith("classifier.6.bias, classifier.6.weight.")
    assert [tuple(one.shape[2:]) for one in maps] == [(56, 56), (28, 28), (14, 14), (7, 7)]
    assert wanted.any()
    assert torch.allclose(maps[3][0, :, 3, 3], wanted[0], rtol=1e-3)


def test_it_has_the_names_and_numbers_of_torchvisions_vgg16():
    with torch.device("meta"):
        theirs, ours = vgg16(weights=None).state_dict(), model_of("fcn_8s", **PUBLISHED).network().backbone

    shapes = {name: own.shape for name, own in as_convolutions(theirs).items() if "classifier.6" not in name}
    assert {name: own.shape for name, own in ours.state_dict().items()} == shapes


def test_a_checkpoint_without_fully_connected_layers_is_a_beginning_too(tmp_path):
    state = model_of("fcn_32s", **TINY).network().backbone.features.state_dict()
    torch.save(state, tmp_path / "features.pth")
    model = model_of("fcn_32s", **TINY, backbone_weights=str(tmp_path / "features.pth"))
    module = model.network()

    (notice,) = model.begin(module)

    assert torch.equal(module.backbone.features[0].weight, state["0.weight"])
    assert "Learned from scratch: classifier.0.weight" in notice.text


def test_a_checkpoint_of_another_vgg_is_refused(tmp_path):
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "other.pth")
    model = model_of("fcn_32s", **TINY, backbone_weights=str(tmp_path / "other.pth"))

    with pytest.raises(RecordError, match=r"^other\.pth: tensor 'features\.0\.weight': wanted shape \(2, 3, 3, 3\)"):
        model.begin(model.network())
