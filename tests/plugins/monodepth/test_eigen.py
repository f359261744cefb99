"""The coarse and the fine network of 2014: the published sizes and counts, where outputs lie, and what each learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.monocular import model_of, multiply_adds, parameters

from mlcvbench.contract import Batch
from mlcvbench_monodepth.eigen import CoarseToFine, in_place
from mlcvbench_training.sample_batch import SampleBatch

PUBLISHED = {"size": [228, 304], "width": 96, "hidden": 4096}
COARSE = (  # inside, outside, kernel, rows x columns of the output
    (3, 96, 11, 55 * 74),
    (96, 256, 5, 27 * 37),
    (256, 384, 3, 13 * 18),
    (384, 384, 3, 13 * 18),
    (384, 256, 3, 6 * 8),
    (6 * 8 * 256, 4096, 1, 1),
    (4096, 55 * 74, 1, 1),
)
FINE = ((3, 63, 9, 110 * 148), (64, 64, 5, 55 * 74), (64, 1, 5, 55 * 74))


def weights(layers) -> int:
    return sum(inside * outside * kernel**2 + outside for inside, outside, kernel, _ in layers)


def test_at_full_size_it_has_the_layers_of_the_paper():
    network = model_of("eigen", **PUBLISHED).build()

    assert parameters(network.features, network.whole) == weights(COARSE) == 70_757_734
    assert parameters(network.edges, network.refine) == weights(FINE) == 119_437
    assert network.grid == (55, 74)


def test_at_full_size_it_makes_the_multiply_adds_of_these_layers():
    products = sum(inside * outside * kernel**2 * cells for inside, outside, kernel, cells in (*COARSE, *FINE))

    assert multiply_adds(model_of("eigen", **PUBLISHED).build(), 228, 304) == products == 2_055_167_736


def test_an_output_is_where_the_pixels_are_that_it_sees():
    network = CoarseToFine(3, (64, 96), 6, 16).double()
    image = torch.rand(1, 3, 64, 96, dtype=torch.float64, requires_grad=True)

    network.edges(image)[0, :, 4, 7].sum().backward()
    rows, columns = (torch.nonzero(image.grad[0].abs().sum((0, other))).flatten() for other in (2, 1))

    assert (rows.min() + rows.max()) / 2 == pytest.approx(4 * 4 + 5, abs=1)
    assert (columns.min() + columns.max()) / 2 == pytest.approx(4 * 7 + 5, abs=1)


def test_outputs_are_put_where_they_are_and_go_on_beyond_the_last():
    slope = (4 * torch.arange(14.0) + 5).expand(1, 1, 6, 14)

    found = in_place(slope, (32, 64))[0, 0]

    assert found.shape == (32, 64)
    assert torch.allclose(found[:, 5:57], torch.arange(5.0, 57).expand(32, -1), atol=1e-4)
    assert torch.allclose(found[:, :5], torch.tensor(5.0))


def test_the_fine_network_teaches_the_coarse_one_nothing():
    network = model_of("eigen", size=[64, 96], width=6, hidden=16).build()

    network(torch.rand(2, 3, 64, 96)).sum().backward()

    assert all(one.grad is None for one in (*network.features.parameters(), *network.whole.parameters()))
    assert all(one.grad is not None for one in (*network.edges.parameters(), *network.refine.parameters()))


def test_the_truth_costs_nothing_and_a_common_factor_half_of_its_square():
    model = model_of("eigen", size=[64, 96], width=6, hidden=16)
    truth = 2 + torch.rand(2, 64, 96)
    exact = truth[:, None, 5::4, 5::4][:, :, :14, :22].log()

    def losses(off):
        batch = SampleBatch({"image": torch.zeros(2, 3, 64, 96)}, {"depth": truth})
        return model.loss(lambda images, both: (exact, exact + off), batch, torch.Generator())

    assert losses(0.0)["loss"] == pytest.approx(0, abs=1e-6)
    assert losses(0.6)["fine"] == pytest.approx(0.18, abs=1e-5)  # 0.36 - 0.5 * 0.36
    assert losses(0.6)["coarse"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("shapes", [[(30, 40)], [(64, 96), (200, 150)]], ids=str)
def test_images_of_any_size_are_answered_in_theirs(shapes):
    model = model_of("eigen", size=[64, 96], width=6, hidden=16)
    images = [np.full((*shape, 3), 90, np.uint8) for shape in shapes]

    found = model.predict(Batch(np.arange(len(shapes)).astype(str), {"image": images}))["depth"]

    assert [one.shape for one in found] == shapes
    assert all(1 < np.median(one) < 20 for one in found)
