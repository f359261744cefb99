"""A data set whose own code goes wrong while it is read: one line, exit 1 or 2, nothing stored."""

from __future__ import annotations

import pytest
from support.faults import FAULTY, assert_clean, run_cli

from mlcvbench.records.store import Store


@pytest.mark.parametrize(
    ("deed", "code", "line"),
    [
        ("raise", 1, r"error: reading data set 'thirty' failed: ValueError: thirty is not enough$"),
        ("abort", 2, r"error: reading data set 'thirty' ended the reader \(exit code -6\)"),
        ("exit", 2, r"error: reading data set 'thirty' ended the reader \(exit code 1\): no thirty today$"),
    ],
)
def test_a_data_set_that_fails_is_one_line(tmp_path, deed, code, line):
    result = run_cli(["run", *FAULTY, f"data.fail={deed}", f"out={tmp_path / 'runs'}"])

    assert_clean(result, code, line)
    assert Store(tmp_path / "runs").records()[0] == []
