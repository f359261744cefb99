"""A fitted random forest as plain arrays, evaluated level by level for many samples at once.

scikit-learn grows the trees; what is kept are arrays, so that a forest can be saved without pickle and read back
without trust. The probabilities are those of scikit-learn's `predict_proba` with one job, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from mlcvbench.contract import Array
from mlcvbench.errors import RecordError

BLOCK = 8192
"""Samples that are processed together: their positions fit in the processor's cache."""
DEEPEST = 64
"""The most levels below the root of a stored tree."""
ARRAYS = {
    "roots": ("int32", 1),
    "feature": ("int32", 1),
    "threshold": ("float32", 1),
    "left": ("int32", 1),
    "leaf": ("int32", 1),
    "probability": ("float64", 2),
}
"""Name, dtype and axes of what a forest is made of."""


class ArrayForest:
    """T trees with M nodes and L leaves in all, for F features and C classes.

    - `roots` int32 (T,): the first node of each tree; its nodes follow up to the next tree's.
    - `feature` int32 (M,): the feature that a node tests; 0 in a leaf.
    - `threshold` float32 (M,): a sample whose feature is larger goes right; infinite in a leaf.
    - `left` int32 (M,): the left child; the right one is the node after it. A leaf is its own left child, so a sample
      that has arrived stays.
    - `leaf` int32 (M,): which row of `probability` a leaf has; -1 in other nodes.
    - `probability` float64 (L, C): how frequent each class was among the samples of the leaf.

    RecordError when the arrays are not a valid forest.
    """

    def __init__(self, arrays: Mapping[str, Array], features: int) -> None:
        self.arrays, self.features = dict(arrays), features
        self._depth = _node_depths(self.arrays, features)
        bounds = np.append(arrays["roots"], len(arrays["left"]))
        self._trees = [
            (start, int(self._depth[start:end].max()))
            for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)
        ]
        self._left, self._feature = arrays["left"].astype(np.intp), arrays["feature"].astype(np.intp)

    @property
    def classes(self) -> int:
        """C."""
        return int(self.arrays["probability"].shape[1])

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays: what is saved."""
        return sum(array.nbytes for array in self.arrays.values())

    @property
    def numbers(self) -> int:
        """How many numbers were learned: a feature and a threshold per inner node, a probability per class and leaf."""
        return 2 * int(np.count_nonzero(self.arrays["leaf"] < 0)) + int(self.arrays["probability"].size)

    def probabilities(self, columns: Array, threads: int = 1) -> Array:
        """Return the mean over trees of the leaves' class frequencies, float64 (N, C).

        `columns`: float32 (F, N), the features of N samples, finite. The result does not depend on `threads`.
        """
        total = np.zeros((columns.shape[1], self.classes))
        probability, leaf = self.arrays["probability"], self.arrays["leaf"]

        def add(block: slice) -> None:
            for nodes in self._walk(columns, block):
                total[block] += probability.take(leaf.take(nodes), axis=0)

        self._in_blocks(add, columns.shape[1], threads)
        total /= len(self._trees)
        return total

    def comparisons(self, columns: Array, threads: int = 1) -> int:
        """Return how many nodes the samples (F, N) pass, in all trees together: one comparison each."""
        passed = np.zeros(columns.shape[1], dtype=np.int64)

        def add(block: slice) -> None:
            for nodes in self._walk(columns, block):
                passed[block] += self._depth.take(nodes)

        self._in_blocks(add, columns.shape[1], threads)
        return int(passed.sum())

    def _walk(self, columns: Array, block: slice) -> Iterator[Array]:
        """Yield, tree by tree, the leaf node (n,) of each sample of the block."""
        values = np.ascontiguousarray(columns, dtype=np.float32).reshape(-1)
        samples = np.arange(block.start, block.stop)
        starts = self._feature * columns.shape[1]  # where a node's feature begins among the values
        for root, levels in self._trees:
            nodes = np.full(len(samples), root, dtype=np.intp)
            for _ in range(levels):
                right = values.take(starts.take(nodes) + samples) > self.arrays["threshold"].take(nodes)
                nodes = self._left.take(nodes)
                nodes += right
            yield nodes

    @staticmethod
    def _in_blocks(work: Callable[[slice], None], count: int, threads: int) -> None:
        blocks = [slice(start, min(start + BLOCK, count)) for start in range(0, count, BLOCK)]
        if threads > 1 and len(blocks) > 1:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(work, blocks))
        else:
            for block in blocks:
                work(block)

    def with_used_features(self) -> tuple[ArrayForest, Array]:
        """Return the same forest over only the features that it uses, and their indices, int64 (f,)."""
        inner = self.arrays["leaf"] < 0
        used = np.unique(self.arrays["feature"][inner])
        used = used if len(used) else np.zeros(1, dtype=np.int32)
        feature = np.where(inner, np.searchsorted(used, self.arrays["feature"]), 0).astype(np.int32)
        return ArrayForest(self.arrays | {"feature": feature}, len(used)), used.astype(np.int64)


def from_sklearn(forest: Any, classes: int) -> ArrayForest:
    """Return scikit-learn's fitted RandomForestClassifier as arrays.

    `classes`: C; a class of which the forest saw no sample has probability 0. Thresholds become the largest float32
    not above scikit-learn's float64: no float32 feature lies between the two.
    """
    columns = forest.classes_.astype(np.int64)
    parts: dict[str, list[Array]] = {name: [] for name in ARRAYS}
    nodes = leaves = 0
    for one in forest.estimators_:
        tree = _tree_arrays(one.tree_, nodes, leaves)
        probability = np.zeros((len(tree["probability"]), classes))
        probability[:, columns] = tree["probability"]
        tree["probability"], tree["roots"] = probability, np.array([nodes], dtype=np.int32)
        nodes, leaves = nodes + len(tree["left"]), leaves + len(probability)
        for name, array in tree.items():
            parts[name].append(array)
    return ArrayForest({name: np.concatenate(part) for name, part in parts.items()}, int(forest.n_features_in_))


def _tree_arrays(tree: Any, first_node: int, first_leaf: int) -> dict[str, Array]:
    """Return one of scikit-learn's trees with its nodes in breadth-first order, so that siblings are neighbours."""
    levels, front = [np.zeros(1, dtype=np.int64)], np.zeros(1, dtype=np.int64)
    while len(front):
        inner = front[tree.children_left[front] >= 0]
        front = np.stack([tree.children_left[inner], tree.children_right[inner]], axis=1).reshape(-1)
        levels.append(front)
    order = np.concatenate(levels)  # old number of each new node
    new = np.empty_like(order)
    new[order] = np.arange(len(order))
    left = tree.children_left[order]
    inside = left >= 0
    exact = tree.threshold[order]
    threshold = exact.astype(np.float32)
    threshold = np.where(threshold > exact, np.nextafter(threshold, np.float32(-np.inf)), threshold)
    return {
        "feature": np.where(inside, tree.feature[order], 0).astype(np.int32),
        "threshold": np.where(inside, threshold, np.float32(np.inf)),
        "left": (np.where(inside, new[left], np.arange(len(order))) + first_node).astype(np.int32),
        "leaf": np.where(inside, -1, np.cumsum(~inside) - 1 + first_leaf).astype(np.int32),
        "probability": tree.value[order[~inside], 0, :],
    }


def _node_depths(arrays: Mapping[str, Array], features: int) -> Array:
    """Return the level (M,) of each node below its root, after checking that the arrays are trees and nothing else."""
    left, inner = arrays["left"].astype(np.int64), arrays["leaf"] < 0
    if not (_nodes_are_sound(arrays, features) and _is_forest(arrays["roots"].astype(np.int64), left, inner)):
        raise RecordError("forest: the stored arrays are no trees (a child, a feature or a leaf is out of place).")
    depth = np.zeros(len(left), dtype=np.int64)
    front = arrays["roots"].astype(np.int64)
    for level in range(DEEPEST + 1):
        depth[front] = level
        parents = front[inner[front]]
        front = np.concatenate([left[parents], left[parents] + 1])
    if len(front):
        raise RecordError(f"forest: a stored tree has more than {DEEPEST} levels below its root.")
    return depth


def _nodes_are_sound(arrays: Mapping[str, Array], features: int) -> bool:
    """Tell whether every node, for itself, asks for a feature that exists or has a leaf's row."""
    leaf, feature, threshold, probability = (arrays[k] for k in ("leaf", "feature", "threshold", "probability"))
    if not len(arrays["left"]) == len(leaf) == len(feature) == len(threshold):
        return False
    ends = leaf >= 0
    return (
        np.array_equal(leaf[ends], np.arange(len(probability)))
        and bool(((feature >= 0) & (feature < features)).all())
        and bool((threshold[ends] == np.inf).all())
        and not bool(np.isnan(threshold).any())
        and bool(np.isfinite(probability).all())
    )


def _is_forest(roots: Array, left: Array, inner: Array) -> bool:
    """Tell whether each node but the roots has one parent, which stands before it in the same tree."""
    numbers, ends = np.arange(len(left)), np.append(roots[1:], len(left))
    if len(roots) == 0 or roots[0] != 0 or not (roots < ends).all():
        return False
    end = np.repeat(ends, ends - roots)  # where each node's tree ends
    if not np.where(inner, (left > numbers) & (left + 1 < end), left == numbers).all():
        return False
    return np.array_equal(np.sort(np.concatenate([roots, left[inner], left[inner] + 1])), numbers)
