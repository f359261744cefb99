"""What reads the vectors of images: multinomial logistic regression or k nearest neighbours."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np

from mlcvbench.contract import Array
from mlcvbench.errors import RecordError


class Reader(ABC):
    """A classifier of vectors (N, V)."""

    def __init__(self, classes: int, k: int, inverse_penalty: float) -> None:
        self.classes, self.k, self.inverse_penalty = classes, k, inverse_penalty

    @abstractmethod
    def fit(self, vectors: Array, labels: Array) -> None:
        """Learn from vectors float32 (N, V) and labels int (N,)."""

    @abstractmethod
    def scores(self, vectors: Array) -> Array:
        """Return scores float32 (N, C)."""

    @abstractmethod
    def macs(self) -> int:
        """Return the multiply-adds of one vector."""

    @abstractmethod
    def arrays(self) -> dict[str, Array]:
        """Return what was learned."""


class Linear(Reader):
    """Softmax regression with an L2 penalty (scikit-learn, L-BFGS). A class that never occurs scores lowest."""

    weight: Array
    bias: Array

    def fit(self, vectors: Array, labels: Array) -> None:
        from sklearn.linear_model import LogisticRegression

        seen = np.unique(labels)
        self.weight = np.zeros((self.classes, vectors.shape[1]), np.float32)
        self.bias = np.full(self.classes, 0.0 if len(seen) == self.classes else -1e4, np.float32)
        if len(seen) == 1:
            self.bias[seen] = 0.0
            return
        model = LogisticRegression(C=self.inverse_penalty, max_iter=200).fit(vectors, labels)
        if len(seen) == 2:  # one row, for the second class against the first
            model.coef_ = np.vstack([-model.coef_ / 2, model.coef_ / 2])
            model.intercept_ = np.concatenate([-model.intercept_ / 2, model.intercept_ / 2])
        self.weight[seen], self.bias[seen] = model.coef_, model.intercept_

    def scores(self, vectors: Array) -> Array:
        return np.asarray(vectors @ self.weight.T + self.bias, np.float32)

    def macs(self) -> int:
        return int(self.weight.size)

    def arrays(self) -> dict[str, Array]:
        return {"weight": self.weight, "bias": self.bias}


class Neighbours(Reader):
    """Shares of the classes among the k nearest training vectors (Euclidean, scikit-learn); ties: lower class."""

    vectors: Array
    labels: Array

    def fit(self, vectors: Array, labels: Array) -> None:
        self.vectors, self.labels = np.asarray(vectors, np.float32), np.asarray(labels, np.int64)

    def scores(self, vectors: Array) -> Array:
        from sklearn.neighbors import NearestNeighbors

        k = min(self.k, len(self.vectors))
        search = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(self.vectors)
        nearest = self.labels[search.kneighbors(vectors, return_distance=False)]  # (N, k)
        votes = np.zeros((len(vectors), self.classes), np.float32)
        np.add.at(votes, (np.arange(len(vectors))[:, None], nearest), 1.0 / k)
        return votes

    def macs(self) -> int:
        return int(self.vectors.size)

    def arrays(self) -> dict[str, Array]:
        return {"vectors": self.vectors, "labels": self.labels}


READERS: dict[str, type[Reader]] = {"linear": Linear, "knn": Neighbours}


def read_reader(name: str, arrays: Mapping[str, Array], classes: int, k: int) -> Reader:
    """Return a fitted reader from stored arrays; RecordError when some are missing."""
    reader = READERS[name](classes, k, 1.0)
    for field in ("weight", "bias") if name == "linear" else ("vectors", "labels"):
        if field not in arrays:
            raise RecordError(f"the stored codebook lacks {field!r}; it belongs to another classifier.")
        setattr(reader, field, arrays[field])
    return reader
