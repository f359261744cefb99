"""Classifiers of the image vectors: multinomial logistic regression or k nearest neighbours."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np

from mlcvbench.contract import Array
from mlcvbench.errors import DataError, RecordError
from mlcvbench_bovw.stored import Layout


class Reader(ABC):
    """A classifier of vectors (N, V)."""

    def __init__(self, classes: int, k: int, inverse_penalty: float) -> None:
        self.classes, self.k, self.inverse_penalty = classes, k, inverse_penalty

    def check(self, images: int) -> None:
        """Refuse too few training images, before they are described."""

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
        """Return the learned arrays."""

    @abstractmethod
    def layouts(self, length: int) -> dict[str, Layout]:
        """Return the layout of `arrays` for vectors of `length` numbers."""

    @abstractmethod
    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Restore what `arrays` returned; RecordError when its numbers are inconsistent."""


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

    def layouts(self, length: int) -> dict[str, Layout]:
        return {"weight": Layout("float32", (self.classes, length)), "bias": Layout("float32", (self.classes,))}

    def restore(self, arrays: Mapping[str, Array]) -> None:
        self.weight, self.bias = arrays["weight"], arrays["bias"]


class Neighbours(Reader):
    """Shares of the classes among the k nearest training vectors (Euclidean, scikit-learn); ties: lower class."""

    vectors: Array
    labels: Array

    def check(self, images: int) -> None:
        if images < self.k:
            raise DataError(f"k={self.k} needs as many training images, got {images}; set a smaller model.k.")

    def fit(self, vectors: Array, labels: Array) -> None:
        self.vectors, self.labels = np.asarray(vectors, np.float32), np.asarray(labels, np.int64)

    def scores(self, vectors: Array) -> Array:
        from sklearn.neighbors import NearestNeighbors

        search = NearestNeighbors(n_neighbors=self.k, algorithm="brute").fit(self.vectors)
        nearest = self.labels[search.kneighbors(vectors, return_distance=False)]  # (N, k)
        votes = np.zeros((len(vectors), self.classes), np.float32)
        np.add.at(votes, (np.arange(len(vectors))[:, None], nearest), 1.0 / self.k)
        return votes

    def macs(self) -> int:
        return int(self.vectors.size)

    def arrays(self) -> dict[str, Array]:
        return {"vectors": self.vectors, "labels": self.labels}

    def layouts(self, length: int) -> dict[str, Layout]:
        return {"vectors": Layout("float32", (None, length)), "labels": Layout("int64", (None,))}

    def restore(self, arrays: Mapping[str, Array]) -> None:
        vectors, labels = arrays["vectors"], arrays["labels"]
        count, highest = len(vectors), self.classes - 1
        if count != len(labels):
            raise RecordError(f"the stored neighbours: {count} vectors and {len(labels)} labels, wanted as many.")
        if count < self.k:
            raise RecordError(f"the stored neighbours: k={self.k} needs as many, got {count}; set a smaller model.k.")
        if labels.min() < 0 or labels.max() > highest:
            found = f"labels from {labels.min()} to {labels.max()}"
            raise RecordError(f"the stored neighbours: {found}, wanted 0 to {highest}; fit the model again.")
        self.vectors, self.labels = vectors, labels


READERS: dict[str, type[Reader]] = {"linear": Linear, "knn": Neighbours}
