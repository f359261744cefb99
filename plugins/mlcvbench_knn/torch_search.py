"""The searches in torch: every distance on a CPU or a GPU, and the Euclidean one on a GPU. Load it lazily.

Floating point only shortlists: with every value within a known share of the true one, the true neighbours, ties
included, are among those whose value is at most the k-th smallest and a little more. They are ranked in exact numbers,
where a rank depends on the two images alone; hence the neighbours are the same on every device.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch

from mlcvbench.contract import Array
from mlcvbench_knn.search import (
    BLOCK_BYTES,
    Queries,
    Search,
    compare_pairs,
    dot_products,
    first_k,
    power_sums,
    rows_within,
    slices,
)

CPU_BYTES, GPU_BYTES = 2**25, 2**28
"""Memory of the pixels of one block, in the type they are compared in."""
CACHE_BYTES = 2**21
"""Memory of one block of powers on a CPU: three passes over it cost a third while it stays in the cache."""
WHOLE, LARGEST = 2**24, 3e38
"""Up to here float32 holds every whole number, and numbers at all."""
SPAN = 1024
"""Powers summed in their own type; their sums are added in float64."""
ROUNDINGS = 300
"""Beside those of the sum: 16 of a power, in units of its last place, and those of `power_sums`."""
SPARE = 27
"""Candidates taken beside the k best on a GPU; where more may be nearest, all images are searched."""
TILE_BYTES = 2**30
"""Memory of one tile of the Euclidean search on a GPU."""


class TorchSearch(Search):
    """Search with the training images, uint8 (N, D), on a torch device, taken in blocks of bounded memory."""

    def __init__(self, images: Array, k: int, device: torch.device) -> None:
        super().__init__(images, k)
        self.device = device
        self.moved = self._move(images)
        self.block_bytes = CPU_BYTES if device.type == "cpu" else GPU_BYTES

    def prepare(self, pixels: Array) -> Queries:
        return Queries(pixels, self._move(pixels))

    def blocks(self, row_bytes: int) -> Iterator[slice]:
        """Yield slices of the training images; one image takes `row_bytes` while it is compared."""
        return slices(len(self.images), rows_within(self.block_bytes, row_bytes, 4096))

    def _move(self, pixels: Array) -> torch.Tensor:
        return torch.from_numpy(np.require(pixels, requirements=["C", "W"])).to(self.device)


class ExhaustiveSearch(TorchSearch):
    """Compute a value of every pair of images, in float64, and rank those that may be nearest by exact numbers."""

    most = 64
    """Queries taken at once, if the memory of their values allows."""
    slack = 0.0
    """Values at most this share above the k-th smallest may belong to one of the k nearest."""

    def __init__(self, images: Array, k: int, device: torch.device) -> None:
        super().__init__(images, k, device)
        self.tile = rows_within(BLOCK_BYTES, 8 * len(images), self.most)

    @abstractmethod
    def values(self, queries: torch.Tensor) -> torch.Tensor:
        """Return float64 (B, N) on the device for uint8 queries (B, D): smaller for nearer images, up to rounding."""

    @abstractmethod
    def ranks(self, pixels: Array, rows: Array, columns: Array, values: Array) -> Array:
        """Return (T,) by which the candidates of one query are ordered, equal for equal distances.

        `rows` of the queries `pixels`, uint8 (B, D), and `columns` of the images name the candidates (T,), which have
        these `values`.
        """

    def search_tile(self, pixels: Array, ready: torch.Tensor) -> Array:
        values = self.values(ready)  # (B, N)
        kth = values.topk(self.k, dim=1, largest=False).values[:, -1:]
        places = (values <= kth + self.slack * kth.abs()).nonzero(as_tuple=True)
        rows, columns, listed = (part.cpu().numpy() for part in (*places, values[places]))
        return first_k(rows, columns, self.ranks(pixels, rows, columns, listed), len(pixels), self.k)


class MinkowskiSearch(ExhaustiveSearch):
    """Search in L1, L-infinity or general Lp distance: sums of |q - x|^p rank like their p-th root, never taken.

    L1 and L-infinity distances of 8-bit images are whole numbers: exact in float32 up to 2^24 and in float64 beyond.
    For other p, sums of computed powers are off by a share of at most (min(D, SPAN) + D / SPAN + ROUNDINGS) u, with
    u = 2^-24 in float32 and 2^-53 in float64; images that may be nearest are ranked by `power_sums`, which says how
    exact it is.
    """

    def __init__(self, images: Array, k: int, p: float, device: torch.device) -> None:
        super().__init__(images, k, device)
        width = images.shape[1]
        self.p, self.whole = p, p in {1.0, math.inf}
        if self.whole:
            narrow = p == math.inf or 255 * width < WHOLE
        else:
            narrow = p * math.log(255) + math.log(width) < math.log(LARGEST)
            terms = min(width, SPAN) + width // SPAN + ROUNDINGS
            self.slack = 4 * terms * (2.0**-24 if narrow else 2.0**-53)
        self.dtype = torch.float32 if narrow else torch.float64
        if device.type == "cpu" and not self.whole:
            self.block_bytes = CACHE_BYTES

    def values(self, queries: torch.Tensor) -> torch.Tensor:
        """Return L1 or L-infinity distances, or sums of p-th powers, float64 (B, N)."""
        values = torch.empty((len(queries), len(self.images)), dtype=torch.float64, device=self.device)
        wide = queries.to(self.dtype)
        for rows in self.blocks(wide.element_size() * wide.shape[1]):
            images = self.moved[rows].to(self.dtype)
            values[:, rows] = torch.cdist(wide, images, p=self.p) if self.whole else self._power_sums(wide, images)
        return values

    def ranks(self, pixels: Array, rows: Array, columns: Array, values: Array) -> Array:
        if self.whole:
            return values
        return compare_pairs(partial(power_sums, p=self.p), pixels, self.images, rows, columns)

    def _power_sums(self, queries: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """Return the sums float64 (B, n) of queries (B, D) and a block of images (n, D), both of the compared type."""
        width, found = images.shape[1], []
        for rows in slices(len(queries), rows_within(self.block_bytes, images.nbytes, len(queries))):
            powers = (queries[rows, None] - images).abs_().pow_(self.p)  # (b, n, D)
            spans = [powers[:, :, first : first + SPAN].sum(dim=2) for first in range(0, width, SPAN)]
            found.append(torch.stack(spans).sum(dim=0, dtype=torch.float64))
        return torch.cat(found)


class CosineSearch(ExhaustiveSearch):
    """Search in cosine distance: the smaller, the larger (q.x)^2 / |x|^2, as 8-bit pixels are never negative.

    The products are exact in float64 and their quotients are rounded twice; images that may be nearest are ranked in
    whole numbers. An image that is all zero has no direction: its distance to everything, itself included, is 1.
    """

    most = 256
    slack = 2.0**-50

    def __init__(self, images: Array, k: int, device: torch.device) -> None:
        super().__init__(images, k, device)
        self.squares = np.maximum(dot_products(images, images), 1)  # (N,); 0 / 1 is what a black image shall give
        self._divisors = torch.from_numpy(self.squares).to(device).double()

    def values(self, queries: torch.Tensor) -> torch.Tensor:
        """Return -(q.x)^2 / |x|^2, float64 (B, N)."""
        values = torch.empty((len(queries), len(self.images)), dtype=torch.float64, device=self.device)
        wide = queries.double()
        for rows in self.blocks(8 * wide.shape[1]):
            products = wide @ self.moved[rows].double().T  # exact: whole numbers below 2^53
            values[:, rows] = -products.square() / self._divisors[rows]
        return values

    def ranks(self, pixels: Array, rows: Array, columns: Array, values: Array) -> Array:
        products = np.zeros(len(rows), np.int64)
        lit = values < 0  # an all-zero query has every image as its candidate: spare their products
        products[lit] = compare_pairs(dot_products, pixels, self.images, rows[lit], columns[lit])
        return cosine_ranks(products, np.where(lit, self.squares[columns], 1))


def cosine_ranks(products: Array, squares: Array) -> Array:
    """Return how images rank, int64 (T,), by (q.x)^2 / |x|^2, the largest first; equal quotients share a rank.

    `products` are q.x, `squares` |x|^2 of at least 1, int64 (T,). Decided in whole numbers: different quotients differ
    by at least 1 / max |x|^4, so their whole parts differ once they are multiplied by as much.

    >>> cosine_ranks(np.array([2, 1, 6]), np.array([2, 1, 18]))  # 4/2, 1/1, 36/18
    array([0, 1, 0])
    """
    pairs, places = np.unique(np.stack([products, squares], axis=1), axis=0, return_inverse=True)
    shift = 2 * int(squares.max()).bit_length()
    quotients = [-((product * product << shift) // square) for product, square in pairs.tolist()]
    _, ranks = np.unique(np.array(quotients, dtype=object), return_inverse=True)
    return np.asarray(ranks[places])


class EuclideanTorchSearch(TorchSearch):
    """The certified search of `EuclideanSearch`, where s, t and e are explained, for a GPU.

    The selection differs: a top-k of k + SPARE values replaces the maxima of groups. When the last of them is below
    t - 2e, every candidate is among them; otherwise the query is searched in full in float64. Keeps 4 N (D + 1) bytes
    beside the images.
    """

    def __init__(self, images: Array, k: int, device: torch.device) -> None:
        super().__init__(images, k, device)
        count, width = images.shape
        self.block_bytes = TILE_BYTES
        # A query has a row of s, and the pixels and differences of its candidates: 16 bytes a value.
        self.tile = rows_within(TILE_BYTES, max(4 * count, 16 * (k + SPARE) * width), 1024)
        self.shift = torch.round(self.moved.sum(dim=0, dtype=torch.float64) / count).float()  # (D,)
        self.lifted = torch.empty((count, width + 1), device=device)  # [x, -|x|^2/2]
        norms = torch.empty(count, dtype=torch.float64, device=device)
        for rows in self.blocks(16 * width):
            shifted = self.moved[rows].float() - self.shift
            norms[rows] = shifted.double().square().sum(dim=1)  # exact: integers
            self.lifted[rows, :width] = shifted
        self.lifted[:, width] = norms * -0.5
        self._largest = float(norms.max())

    def lift(self, queries: torch.Tensor) -> torch.Tensor:
        """Return [q, 1] of uint8 queries (B, D), float32 (B, D + 1)."""
        ones = torch.ones((len(queries), 1), device=self.device)
        return torch.cat([queries.float() - self.shift, ones], dim=1)

    def error_bound(self, lifted: torch.Tensor) -> torch.Tensor:
        """Return e of each query [q, 1], float64 (B,)."""
        terms = (lifted.shape[1] + 1) * 2.0**-24
        norms = lifted[:, :-1].double().square().sum(dim=1).sqrt()
        return (norms * math.sqrt(self._largest) + self._largest / 2) * (terms / (1 - terms))

    def search_tile(self, pixels: Array, ready: torch.Tensor) -> Array:
        count, lifted = len(self.images), self.lift(ready)
        listed = min(self.k + SPARE, count)
        with full_float32():
            products = lifted @ self.lifted.T  # (B, N): s
        values, columns = products.topk(listed, dim=1)  # (B, k + SPARE), largest first
        least = values[:, self.k - 1].double() - 2 * self.error_bound(lifted)
        certain = values[:, -1].double() < least if listed < count else torch.ones_like(least, dtype=torch.bool)
        differences = self.moved[columns].int() - ready[:, None].int()  # (B, k + SPARE, D)
        found = self._nearest(differences.square().sum(dim=2, dtype=torch.int64), columns)
        if not bool(certain.all()):
            found[~certain] = self.search_full(ready[~certain])
        return found.cpu().numpy()

    def search_full(self, queries: torch.Tensor) -> torch.Tensor:
        """Return the k nearest of uint8 queries (B, D) by all their distances in float64, int64 (B, k)."""
        columns = torch.arange(len(self.images), device=self.device)
        found = []
        for block in slices(len(queries), rows_within(TILE_BYTES, 16 * max(self.images.shape), 64)):
            wide = queries[block].double() - self.shift
            parts = []
            for rows in self.blocks(16 * wide.shape[1]):
                images = self.moved[rows].double() - self.shift
                norms = wide.square().sum(1)[:, None] + images.square().sum(1)
                parts.append(norms - 2 * wide @ images.T)  # exact: integers below 2^53
            found.append(self._nearest(torch.cat(parts, dim=1).long(), columns.expand(len(wide), -1)))
        return torch.cat(found)

    def _nearest(self, distances: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        """Return the k columns of smallest (distance, index)."""
        order = (distances * len(self.images) + columns).topk(self.k, dim=1, largest=False).indices
        return columns.gather(1, order)


@contextmanager
def full_float32() -> Iterator[None]:
    """Keep CUDA from rounding the factors of float32 products to TF32, whatever the process allows elsewhere.

    The error bound of the search is that of float32; with TF32's eleven bits neighbours would be missed unnoticed.
    """
    settings = torch.backends.cuda.matmul
    # Since torch 2.9 the older flag may not be read once the newer one was written.
    name, full = ("fp32_precision", "ieee") if hasattr(settings, "fp32_precision") else ("allow_tf32", False)
    before = getattr(settings, name)
    setattr(settings, name, full)
    try:
        yield
    finally:
        setattr(settings, name, before)
