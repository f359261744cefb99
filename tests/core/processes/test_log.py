"""A run's log keeps its head and its tail, however much is printed."""

from __future__ import annotations

import pytest

from mlcvbench.limits import MAX_LOG_HALF
from mlcvbench.processes.log import RunLog


@pytest.fixture
def log(tmp_path):
    log = RunLog(tmp_path / "log.txt")
    yield log
    log.file.close()


def test_a_short_log_is_kept_as_it_is(log):
    log.file.write(b"one\ntwo\n")
    log.close()

    assert log.path.read_bytes() == b"one\ntwo\n"


def test_a_log_of_just_the_most_is_kept_as_it_is(log):
    log.file.write(b"x" * 2 * MAX_LOG_HALF)
    log.close()

    assert log.path.stat().st_size == 2 * MAX_LOG_HALF


@pytest.mark.parametrize("trims", [0, 1, 3])
def test_a_long_log_keeps_head_and_tail_and_says_how_much_is_missing(log, trims):
    log.file.write(b"head\n")
    for _ in range(max(1, trims)):
        log.file.write(b"x" * 5 * MAX_LOG_HALF)
        if trims:
            log.trim()
    log.file.write(b"\ntail")
    log.close()

    data = log.path.read_bytes()
    written = 10 + 5 * MAX_LOG_HALF * max(1, trims)
    assert data.startswith(b"head\nxxx")
    assert data.endswith(b"xxx\ntail")
    assert f"\n... {written - 2 * MAX_LOG_HALF} bytes left out ...\n".encode() in data
    assert len(data) < 2 * MAX_LOG_HALF + 100


def test_trimming_bounds_the_room_on_the_disk_while_the_log_is_written(log):
    most = 0
    for _ in range(60):
        log.file.write(b"y" * MAX_LOG_HALF)
        log.trim()
        most = max(most, log.path.stat().st_blocks * 512)
    log.close()

    assert most <= 11 * MAX_LOG_HALF


def test_the_ending_is_text_even_when_the_log_is_not(log):
    log.file.write(b"x" * 5000 + b"\xff\xfe end\n")

    assert log.ending(10) == "xxx\ufffd\ufffd end"
