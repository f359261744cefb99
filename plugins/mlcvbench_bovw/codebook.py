"""Visual words: centres of k-means over descriptors of training images, and encodings of images by them."""

from __future__ import annotations

import numpy as np

from mlcvbench.contract import Array
from mlcvbench.errors import DataError

EPSILON = 1e-12


def learn_words(descriptors: Array, words: int, seed: int) -> Array:
    """Return `words` centres float32 (K, D) of descriptors (P, D) by mini-batch k-means; DataError when P < K."""
    from sklearn.cluster import MiniBatchKMeans

    if len(descriptors) < words:
        got = len(descriptors)
        raise DataError(f"words={words} needs as many patches to learn from, got {got}; set a smaller model.words.")
    means = MiniBatchKMeans(words, random_state=seed, n_init=1, batch_size=4096, max_iter=50).fit(descriptors)
    return np.asarray(means.cluster_centers_, np.float32)


def squared_distances(descriptors: Array, words: Array) -> Array:
    """Return |x - c|^2 float32 (P, K), never negative."""
    squares = (descriptors**2).sum(axis=1)[:, None] - 2 * descriptors @ words.T + (words**2).sum(axis=1)
    return np.asarray(np.maximum(squares, 0), np.float32)


def histogram(descriptors: Array, words: Array, *, width: float = 0.0) -> Array:
    """Return the histogram of words of an image, float32 (K,).

    `width` 0: each descriptor counts for its nearest word; else it is shared out by exp(-|x - c|^2 / (2 width^2))
    (van Gemert et al. 2008, codeword uncertainty). No descriptors, as in an image without corners: all zeros.
    """
    if not len(descriptors):
        return np.zeros(len(words), np.float32)
    distances = squared_distances(descriptors, words)
    if not width:
        return np.bincount(distances.argmin(axis=1), minlength=len(words)).astype(np.float32)
    shares = np.exp(-(distances - distances.min(axis=1, keepdims=True)) / (2 * width**2))
    return np.asarray((shares / shares.sum(axis=1, keepdims=True)).sum(axis=0), np.float32)


def rarity(counts: Array) -> Array:
    """Return log(N / n_k), float32 (K,): N images with `counts` (N, K) of words, n_k of which have word k, at least 1.

    The inverse document frequency of Sivic and Zisserman 2003: a word that every image has is uninformative.

    >>> rarity(np.array([[3, 1], [2, 0]])).astype(float).round(4).tolist()
    [0.0, 0.6931]
    """
    images = np.maximum((counts > 0).sum(axis=0), 1)
    return np.asarray(np.log(len(counts) / images), np.float32)


def normalised(counts: Array, norm: str) -> Array:
    """Return a histogram normalised to be independent of the number of patches: `l1`, `l2`, or roots of l1.

    The linear kernel of roots is Hellinger's, which suits histograms.

    >>> normalised(np.array([3.0, 1.0]), "l1").tolist()
    [0.75, 0.25]
    """
    if norm == "l2":
        return np.asarray(counts / max(float(np.linalg.norm(counts)), EPSILON))
    shares = counts / max(float(np.abs(counts).sum()), EPSILON)
    return np.asarray(shares if norm == "l1" else np.sqrt(shares))


def residual_sums(descriptors: Array, words: Array) -> Array:
    """Return float32 (K, D): for each word the SUM of x - c over the descriptors (P, D) nearest to it; zeros for none.

    >>> residual_sums(np.array([[1.0, 0.0], [3.0, 2.0]]), np.array([[0.0, 0.0], [9.0, 9.0]])).tolist()
    [[4.0, 2.0], [0.0, 0.0]]
    """
    sums = np.zeros(words.shape, np.float32)
    if len(descriptors):
        nearest = squared_distances(descriptors, words).argmin(axis=1)
        np.add.at(sums, nearest, descriptors - words[nearest])
    return sums


def vlad_vector(sums: Array) -> Array:
    """Return VLAD float32 (K * D,) from sums of residuals (K, D); all zeros stay so.

    Each word's part is scaled to length 1 (intra-normalisation, Arandjelovic and Zisserman 2013), then signed roots are
    taken and the whole is scaled to length 1.
    """
    parts = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), EPSILON)
    rooted = np.sign(parts) * np.sqrt(np.abs(parts))
    return np.asarray((rooted / max(float(np.linalg.norm(rooted)), EPSILON)).ravel(), np.float32)
