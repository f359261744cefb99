"""Exact search in cosine distance. Imports torch: load it lazily."""

from __future__ import annotations

import numpy as np
import torch

from mlcvbench.contract import Array
from mlcvbench_knn.distances import compare_pairs, cosine_ranks, dot_products
from mlcvbench_knn.torch_search import ExhaustiveIndex


class CosineIndex(ExhaustiveIndex):
    """The smaller 1 - q.x / (|q| |x|), the larger (q.x)^2 / |x|^2, as 8-bit pixels are never negative.

    The products are exact in float64 and their quotients are rounded twice; images that may be nearest are ranked in
    whole numbers. An image that is all zero has no direction: its distance to everything, itself included, is 1.
    """

    tile = 256
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
