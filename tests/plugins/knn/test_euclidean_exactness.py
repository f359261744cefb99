"""The float32 search: its error bound holds, and distances that float32 cannot tell apart are ranked right."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.overrides import TorchFunctionMode

from mlcvbench_knn.search import EuclideanSearch, first_k, squared_distances
from mlcvbench_knn.torch_search import EuclideanTorchSearch, full_float32


def exact_distances(queries: np.ndarray, images: np.ndarray) -> np.ndarray:
    return ((queries[:, None].astype(np.int64) - images[None]) ** 2).sum(axis=2)


def exact_nearest(queries: np.ndarray, images: np.ndarray, k: int) -> np.ndarray:
    return np.argsort(exact_distances(queries, images), axis=1, kind="stable")[:, :k]


def near_copies(rng: np.random.Generator, count: int, width: int) -> np.ndarray:
    """Return images whose squared distances to black are above 2^24 and differ by 0, 2, 4 ... only."""
    images = np.repeat(rng.integers(240, 250, (1, width), dtype=np.uint8), count, axis=0)
    for image in images:
        for up, down in rng.integers(0, width, (rng.integers(0, 6), 2)):
            if abs(int(image[up]) - int(image[down])) <= 1:
                image[up] += 1
                image[down] -= 1
    return images


def torch_search(images: np.ndarray, k: int) -> EuclideanTorchSearch:
    """Return the search for a GPU, on the CPU."""
    return EuclideanTorchSearch(images, k, torch.device("cpu"))


@pytest.fixture(params=[EuclideanSearch, torch_search], ids=["numpy", "torch"])
def make_search(request):
    return request.param


@pytest.mark.parametrize("copies", [20, 900], ids=["candidates", "full search"])
def test_distances_that_float32_confuses_are_ranked_exactly(copies, make_search):
    rng = np.random.default_rng(copies)
    far = rng.integers(0, 256, (1000 - copies, 784), dtype=np.uint8) | 0xF8
    images = rng.permutation(np.concatenate([near_copies(rng, copies, 784), np.maximum(far, 251)]))
    queries = np.concatenate([np.zeros((3, 784), np.uint8), rng.integers(0, 3, (5, 784), dtype=np.uint8)])
    search = make_search(images, 5)

    found = np.asarray(search.search(search.prepare(queries)))

    distances = exact_distances(queries, images)
    naive = (queries.astype(np.float32)[:, None] - images).astype(np.float32)
    rounded = (naive**2).sum(axis=2, dtype=np.float32)
    assert distances.min() > 2**24
    assert not np.array_equal(np.argsort(rounded, axis=1, kind="stable")[:, :5], exact_nearest(queries, images, 5))
    assert np.array_equal(found, exact_nearest(queries, images, 5))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 700),
    width=st.sampled_from([1, 5, 64, 300]),
    high=st.sampled_from([1, 2, 16, 256]),
    share=st.floats(0, 1),
    make=st.sampled_from([EuclideanSearch, torch_search]),
)
def test_search_equals_sorting_all_integer_distances(seed, count, width, high, share, make):
    rng = np.random.default_rng(seed)
    images, queries = (rng.integers(0, high, (n, width), dtype=np.uint8) for n in (count, 9))
    k = max(1, round(share * count))
    search = make(images, k)

    assert np.array_equal(search.search(search.prepare(queries)), exact_nearest(queries, images, k))


@pytest.mark.parametrize("width", [16, 784, 3072])
@pytest.mark.parametrize("kind", ["noise", "black and white", "near copies"])
def test_the_error_bound_holds(width, kind, make_search):
    rng = np.random.default_rng(0)
    images = {
        "noise": rng.integers(0, 256, (400, width), dtype=np.uint8),
        "black and white": rng.integers(0, 2, (400, width), dtype=np.uint8) * np.uint8(255),
        "near copies": near_copies(rng, 400, width),
    }[kind]
    queries = rng.integers(0, 256, (50, width), dtype=np.uint8)
    search = make_search(images, 5)
    ready = search.prepare(queries).ready
    lifted = ready if isinstance(search, EuclideanSearch) else search.lift(ready)

    computed = np.asarray(lifted @ search.lifted.T).astype(np.float64)[:, :400]

    shift = np.asarray(search.shift).astype(np.int64)
    shifted_queries, shifted_images = queries - shift, images - shift
    true = shifted_queries @ shifted_images.T - (shifted_images**2).sum(axis=1) / 2
    assert (np.abs(computed - true) <= np.asarray(search.error_bound(lifted))[:, None]).all()


def test_more_queries_than_a_tile_are_searched_in_tiles(make_search):
    rng = np.random.default_rng(0)
    images, queries = (rng.integers(0, 256, (n, 20), dtype=np.uint8) for n in (300, 1100))
    search = make_search(images, 3)

    assert search.tile < len(queries)
    assert np.array_equal(search.search(search.prepare(queries)), exact_nearest(queries, images, 3))


FLAG, ALLOWED, FULL = (
    ("fp32_precision", "tf32", "ieee")
    if hasattr(torch.backends.cuda.matmul, "fp32_precision")
    else ("allow_tf32", True, False)
)
"""torch's setting since 2.9 and before, what allows rounded products and what does not."""


class FloatProducts(TorchFunctionMode):
    """Note with which precision CUDA would take each float32 matrix product."""

    def __init__(self) -> None:
        super().__init__()
        self.precisions: list[str | bool] = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch.Tensor.matmul and args[0].dtype == torch.float32:
            self.precisions.append(getattr(torch.backends.cuda.matmul, FLAG))
        return func(*args, **(kwargs or {}))


@pytest.fixture
def tf32_allowed():
    before = getattr(torch.backends.cuda.matmul, FLAG)
    setattr(torch.backends.cuda.matmul, FLAG, ALLOWED)
    yield
    setattr(torch.backends.cuda.matmul, FLAG, before)


@pytest.mark.usefixtures("tf32_allowed")
def test_the_products_are_of_full_float32_where_the_process_allows_tf32():
    images = np.random.default_rng(0).integers(0, 256, (40, 9), dtype=np.uint8)
    search = torch_search(images, 3)

    with FloatProducts() as products:
        search.search(search.prepare(images))

    assert products.precisions == [FULL]
    assert getattr(torch.backends.cuda.matmul, FLAG) == ALLOWED


def test_before_torch_2_9_the_older_flag_is_cleared_and_put_back(monkeypatch):
    older = SimpleNamespace(allow_tf32=True)
    monkeypatch.setattr(torch.backends.cuda, "matmul", older)

    with full_float32():
        assert not older.allow_tf32

    assert older.allow_tf32


def test_squared_distances_do_not_wrap():
    black, white = np.zeros((1, 40_000), np.uint8), np.full((1, 40_000), 255, np.uint8)

    assert squared_distances(black, white).tolist() == [40_000 * 255**2]


def test_equal_distances_are_ordered_by_index_whatever_the_order_of_candidates():
    rows, columns = np.array([1, 0, 1, 0, 0]), np.array([9, 8, 3, 2, 5])
    distances = np.array([4, 1, 4, 1, 0])

    assert first_k(rows, columns, distances, 2, 2).tolist() == [[5, 2], [3, 9]]


def test_equal_distances_are_ordered_by_index_in_the_full_search(make_search):
    images = np.array([[2], [1], [1], [1]], np.uint8)
    search = make_search(images, 2)
    queries = search.prepare(np.zeros((1, 1), np.uint8))

    found = search.search_full(queries.pixels if isinstance(search, EuclideanSearch) else queries.ready)

    assert found.tolist() == [[1, 2]]
