"""The sliding window: each answer is that of its window alone, and only known pixels are learned from."""

from __future__ import annotations

import pytest
import torch
from support.segmenting import model_of, striped

from mlcvbench.errors import RequestError
from mlcvbench.plan.planning import plan

TINY = {"window": 8, "width": 2}


@pytest.mark.parametrize("step", [1, 2, 8])
def test_the_answer_of_a_pixel_is_what_the_network_says_of_the_window_around_it(step):
    torch.manual_seed(0)
    network = model_of("patch_window", **TINY, step=step, upsampling="bilinear").network().eval()
    images = torch.rand(2, 3, 32, 64)
    continued = torch.nn.functional.pad(images, (4, 4, 4, 4), mode="replicate")

    answers = network(images)

    assert answers.shape == (2, 3, 32 // step, 64 // step)
    for row, column in ((0, 0), (32 // step - 1, 64 // step - 1), (1, 3)):
        top, left = row * step + step // 2, column * step + step // 2
        window = continued[:, :, top : top + 8, left : left + 8]
        assert torch.allclose(answers[:, :, row, column], network.named(window), atol=1e-5)


def test_asked_at_given_places_it_says_the_same():
    torch.manual_seed(0)
    network = model_of("patch_window", **TINY, step=1).network().eval()
    images = torch.rand(2, 3, 32, 32)
    places = torch.tensor([[[0, 0], [5, 31]], [[31, 2], [7, 7]]])

    answers, everywhere = network(images, places), network(images)

    wanted = [everywhere[image, :, row, column] for image in (0, 1) for row, column in places[image].tolist()]
    assert torch.allclose(answers, torch.stack(wanted), atol=1e-5)


def test_pixels_between_the_windows_are_filled_in_by_the_nearest():
    network = model_of("patch_window", **TINY, step=4).network().eval()

    answers = network(torch.rand(1, 3, 32, 32))

    assert answers.shape == (1, 3, 32, 32)
    assert torch.equal(answers, answers[:, :, ::4, ::4].repeat_interleave(4, 2).repeat_interleave(4, 3))


def test_windows_are_drawn_from_the_runs_generator_and_unknown_pixels_count_nowhere():
    torch.manual_seed(0)
    model, known, unknown = model_of("patch_window", **TINY), striped(), striped(unknown=64)
    network = model.build().eval()

    first, again, other, nothing = (
        float(model.loss(network, batch, torch.Generator().manual_seed(seed)).detach())
        for batch, seed in ((known, 0), (known, 0), (known, 1), (unknown, 0))
    )

    assert first == again != other
    assert nothing == 0


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("model.window=20", "patch_window: wanted a model.window that 8 divides, got 20."),
        ("model.step=3", "patch_window: wanted a model.step of 1, 2, 4, 8, 16 or 32, got 3."),
    ],
)
def test_windows_and_steps_that_do_not_divide_are_refused_before_anything_starts(words, text):
    with pytest.raises(RequestError) as caught:
        plan(["task=scenes-semantic", "model=patch_window", words])

    assert str(caught.value) == text
