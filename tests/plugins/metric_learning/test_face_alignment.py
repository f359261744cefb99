"""2-D alignment: a face that was moved, turned and scaled is brought back onto the mean face."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from mlcvbench_metric_learning.alignment import SIDE, aligned, mean_face, similarities
from mlcvbench_scenes.faces import draw_identity, draw_shot, render_face


def matrix(shift=(0.0, 0.0), degrees=0.0, scale=1.0):
    cosine, sine = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
    return torch.tensor([[cosine, -sine, shift[0]], [sine, cosine, shift[1]], [0.0, 0.0, 1.0]])


def moved(image, own):
    """Return an image (C, S, S) whose place p shows what was at `own` p."""
    grid = functional.affine_grid(own[None, :2], [1, *image.shape], align_corners=False)
    return functional.grid_sample(image[None], grid, padding_mode="border", align_corners=False)[0]


def small(image):
    """Return an image (C, 64, 64) as the alignment sees it, (1, 32, 32)."""
    return functional.avg_pool2d(image.mean(0, keepdim=True), 2)


@pytest.fixture(scope="module")
def faces():
    """Return six rendered photographs, float (6, 3, 64, 64)."""
    shots = [render_face(draw_identity(0, person), draw_shot(0, person, 0, "easy"), 64) for person in range(6)]
    return torch.stack([torch.from_numpy(shot.copy()).permute(2, 0, 1) / 255 for shot in shots])


@pytest.mark.parametrize(
    "own", [matrix((0.1, -0.08)), matrix(degrees=9), matrix(scale=1.12), matrix((0.06, 0.05), -7, 0.92)], ids=range(4)
)
def test_a_face_that_was_moved_is_brought_back(faces, own):
    face = faces[0]
    still = mean_face(face[None])

    found = similarities(small(moved(face, own)), still)[0]

    assert found[:2].numpy() == pytest.approx(torch.linalg.inv(own)[:2].numpy(), abs=0.06)
    away, back = (
        (one - face)[:, 12:52, 12:52].abs().mean()
        for one in (moved(face, own), aligned(moved(face, own)[None], still)[0])
    )
    assert back < 0.7 * away


def test_light_and_contrast_do_not_move_a_face(faces):
    mean = mean_face(faces)
    grey = small(faces[0])

    bright = similarities(0.5 * grey + 0.3, mean)

    assert bright.numpy() == pytest.approx(similarities(grey, mean).numpy(), abs=1e-3)


def test_faces_are_more_alike_on_the_mean_face_than_before(faces):
    apart = [matrix((0.12 * (place % 3 - 1), 0.1 * (place % 2)), 6 * (place % 3 - 1)) for place in range(len(faces))]
    scattered = torch.stack([moved(face, own) for face, own in zip(faces, apart, strict=True)])

    together = aligned(scattered, mean_face(scattered))

    assert together.var(0)[:, 16:48, 16:48].mean() < scattered.var(0)[:, 16:48, 16:48].mean()


def test_what_looks_like_no_face_stays_where_it_is():
    flat, noise = (
        torch.full((1, SIDE, SIDE), 0.5),
        torch.rand(1, SIDE, SIDE, generator=torch.Generator().manual_seed(0)),
    )

    still = torch.eye(3)[None]
    assert torch.equal(similarities(flat, torch.zeros(SIDE, SIDE)), still)
    assert torch.isfinite(similarities(noise, mean_face(torch.rand(3, 3, 40, 40)))).all()
