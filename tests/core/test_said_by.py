"""How the error of a stranger is said: one function, one line, wherever it is met."""

from __future__ import annotations

import pytest

from mlcvbench.errors import said_by


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("no such layer."), "ValueError: no such layer."),
        (ValueError("first\n   second"), "ValueError: first second"),
        (KeyError(), "KeyError"),
        (RuntimeError(" \n "), "RuntimeError"),
    ],
)
def test_a_strangers_error_is_one_line_that_begins_with_its_type(error: Exception, said: str) -> None:
    assert said_by(error) == said
