"""Monte Carlo dropout: what is drawn, how the draws answer together, what they cost; what plain dropout estimates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from support.fitting import digits, fitted, images_batch, problem, scores_of
from support.runs import config_for
from torch import nn

from mlcvbench.contract import InputSpec, Problem
from mlcvbench.errors import RequestError
from mlcvbench.measure.operations import count
from mlcvbench.running import stages
from mlcvbench.specs import load_target
from mlcvbench.specs.values import complete
from mlcvbench.testing import assert_conforms
from mlcvbench_cnn.catalogue import specs as cnn_specs
from mlcvbench_ensembles.mc_dropout import McDropout
from mlcvbench_ensembles.thinning import DROPOUTS, Mask, Thinned
from mlcvbench_linear.mlp import MLP

DIGIT = np.zeros((1, 8, 8))
BASE = "mlp,hidden=[32],dropout=0.5"


@pytest.fixture(scope="module")
def train():
    return digits()[0].take(range(200))


@pytest.fixture(scope="module")
def images():
    return digits()[1].arrays()[0]["image"][:30]


def drawn(layer: nn.Module, *shape: int, draws: int = 1) -> torch.Tensor:
    """Return what masks leave of ones (draws, *shape)."""
    mask = Mask(layer, 0)
    found = []
    for mask.draw in range(draws):
        found.append(mask(torch.ones(1, *shape))[0])
    return torch.stack(found)


def test_p_is_the_share_that_is_dropped_and_what_stays_is_divided_by_the_rest():
    for share in (0.2, 0.7):
        ones = drawn(nn.Dropout(share), 20_000)

        assert ones.unique().tolist() == pytest.approx([0.0, 1 / (1 - share)])
        assert float((ones == 0).float().mean()) == pytest.approx(share, abs=0.02)
        assert float(ones.mean()) == pytest.approx(1, abs=0.03)


def test_layers_that_drop_channels_drop_them_whole():
    ones = drawn(nn.Dropout2d(0.5), 400, 3, 3)[0]

    assert torch.equal(ones, ones[:, :1, :1].expand_as(ones))
    assert 0.4 < float((ones == 0).float().mean()) < 0.6


def test_everything_dropped_is_nil():
    assert not drawn(nn.Dropout(1.0), 5).any()


def test_the_network_without_masks_is_their_mean_where_what_follows_is_linear_and_not_elsewhere():
    torch.manual_seed(0)
    inputs, linear = torch.randn(1, 12), nn.Linear(12, 4).requires_grad_(False)
    thinned = drawn(nn.Dropout(0.5), 12, draws=4000) * inputs

    mean = linear(thinned).mean(0, keepdim=True)
    curved = linear(thinned).relu().mean(0, keepdim=True)

    assert torch.allclose(mean, linear(inputs), atol=0.05)
    assert float((curved - linear(inputs).relu()).abs().max()) > 0.15  # an estimate of the mean (E25)


def test_it_answers_with_the_mean_of_the_probabilities_of_its_thinned_networks(train, images):
    model = fitted(McDropout(problem(DIGIT), base=BASE, samples=4), train, seed=3, epochs=3)
    alone = fitted(MLP(problem(DIGIT), hidden=[32], dropout=0.5), train, seed=3, epochs=3)
    flatten, first, relu, _, last = alone.module
    hidden = relu(first(flatten(torch.from_numpy(images / 255.0).float()[:, None])))

    shares = []
    for draw in range(4):
        mask = Mask(nn.Dropout(0.5), 0)
        mask.seed, mask.draw = 3, draw
        shares.append(last(mask(hidden)).softmax(1))

    mean = torch.stack(shares).mean(0).detach().numpy()
    assert np.allclose(np.exp(scores_of(model, images)), mean, atol=1e-6)
    assert float(np.std([share.detach().numpy() for share in shares], axis=0).max()) > 0.01
    assert not np.allclose(mean, torch.from_numpy(scores_of(alone, images)).softmax(1).numpy(), atol=1e-3)


def test_the_seed_draws_the_masks_and_is_stored_with_the_weights(train, images, tmp_path):
    model = fitted(McDropout(problem(DIGIT), base=BASE, samples=3), train, seed=8, epochs=1)
    again = McDropout(problem(DIGIT), base=BASE, samples=3)

    model.save(tmp_path)
    again.load(tmp_path)
    before = scores_of(again, images)
    again.module.seed.fill_(9)

    assert np.array_equal(before, scores_of(model, images))
    assert not np.array_equal(scores_of(again, images), before)


def test_weights_are_stored_once_and_answers_cost_as_many_networks_as_are_drawn(images):
    five, one = McDropout(problem(DIGIT), base=BASE, samples=5), MLP(problem(DIGIT), hidden=[32], dropout=0.5)

    assert five.parameters().trainable == one.parameters().trainable
    batch = images_batch(images)
    assert count(five, batch).macs == 5 * (count(one, batch).macs or 0) > 0


@pytest.mark.parametrize("base", ["small_cnn", "mlp"])
def test_a_network_that_drops_nothing_is_refused_before_it_is_fitted(base, train):
    with pytest.raises(RequestError) as caught:
        fitted(McDropout(problem(DIGIT), base=base), train)

    assert str(caught.value) == (
        f"model '{base}' has no dropout, so mc_dropout has nothing to draw; use one such as [mlp,dropout=0.5]."
    )


def test_dropout_of_channels_and_of_units_are_both_drawn():
    network = nn.Sequential(nn.Conv2d(1, 8, 3), nn.Dropout2d(0.5), nn.Flatten(), nn.Dropout(0.5), nn.Linear(8 * 36, 3))

    thinned = Thinned(network, "net", samples=6, seed=1).eval()

    assert [mask.channels for mask in thinned.masks] == [True, False]
    inputs = torch.rand(4, 1, 8, 8)
    together = thinned(inputs)
    assert torch.allclose(together, torch.cat([thinned(one[None]) for one in inputs]), atol=1e-6)
    assert torch.allclose(together.exp().sum(1), torch.ones(4))


@pytest.mark.parametrize("spec", cnn_specs(), ids=lambda spec: spec.name)
def test_no_network_drops_units_in_front_of_a_batch_norm_whose_statistics_they_would_change(spec):
    declared = {param.name for param in spec.params}
    given = {"dropout": 0.5, "batch_norm": True}
    colour = Problem("classification", tuple(map(str, range(10))), {"image": InputSpec((224, 224, 3))})
    params = complete(spec.params, {name: value for name, value in given.items() if name in declared})
    with torch.device("meta"):
        network = load_target(spec.target)(colour, **params).build()

    layers = [layer for layer in network.modules() if not list(layer.children())]
    dropped = [place for place, layer in enumerate(layers) if isinstance(layer, DROPOUTS)]
    normed = [place for place, layer in enumerate(layers) if isinstance(layer, nn.BatchNorm2d)]
    assert len(dropped) > 0 or "dropout" not in declared
    assert min(dropped, default=len(layers)) > max(normed, default=-1)


def test_it_keeps_the_contract():
    assert_conforms("mc_dropout", "classification", params={"base": BASE, "samples": 3})


def test_it_runs_by_name(tmp_path: Path):
    config = config_for("model=mc_dropout", "fit.epochs=5", "limit=100", "intervals=false")

    record = stages.execute(config, tmp_path)

    assert record.status == "ok", record.error
    assert (record.metrics["top1"].value or 0) > 0.8
