"""What holds for every network of the family: it keeps the contract on the data that it learns from."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.monocular import LEARNS_FROM, SMALL, fitted, model_of, toy_of

from mlcvbench.errors import DataError
from mlcvbench.testing import assert_conforms


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(LEARNS_FROM))
def test_it_keeps_the_contract(name):
    assert_conforms(name, "depth", params=SMALL[name], data=toy_of(name))


@pytest.mark.parametrize(("name", "wanted"), [("monodepth", "stereo"), ("monodepth2", "sequence")])
def test_what_it_learns_from_is_said_where_the_data_show_something_else(name, wanted):
    model, data = model_of(name, **SMALL[name]), toy_of("eigen")
    model.problem = replace(model.problem, extra={"supervision": "depth"})

    with pytest.raises(DataError, match=rf"^{name}: wanted data\.supervision={wanted} to learn from, got depth\.$"):
        fitted(model, data)
