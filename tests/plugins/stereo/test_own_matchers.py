"""Our matchers: OpenCV's map to the sixteenth of a pixel, and what the settings change."""

from __future__ import annotations

import numpy as np
import pytest
from support.stereo import SPECS, matcher_of, score_of

from mlcvbench.contract import Batch
from mlcvbench.errors import RequestError
from mlcvbench.testing import assert_conforms
from mlcvbench_depth.motorcycle import load_motorcycle


@pytest.fixture(scope="module")
def motorcycle():
    return load_motorcycle({"disparities": 64}, 0)


def strip(data, rows=slice(200, 260)):
    batch = next(data.splits["test"].inputs(1))
    return Batch(batch.ids, {name: images[:, rows] for name, images in batch.inputs.items()})


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"mode": "hh"},
        {"colour": True, "block": 3},
        {"block": 9, "widen": False},
        {"p1": 10, "p2": 3000, "uniqueness": 0, "consistency": -1, "speckle_window": 0},
    ],
    ids=str,
)
def test_sgm_finds_what_opencv_finds_to_the_sixteenth_of_a_pixel(motorcycle, settings):
    batch = strip(motorcycle)

    own, other = (
        matcher_of("sgm", motorcycle.problem, search=search, **settings).predict(batch)["disparity"][0]
        for search in ("own", "opencv")
    )

    assert (own > 0).any()
    assert np.array_equal(own, other)


def test_it_finds_the_same_again_in_the_memory_of_the_image_before(motorcycle):
    batch = strip(motorcycle)
    model = matcher_of("sgm", motorcycle.problem)
    first = model.predict(batch)["disparity"][0]
    model.predict(Batch(batch.ids, {name: images[:, ::-1] for name, images in batch.inputs.items()}))

    assert np.array_equal(model.predict(batch)["disparity"][0], first)


def test_block_matching_is_as_good_as_opencvs_on_the_motorcycle(motorcycle):
    own, other = (
        score_of(matcher_of("block_matching", motorcycle.problem, search=search, **settings), motorcycle)
        for search, settings in (("own", {"block": 9, "cost": "birchfield"}), ("opencv", {}))
    )

    assert own["density"] > other["density"]
    assert own["bad_2"] < other["bad_2"]
    assert own["epe"] < other["epe"]


def test_p2_that_falls_at_edges_lowers_the_error_of_sgm_on_the_motorcycle(motorcycle):
    constant, falling = (
        score_of(matcher_of("sgm", motorcycle.problem, edges=edges), motorcycle) for edges in (0.0, 20.0)
    )

    assert falling["bad_2"] < constant["bad_2"] - 0.005
    assert falling["epe"] < constant["epe"] - 0.1


def test_filled_maps_have_no_holes(motorcycle):
    batch = strip(motorcycle)

    (plain,), (whole,) = (
        matcher_of("sgm", motorcycle.problem, fill=fill).predict(batch)["disparity"] for fill in (False, True)
    )

    assert (plain == 0).any()
    assert (whole > 0).all()
    assert np.array_equal(whole[plain > 0], plain[plain > 0])


def test_a_zero_that_opencv_takes_for_one_is_refused(motorcycle):
    with pytest.raises(RequestError) as caught:
        matcher_of("sgm", motorcycle.problem, search="opencv", consistency=0)

    assert str(caught.value) == (
        "sgm: consistency=0: OpenCV takes it for 1; set model.consistency=1 or model.search=own."
    )


def test_colour_is_compared_only_where_it_is_asked_for(motorcycle):
    grey, colour = (matcher_of("sgm", motorcycle.problem, colour=colour) for colour in (False, True))

    assert (grey.channels, colour.channels) == (1, 3)
    assert colour.penalties.large == 3 * grey.penalties.large


@pytest.mark.slow
@pytest.mark.parametrize("name", ["block_matching", "sgm"])
@pytest.mark.parametrize("search", ["own", "opencv"])
def test_they_keep_the_contract(name, search):
    assert "search" in {param.name for param in SPECS[name].params}
    assert_conforms(name, "depth", params={"search": search})
