"""Depth of patches from their colour and texture, after Saxena, Chung and Ng, Learning depth from single monocular
images, NIPS 2005: absolute filter responses at three scales, those of patches above and below, and a regression of its
own for each row of patches, since what a texture means depends on how high in the image it is.

Left out are the paper's oriented edge filters and the Markov random field that joins neighbouring patches; a ridge
penalty takes the place of constrained least squares.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np

from mlcvbench.contract import Array, Batch, FitContext, Model, Operations, ParameterCounts, Predictions, Problem, Split
from mlcvbench.errors import DataError, RequestError
from mlcvbench.files.arrays import read_arrays, write_arrays
from mlcvbench_monodepth.log_depth import from_grid, to_grid, training_pairs

STATE_FILE = "patch_depth.safetensors"
LAWS = ((1, 2, 1), (-1, 0, 1), (-1, 2, -1))
"""Laws' level, edge and spot; the nine products of a column and a row are the masks of the paper's figure 1."""
CHANNELS = len(LAWS) ** 2 + 2
SCALES = (1, 3, 9)
"""Sides of the windows, in patches."""
CONTEXT = (-8, -4, -2, 2, 4, 8)
"""Rows above and below whose middle-scale features a patch also gets."""
FEATURES = CHANNELS * (len(SCALES) + len(CONTEXT)) + 2


class PatchDepth(Model):
    """log depth = w_r . x + b_r for the features x of a patch in row r."""

    def __init__(self, problem: Problem, **params: Any) -> None:
        super().__init__(problem, **params)
        height, width = params["size"]
        self._cell = int(params["cell"])
        if height % self._cell or width % self._cell:
            raise RequestError(f"patch_depth: size=[{height},{width}]: wanted multiples of cell={self._cell}.")
        self._size = (int(height), int(width))
        self._grid = (self._size[0] // self._cell, self._size[1] // self._cell)
        self._weights = np.zeros((self._grid[0], FEATURES))
        self._bias = np.zeros(self._grid[0])

    def fit(self, train: Split, val: Split | None, ctx: FitContext) -> None:
        """Solve each row's ridge regression from sums over the training patches with known depth."""
        moments = Moments.of(self._grid[0], FEATURES)
        for done, (image, depth) in enumerate(training_pairs(train, "patch_depth"), 1):
            logarithm, share = to_grid(depth, self._grid)
            moments.add(self._features(image), logarithm, share > 0)
            ctx.progress(done, len(train))
        if not moments.count.any():
            raise DataError(f"patch_depth: split {train.name!r} has no known depth.")
        self._weights, self._bias = moments.solve(float(self.params["penalty"]))

    def preprocess(self, batch: Batch) -> list[tuple[Array, tuple[int, int]]]:
        return [(self._features(image), image.shape[:2]) for image in batch.inputs["image"]]

    def forward(self, inputs: list[tuple[Array, tuple[int, int]]]) -> list[Array]:
        outputs = []
        for features, size in inputs:
            logarithm = np.einsum("rcf,rf->rc", features, self._weights) + self._bias[:, None]
            outputs.append(from_grid(logarithm, size))
        return outputs  # float32 (H, W) each

    def postprocess(self, outputs: list[Array], batch: Batch) -> Predictions:
        return {"depth": outputs}

    def operations(self, inputs: Any) -> Operations:
        """Count the regression and the separable masks: 6 multiplications per pixel and mask."""
        patches, pixels = self._grid[0] * self._grid[1], self._size[0] * self._size[1]
        return Operations(macs=patches * FEATURES + pixels * 6 * len(LAWS) ** 2)

    def parameters(self) -> ParameterCounts:
        count = self._weights.size + self._bias.size
        return ParameterCounts(trainable=count, bytes=self._weights.nbytes + self._bias.nbytes)

    def save(self, folder: Path) -> None:
        write_arrays(folder / STATE_FILE, {"weights": self._weights, "bias": self._bias})

    def load(self, folder: Path) -> None:
        stored = read_arrays(folder / STATE_FILE, {"weights": ("float64", 2), "bias": ("float64", 1)})
        self._weights, self._bias = stored["weights"], stored["bias"]

    def _features(self, image: Array) -> Array:
        """Return float32 (rows, columns, FEATURES) of an image uint8 (H, W, 3) or (H, W)."""
        maps = responses(np.asarray(image), self._size)
        scales = [self._pooled(maps, windows) for windows in SCALES]
        rows = np.arange(self._grid[0])
        around = [scales[1][np.clip(rows + shift, 0, self._grid[0] - 1)] for shift in CONTEXT]
        across = np.broadcast_to(np.linspace(-1, 1, self._grid[1], dtype=np.float32), self._grid)
        return np.dstack([*scales, *around, across, across**2])

    def _pooled(self, maps: Array, windows: int) -> Array:
        """Return means over windows around each patch, float32 (rows, columns, CHANNELS)."""
        import cv2

        # Whole patches first: then a window is an odd number of them, centred.
        rows, columns = self._grid
        patches = maps.reshape(rows, self._cell, columns, self._cell, CHANNELS).mean(axis=(1, 3))
        pooled: Array = cv2.blur(patches, (windows, windows), borderType=cv2.BORDER_REPLICATE)
        return pooled


def responses(image: Array, size: tuple[int, int]) -> Array:
    """Return brightness, the absolute responses of Laws' other masks, and both colour differences.

    float32 (H, W, CHANNELS) of an image resized to `size`, of the order of 1.
    """
    import cv2

    colored = np.ascontiguousarray(image if image.ndim == 3 else np.stack([image] * 3, axis=2))
    if colored.shape[:2] != size:
        colored = cv2.resize(colored, (size[1], size[0]), interpolation=cv2.INTER_AREA)
    light, red, blue = np.moveaxis(cv2.cvtColor(colored, cv2.COLOR_RGB2YCrCb).astype(np.float32) / 255, 2, 0)
    masks = [np.array(mask, dtype=np.float32) for mask in LAWS]
    answers = [
        np.abs(cv2.sepFilter2D(light, cv2.CV_32F, across, down, borderType=cv2.BORDER_REFLECT_101))
        for across, down in itertools.product(masks, masks)
    ]
    answers[0] /= 16  # the sum of the mask of brightness
    return np.dstack([*answers, red, blue])


class Moments:
    """Sums from which each row's ridge regression follows: training data of any size need no more memory."""

    def __init__(self, count: Array, x: Array, y: Array, xx: Array, xy: Array) -> None:
        self.count, self.x, self.y, self.xx, self.xy = count, x, y, xx, xy

    @classmethod
    def of(cls, rows: int, features: int) -> Moments:
        """Return empty sums."""
        wide = np.zeros((rows, features))
        return cls(np.zeros(rows), wide, np.zeros(rows), np.zeros((rows, features, features)), wide.copy())

    def add(self, features: Array, values: Array, known: Array) -> None:
        """Add an image: features (rows, columns, F), values and known (rows, columns)."""
        chosen = np.where(known[..., None], features, 0).astype(np.float64)
        wanted = np.where(known, values, 0)
        self.count += known.sum(axis=1)
        self.x += chosen.sum(axis=1)
        self.y += wanted.sum(axis=1)
        self.xx += np.matmul(chosen.transpose(0, 2, 1), chosen)
        self.xy += np.einsum("rcf,rc->rf", chosen, wanted)

    def solve(self, penalty: float) -> tuple[Array, Array]:
        """Return weights (rows, F) and biases (rows,): least squares plus `penalty` times |w|^2, standardised features.

        A row without known patches predicts the mean of all.
        """
        rows, features = self.x.shape
        weights, bias = np.zeros((rows, features)), np.full(rows, self.y.sum() / self.count.sum())
        for row in np.flatnonzero(self.count):
            count = self.count[row]
            mean, middle = self.x[row] / count, self.y[row] / count
            spread = np.sqrt(np.maximum(np.diag(self.xx[row]) / count - mean**2, 0))
            spread[spread < 1e-6] = np.inf  # a constant feature explains nothing
            centred = (self.xx[row] / count - np.outer(mean, mean)) / np.outer(spread, spread)
            toward = (self.xy[row] / count - mean * middle) / spread
            weights[row] = np.linalg.solve(centred + np.eye(features) * max(penalty / count, 1e-9), toward) / spread
            bias[row] = middle - weights[row] @ mean
        return weights, bias
