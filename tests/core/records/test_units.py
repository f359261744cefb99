"""Numbers as people read them: three digits, no exponent, the prefix that rounding asks for."""

from __future__ import annotations

import pytest

from mlcvbench.records.units import count, significant, size


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (count(0), "0"),
        (count(999), "999"),
        (count(1000), "1.00 k"),
        (count(999_499), "999 k"),
        (count(999_500), "1.00 M"),
        (count(-61_800), "-61.8 k"),
        (count(17_563_828_224), "17.6 G"),
        (count(5e15), "5000 T"),
        (size(999_999), "1.00 MB"),
        (significant(1234567), "1234567"),
        (significant(-0.5), "-0.500"),
        (significant(9.996), "10.0"),
        (significant(0.0099999, 4), "0.01000"),
    ],
)
def test_a_number_has_the_digits_and_the_prefix_it_needs(shown: str, expected: str) -> None:
    assert shown == expected
