"""What holds for every network of the family: it keeps the contract on the data that it learns from."""

from __future__ import annotations

import pytest
from support.monocular import LEARNS_FROM, SMALL, toy_of

from mlcvbench.testing import assert_conforms


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(LEARNS_FROM))
def test_it_keeps_the_contract(name):
    assert_conforms(name, "depth", params=SMALL[name], data=toy_of(name))
