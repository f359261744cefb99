"""The search in torch: the neighbours of the definition, on any device, from values within the stated error."""

from __future__ import annotations

import math
import tracemalloc
from functools import partial

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from support.fitting import digits, fitted, problem, scores_of
from torch.overrides import TorchFunctionMode

from mlcvbench.contract import Device
from mlcvbench_knn.knn import KNN
from mlcvbench_knn.search import EuclideanSearch, compare_pairs, power_sums
from mlcvbench_knn.torch_search import CosineSearch, EuclideanTorchSearch, ExhaustiveSearch, MinkowskiSearch

CPU = torch.device("cpu")
ORDERS = [1.0, 1.5, 3.0, 40.0, math.inf]


def noise(count: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, width), dtype=np.uint8)


def search_for(images: np.ndarray, k: int, distance: float | str) -> ExhaustiveSearch:
    return CosineSearch(images, k, CPU) if distance == "cosine" else MinkowskiSearch(images, k, float(distance), CPU)


class LargestTensor(TorchFunctionMode):
    """Note the bytes of the largest tensor that is computed."""

    largest = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        self.largest = max(self.largest, made.nbytes if isinstance(made, torch.Tensor) else 0)
        return made


@pytest.mark.parametrize(("p", "metric"), [(1.0, "cityblock"), (math.inf, "chebyshev")])
def test_distances_beyond_float32_integers_stay_exact(p, metric):
    images = np.random.default_rng(0).integers(250, 256, (3, 70_000), dtype=np.uint8)
    queries = np.zeros((2, 70_000), np.uint8)

    values = MinkowskiSearch(images, 1, p, CPU).values(torch.from_numpy(queries))

    assert np.array_equal(values, cdist(queries.astype(np.float64), images.astype(np.float64), metric))


@pytest.mark.parametrize("p", [1.1, 1.5, 3.0, 14.9, 40.0, 100.0])
@pytest.mark.parametrize("width", [1, 784, 20_000])
def test_the_error_of_computed_powers_is_within_its_bound(p, width):
    queries, images = noise(3, width), noise(8, width, seed=1)
    search = MinkowskiSearch(images, 1, p, CPU)

    values = search.values(torch.from_numpy(queries)).double().numpy()

    rows, columns = np.repeat(np.arange(3), 8), np.tile(np.arange(8), 3)
    sums = compare_pairs(partial(power_sums, p=p), queries, images, rows, columns)
    assert (np.abs(values.ravel() - sums) <= search.slack / 4 * sums).all()


@pytest.mark.parametrize("p", [1.5, 3.0, 7.0, 40.0])
def test_images_equally_far_in_a_general_order_are_taken_in_the_order_of_training(p):
    rng = np.random.default_rng(0)
    one = noise(1, 784)[0]
    images = np.stack([rng.permutation(one) for _ in range(200)])
    search = MinkowskiSearch(images, 5, p, CPU)

    assert search.search(search.prepare(np.zeros((1, 784), np.uint8))).tolist() == [[0, 1, 2, 3, 4]]


def test_multiples_of_an_image_are_equally_far_in_cosine_distance():
    image = np.random.default_rng(0).integers(0, 28, 50_000, dtype=np.uint8)
    images = np.stack([image * times for times in (7, 9, 3, 1, 5)])
    search = CosineSearch(images, 3, CPU)

    assert search.search(search.prepare(noise(8, 50_000))).tolist() == [[0, 1, 2]] * 8


def test_a_query_that_is_all_zero_is_equally_far_from_every_image_in_cosine_distance():
    images = noise(50, 9)
    images[7] = 0
    search = CosineSearch(images, 9, CPU)

    assert search.search(search.prepare(np.zeros((1, 9), np.uint8))).tolist() == [list(range(9))]


@pytest.mark.parametrize("distance", [*ORDERS, "cosine"])
def test_neighbours_do_not_depend_on_blocks_and_tiles(distance, monkeypatch):
    images, queries = (np.random.default_rng(seed).integers(0, 4, (n, 6), np.uint8) for seed, n in ((0, 300), (1, 70)))
    whole = search_for(images, 4, distance)
    monkeypatch.setattr("mlcvbench_knn.torch_search.BLOCK_BYTES", 8 * 300 * 7)
    search = search_for(images, 4, distance)
    search.block_bytes = 1000

    found = search.search(search.prepare(queries))

    assert (whole.tile, search.tile) == (whole.most, 7)
    assert np.array_equal(found, whole.search(whole.prepare(queries)))


@pytest.mark.parametrize("distance", [*ORDERS, "cosine"])
def test_blocks_of_large_images_keep_to_their_memory(distance):
    images, queries = noise(200, 30_000), noise(2, 30_000, seed=1)
    search = search_for(images, 3, distance)
    search.block_bytes = 2**20
    moved = torch.from_numpy(queries)

    with LargestTensor() as tensors:
        search.values(moved)

    assert 2**17 < tensors.largest <= 2**20


def test_the_full_euclidean_searches_of_large_images_keep_to_their_memory(monkeypatch):
    images, queries = noise(200, 30_000), noise(1, 30_000, seed=1)
    monkeypatch.setattr("mlcvbench_knn.search.BLOCK_BYTES", 2**20)
    monkeypatch.setattr("mlcvbench_knn.torch_search.TILE_BYTES", 2**20)
    host, device = EuclideanSearch(images, 3), EuclideanTorchSearch(images, 3, CPU)

    tracemalloc.start()
    host._full_distances(queries)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    with LargestTensor() as tensors:
        found = device.search_full(torch.from_numpy(queries))

    assert np.array_equal(found, host.search_full(queries))
    assert peak < 4 * 2**20  # a block, its shifted copy, the query
    assert 2**17 < tensors.largest <= 2**20


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(
    "params", [{}, {"p": 1.0}, {"p": 1.5}, {"p": 3.0}, {"distance": "linf"}, {"distance": "cosine"}], ids=str
)
@pytest.mark.parametrize("weights", ["uniform", "distance"])
def test_the_gpu_finds_the_neighbours_that_the_cpu_finds(params, weights):
    train, test = digits()
    images = test.arrays()[0]["image"]
    models = [KNN(problem(images), weights=weights, **params) for _ in range(2)]
    models[1].to(Device("cuda"))

    ours, gpus = (scores_of(fitted(model, train), images) for model in models)

    assert np.array_equal(ours, gpus)
