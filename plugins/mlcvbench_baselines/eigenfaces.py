"""Eigenfaces and Fisherfaces: faces compared in a linear subspace that training faces span.

Sources: Turk and Pentland, "Eigenfaces for recognition", Journal of Cognitive Neuroscience 3, 1991; Belhumeur, Hespanha
and Kriegman, "Eigenfaces vs. Fisherfaces", IEEE PAMI 19, 1997 (the first eigenfaces capture lighting; drop them, or
learn which differences do not distinguish people); Moon and Phillips, "Computational and performance aspects of
PCA-based face-recognition algorithms", Perception 30, 2001 (whitening and the angle beat plain Euclidean distance).

Distances between plain projections are nearly those between the pixels: PCA alone recognises no better than pixels. The
defaults were chosen on the validation people of the rendered faces, never on the test people.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mlcvbench.contract import (
    Array,
    Batch,
    FitContext,
    FitReport,
    Model,
    Operations,
    ParameterCounts,
    Predictions,
    Split,
)
from mlcvbench.errors import DataError, RecordError
from mlcvbench.files.arrays import read_arrays, write_arrays
from mlcvbench_baselines.grey_pixels import grey_rows

STATE_FILE = "subspace.safetensors"
_READ = 256
"""Number of training images read at once."""


class Eigenfaces(Model):
    """Embed an image as its coordinates along `components` eigenfaces, without the first `drop`.

    Grey pixels x (D,), shrunk to `side` x `side`, minus the mean training face, times the K leading eigenvectors of the
    training faces' covariance. `whiten` divides each coordinate by its standard deviation over the training faces, so
    that `distance=l2` is the Mahalanobis distance. There are at most as many eigenfaces as the training images span.
    """

    name = "eigenfaces"

    def fit(self, train: Split, val: Split | None, ctx: FitContext) -> FitReport:
        faces, identity = self._training_faces(train)  # (N, D), (N,)
        self._mean, basis = self._subspace(faces, identity, train.name)
        self._basis = basis.astype(np.float32)  # (K, D)
        return FitReport()

    def preprocess(self, batch: Batch) -> Array:
        return grey_rows([np.ascontiguousarray(image) for image in batch.inputs["image"]], self.params["side"])

    def forward(self, inputs: Array) -> Array:
        centred = (inputs - self._mean).astype(np.float64)  # (B, D)
        embedding: Array = (centred @ self._basis.T.astype(np.float64)).astype(np.float32)  # (B, K)
        if self.params["distance"] == "cosine":
            embedding[~embedding.any(axis=1)] = 1  # the mean face itself has no direction
        return embedding

    def postprocess(self, outputs: Array, batch: Batch) -> Predictions:
        return {"embedding": outputs, "distance": self.params["distance"]}

    def operations(self, inputs: Any) -> Operations:
        return Operations(macs=self._basis.size)

    def parameters(self) -> ParameterCounts:
        return ParameterCounts(
            trainable=self._mean.size + self._basis.size, bytes=self._mean.nbytes + self._basis.nbytes
        )

    def save(self, folder: Path) -> None:
        write_arrays(folder / STATE_FILE, {"mean": self._mean, "basis": self._basis})

    def load(self, folder: Path) -> None:
        arrays = read_arrays(folder / STATE_FILE, {"mean": ("float32", 1), "basis": ("float32", 2)})
        pixels = self.params["side"] ** 2
        if arrays["mean"].shape != (pixels,) or arrays["basis"].shape[1] != pixels or not len(arrays["basis"]):
            raise RecordError(
                f"{STATE_FILE}: wanted a mean and at least one direction of {pixels} pixels, "
                f"got {arrays['mean'].shape} and {arrays['basis'].shape}."
            )
        self._mean, self._basis = arrays["mean"], arrays["basis"]

    def _training_faces(self, train: Split) -> tuple[Array, Array]:
        parts = [
            (self.preprocess(batch), np.asarray(targets.get("identity", ()))) for batch, targets in train.batches(_READ)
        ]
        if not parts:
            raise DataError(f"{self.name}: split {train.name!r} has no images.")
        faces, identity = (np.concatenate(column) for column in zip(*parts, strict=True))
        return faces, identity

    def _subspace(self, faces: Array, identity: Array, where: str) -> tuple[Array, Array]:
        """Return the mean face float32 (D,) and the directions float64 (K, D)."""
        drop = self.params["drop"]
        mean, vectors, deviations = eigenfaces(faces, drop + self.params["components"])
        if len(vectors) <= drop:
            raise DataError(
                f"eigenfaces: split {where!r} spans {len(vectors)} eigenfaces, of which drop={drop} leaves none."
            )
        kept, spread = vectors[drop:], deviations[drop:]
        return mean, kept / spread[:, None] if self.params["whiten"] else kept


class Fisherfaces(Eigenfaces):
    """Embed an image along the directions that best tell training people apart, found among the leading eigenfaces.

    At most `eigenfaces` of them, and never more than images minus people, since the within-person scatter must be
    invertible (Belhumeur et al., equation 5); of the discriminants, at most people minus one, `components` are kept.
    They are scaled so that the photographs of one person scatter alike in all directions.
    """

    name = "fisherfaces"

    def _subspace(self, faces: Array, identity: Array, where: str) -> tuple[Array, Array]:
        from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

        names, places = np.unique(identity, return_inverse=True)
        people = len(names)
        spare = len(faces) - people
        if people < 2 or spare < 1:
            raise DataError(
                f"fisherfaces: split {where!r} has {len(faces)} images of {people} people; "
                "wanted two people or more, and two images of at least one."
            )
        mean, vectors, _ = eigenfaces(faces, min(self.params["eigenfaces"], spare))
        if not len(vectors):
            raise DataError(f"fisherfaces: all images of split {where!r} are equal.")
        coordinates = (faces - mean).astype(np.float64) @ vectors.T  # (N, M)
        scalings = LinearDiscriminantAnalysis(solver="svd").fit(coordinates, identity).scalings_
        means = np.stack([coordinates[places == place].mean(axis=0) for place in range(people)])
        within = (coordinates - means[places]) @ scalings[:, :1]
        # scikit-learn divides the scatter by N since 1.9, by N minus people before
        unit = round(float(np.sqrt(np.mean(within**2))), 12)
        return mean, (scalings.T @ vectors / unit)[: self.params["components"]]


def eigenfaces(faces: Array, most: int) -> tuple[Array, Array, Array]:
    """Return the mean float32 (D,), at most `most` eigenfaces float64 (K, D) and the standard deviations (K,) along.

    `faces`: (N, D). Eigenfaces have length 1 and descending deviation; those with zero deviation are dropped.
    """
    from sklearn.decomposition import PCA

    wide = faces.astype(np.float64)
    if len(wide) < 2 or not np.ptp(wide, axis=0).any():
        return wide.mean(axis=0).astype(np.float32), wide[:0], np.empty(0)
    found = PCA(min(most, *wide.shape), svd_solver="full").fit(wide)
    deviations = np.sqrt(found.explained_variance_)
    least = np.sqrt(found.explained_variance_[0]) * max(wide.shape) * np.finfo(np.float64).eps
    real = deviations > least
    return found.mean_.astype(np.float32), found.components_[real], deviations[real]
