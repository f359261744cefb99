"""Distances of pairs: scipy as oracle, whole numbers where they are promised, and no dependence on order or block."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from mlcvbench_knn.knn import cosine_distances, minkowski_distances
from mlcvbench_knn.search import compare_pairs, dot_products, power_sums
from mlcvbench_knn.torch_search import cosine_ranks


def noise(count: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, width), dtype=np.uint8)


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0, 10.0, 100.0, math.inf])
def test_minkowski_distances_are_those_of_scipy(p):
    left, right = noise(5, 40), noise(5, 40, seed=1)
    metric = {"metric": "chebyshev"} if p == math.inf else {"metric": "minkowski", "p": p}

    ours = minkowski_distances(left, right, p)

    assert np.allclose(ours, np.diag(cdist(left.astype(float), right.astype(float), **metric)), rtol=1e-13, atol=0)


def test_cosine_distances_are_those_of_scipy():
    left, right = noise(5, 40), noise(5, 40, seed=1)

    expected = np.diag(cdist(left.astype(float), right.astype(float), "cosine"))
    assert np.allclose(cosine_distances(left, right), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("p", [1.5, 2.5, 7.0])
def test_the_same_differences_in_other_places_give_the_same_sum_to_the_last_bit(p):
    rng = np.random.default_rng(0)
    one = noise(1, 784)[0]
    images = np.stack([rng.permutation(one) for _ in range(200)])

    sums = power_sums(np.zeros_like(images), images, p)

    assert len(np.unique((images.astype(np.float64) ** p).sum(axis=1))) > 1  # summed in their places they differ
    assert len(np.unique(sums)) == 1


@pytest.mark.parametrize(("p", "width"), [(3, 20_000), (4, 20_000), (5, 8_353), (6, 32)])
def test_sums_of_whole_powers_are_exact_up_to_the_stated_number_of_values(p, width):
    left, right = np.zeros((2, width), np.uint8), np.full((2, width), 255, np.uint8)
    right[1] = noise(1, width)

    expected = [sum(value**p for value in row) for row in right.tolist()]
    assert power_sums(left, right, p).tolist() == expected


def test_a_multiple_of_an_image_is_at_cosine_distance_zero_exactly():
    image = noise(1, 300) // 5
    times = np.arange(1, 6, dtype=np.uint8)[:, None]

    assert (cosine_distances(np.repeat(image, 5, axis=0), image * times) == 0).all()


def test_nearly_parallel_images_keep_the_digits_of_their_cosine_distance():
    left = np.full((1, 100_000), 255, np.uint8)
    right = left.copy()
    right[0, 0] = 254

    ours = float(cosine_distances(left, right)[0])

    share = Fraction(99_999, 100_000**2)  # variance over mean square of the ratio of two values, to first order
    assert math.isclose(ours, float(share) / 2 / 255**2, rel_tol=1e-6)


def test_the_zero_image_is_at_cosine_distance_1_from_every_image_and_itself():
    black, other = np.zeros((2, 9), np.uint8), np.zeros((2, 9), np.uint8)
    other[0] = 7

    assert cosine_distances(black, other).tolist() == cosine_distances(other, black).tolist() == [1.0, 1.0]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2**34), st.integers(1, 2**34)), min_size=1, max_size=30), st.integers(1, 9))
def test_cosine_ranks_order_fractions_of_any_size(pairs, scale):
    pairs += [(product * scale, square * scale**2) for product, square in pairs]  # the cosines of multiples

    ranks = cosine_ranks(*np.array(pairs).T)

    quotients = [Fraction(product**2, square) for product, square in pairs]
    order = sorted(set(quotients), reverse=True)
    assert ranks.tolist() == [order.index(quotient) for quotient in quotients]


def test_pairs_are_compared_in_blocks_of_bounded_memory(monkeypatch):
    images = noise(8, 50_000)
    rows, columns = np.repeat(np.arange(8), 8), np.tile(np.arange(8), 8)
    sizes = []

    def compare(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        sizes.append(len(left))
        return dot_products(left, right)

    whole = compare_pairs(compare, images, images, rows, columns)
    monkeypatch.setattr("mlcvbench_knn.search.BLOCK_BYTES", 2**22)
    in_blocks = compare_pairs(compare, images, images, rows, columns)

    wide = images.astype(np.int64)
    assert sizes == [64] + [5] * 12 + [4]
    assert whole.tolist() == in_blocks.tolist() == (wide @ wide.T).ravel().tolist()
