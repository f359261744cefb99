"""Occlusion maps against a loop over every square."""

from __future__ import annotations

import numpy as np
import pytest

from mlcvbench.analysis.explain.occlusion import occlude
from mlcvbench.contract import Array

WEIGHTS = np.random.default_rng(1).normal(size=(11, 13, 3))


def weighted(images: Array) -> Array:
    """Score images by a fixed weight a pixel."""
    return (images.astype(np.float64) * WEIGHTS).sum(axis=(1, 2, 3))


def picture() -> Array:
    return np.random.default_rng(0).integers(0, 256, (11, 13, 3), dtype=np.uint8)


@pytest.mark.parametrize(("window", "step", "batch"), [(3, 2, 7), (4, 1, 64), (5, 5, 1), (11, 4, 3)])
def test_each_drop_is_the_score_lost_by_greying_a_square(window: int, step: int, batch: int) -> None:
    image = picture()
    mean = np.round(image.reshape(-1, 3).mean(axis=0))

    found = occlude(weighted, image, window, step, batch)

    assert found.score == pytest.approx(weighted(image[None])[0])
    for p, top in enumerate(found.tops):
        for q, left in enumerate(found.lefts):
            hidden = image.copy()
            for y in range(top, top + window):
                for x in range(left, left + window):
                    hidden[y, x] = mean
            assert found.drops[p, q] == pytest.approx(found.score - weighted(hidden[None])[0])


def test_squares_reach_every_border() -> None:
    found = occlude(weighted, picture(), 4, 3)

    assert found.tops.tolist() == [0, 3, 6, 7]
    assert found.lefts.tolist() == [0, 3, 6, 9]


@pytest.mark.parametrize(("window", "step"), [(2, 3), (12, 1), (3, 0)])
def test_squares_that_would_leave_pixels_out_or_the_image_are_refused(window: int, step: int) -> None:
    with pytest.raises(ValueError, match=f"wanted 1 <= step <= window <= 11, got step {step} and window {window}"):
        occlude(weighted, picture(), window, step)


def test_a_step_of_the_whole_square_covers_every_pixel_once_but_at_the_border() -> None:
    found = occlude(weighted, picture(), 4, 4)

    assert np.isfinite(found.by_pixel()).all()
    assert found.by_pixel()[0, 0] == found.drops[0, 0]


def test_a_pixel_has_the_mean_drop_of_the_squares_that_cover_it() -> None:
    found = occlude(weighted, picture(), 4, 3)

    drops = found.by_pixel()

    assert drops.shape == (11, 13)
    assert drops[0, 0] == found.drops[0, 0]
    assert drops[3, 0] == pytest.approx((found.drops[0, 0] + found.drops[1, 0]) / 2)
    assert drops[3, 3] == pytest.approx(found.drops[:2, :2].mean())


def test_only_what_the_score_looks_at_counts() -> None:
    image = np.zeros((9, 9), dtype=np.uint8)
    image[4, 4] = 255

    found = occlude(lambda images: images[:, 4, 4].astype(np.float64), image, 3, 1)

    seen = np.zeros((7, 7), dtype=bool)
    seen[2:5, 2:5] = True
    assert (found.drops == np.where(seen, 255 - 3, 0)).all()  # the mean of the image is 3
    assert (image == np.pad([[255]], 4)).all()


def test_at_most_so_many_pictures_are_scored_at_once() -> None:
    sizes = []

    def counting(images: Array) -> Array:
        sizes.append(len(images))
        return weighted(images)

    occlude(counting, picture(), 3, 2, batch=8)

    assert sizes == [1, 8, 8, 8, 6]
