"""Pictures show maps as their protocol scores them: scaled, cropped, without occluded pixels, holes filled."""

from __future__ import annotations

import numpy as np
import pytest

from mlcvbench.contract import ArraySplit, Outcome, Problem
from mlcvbench.figures import Axis
from mlcvbench_depth import plots
from mlcvbench_depth.measuring import fill_background
from mlcvbench_depth.plots import draw, draw_errors, errors_of
from mlcvbench_depth.scoring import scorer_of
from mlcvbench_depth.views import view_of

TRUTH = np.random.default_rng(0).uniform(1, 30, (2, 40, 60)).astype(np.float32)


def outcome_of(protocol: str, estimate, truth=TRUTH, **more) -> Outcome:
    field = "depth" if protocol.startswith("mono") else "disparity"
    targets = {field: truth, **more}
    split = ArraySplit("test", {"image": np.zeros((len(truth), *truth[0].shape, 3), np.uint8)}, targets)
    table = scorer_of(protocol).rows({field: estimate}, targets, np.arange(len(truth)))
    return Outcome({field: estimate}, targets, split, Problem("depth", (), {}), protocol, table)


def test_median_scaled_estimates_are_drawn_scaled():
    outcome = outcome_of("mono/full/cap80/median-scale@1", list(TRUTH / 4))

    view = view_of(outcome, 1)

    assert view.alignment.scale == pytest.approx(4)
    assert np.allclose(view.estimate(), TRUTH[1], rtol=1e-5)
    assert np.nanmax(errors_of("depth", view.truth, view.estimate())) < 1e-5
    assert view_of(outcome_of("mono/full/cap80/metric@1", list(TRUTH / 4)), 1).alignment.scale == 1


def test_pixels_outside_crop_and_cap_are_not_drawn_as_errors_and_the_rest_agrees_with_the_score():
    protocol = "mono/garg/cap10/metric@1"
    outcome = outcome_of(protocol, list(TRUTH * 1.1))

    views = [view_of(outcome, unit) for unit in range(2)]
    errors = [errors_of("depth", view.truth, view.estimate()) for view in views]

    assert [int((~np.isnan(error)).sum()) for error in errors] == outcome.table["pixels"].tolist()
    assert all(np.isnan(error[:10]).all() for error in errors)
    within = [float((error[~np.isnan(error)] < 0.25).mean()) for error in errors]
    assert within == outcome.table["delta1"].tolist()


@pytest.mark.parametrize("protocol", ["stereo/noc/holes-bad@1", "kitti-d1/noc@1"])
def test_occluded_pixels_are_not_drawn_and_filled_ones_are(protocol):
    rng = np.random.default_rng(1)
    hidden, holes = rng.random(TRUTH.shape) < 0.3, rng.random(TRUTH.shape) < 0.3
    estimate = np.where(holes, 0, (TRUTH + 1) * 256).astype(np.uint16)

    outcome = outcome_of(protocol, list(estimate), occluded=hidden)
    view = view_of(outcome, 0)

    assert (np.isnan(errors_of("disparity", view.truth, view.estimate())) == hidden[0]).all()
    if protocol == "kitti-d1/noc@1":
        assert np.array_equal(view.estimate(), fill_background(estimate[0].astype(np.float32) / 256))
        assert outcome.table["bad_2"][0] == (errors_of("disparity", view.truth, view.estimate()) > 2).sum()
    else:
        assert (view.estimate() > 0).sum() == (~holes[0]).sum()


@pytest.mark.parametrize(
    "protocol", ["stereo/all@1", "kitti-d1/noc@1", "mono/full/cap80/median-scale@1", "mono/nyu/cap10/metric@1"]
)
def test_every_family_of_protocols_is_drawn(tmp_path, protocol):
    guesses = [one * np.float32(1.5) for one in TRUTH]
    more = {"occluded": np.zeros(TRUTH.shape, bool)} if "noc" in protocol else {}

    plots = draw(tmp_path, outcome_of(protocol, guesses, **more))

    assert [plot.file for plot in plots] == ["worst.png", "errors.png"]
    assert all((tmp_path / plot.file).stat().st_size > 5000 for plot in plots)


@pytest.mark.parametrize(("images", "said"), [(2, None), (40, ", 20 of 40 images")])
def test_a_curve_of_errors_says_when_it_is_of_some_images_only(images, said, monkeypatch):
    names = []
    monkeypatch.setattr(plots, "Axis", lambda scale, name="": names.append(name) or Axis(scale, name))
    truth = TRUTH[np.arange(images) % 2]

    draw_errors(outcome_of("stereo/all@1", list(truth * 1.1), truth), np.arange(images))

    assert names[-1] == f"share of scored pixels{said or ''}"
