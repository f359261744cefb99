"""The files of docs/depth.md: `street` with depth, `pairs` and `kitti` with disparities, and predictions for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from support.depth_maps import write_image, write_pfm, write_png16

SHAPE = (24, 48)


def prepare(folder: Path) -> None:
    """Write truth and predictions of two images each."""
    for index in range(2):
        rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
        metres = np.rint((40 - 1.5 * rows + 0.1 * columns + index) * 256) / 256
        write_image(folder / f"street/images/{index}.jpg", SHAPE, index)
        write_png16(folder / f"street/depth/{index}.png", metres)
        for name, estimate in (
            ("metres", metres + np.where(metres < 21, 1, -1)),
            ("relative", 3 / metres + 1),
            ("small", metres[::2, ::2]),
        ):
            (folder / name).mkdir(exist_ok=True)
            np.save(folder / f"{name}/{index}.npy", estimate.astype(np.float32))
        disparity = np.rint(np.random.default_rng(9 + index).uniform(4, 60, SHAPE) * 256) / 256
        for side in ("left", "right"):
            write_image(folder / f"pairs/{side}/{index}.png", SHAPE, index)
        write_pfm(folder / f"pairs/disparity/{index}.pfm", np.where(disparity > 50, np.inf, disparity))
        write_png16(folder / f"matched/{index}.png", np.where(np.arange(48) < 12, 0, disparity + 1 + 3 * index))
        for kind in ("image_2", "image_3"):
            write_image(folder / f"kitti/training/{kind}/{index:06d}_10.png", SHAPE, index)
        write_png16(folder / f"kitti/training/disp_occ_0/{index:06d}_10.png", disparity)
        write_png16(folder / f"kitti/training/disp_noc_0/{index:06d}_10.png", np.where(disparity < 10, 0, disparity))
        write_png16(folder / f"sgm/{index:06d}_10.png", disparity + np.where(disparity < 32, 4, 0.5))
