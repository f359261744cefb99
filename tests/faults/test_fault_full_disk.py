"""A disk that is full: every run that it costs says so, and what to do."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from support.faults import run_cli


@pytest.fixture
def small_disk(tmp_path):
    """Return a folder, and words before a command for which it is a disk of 300 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    script = 'mount -t tmpfs -o size=300k tmpfs "$0" && exec "$@"'
    before = ("unshare", "--map-root-user", "--mount", "sh", "-c", script, str(disk))
    if (
        shutil.which("unshare") is None
        or subprocess.run([*before, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("a disk of its own cannot be mounted here")
    return disk, before


def test_every_run_that_a_full_disk_costs_names_the_cause_and_how_to_go_on(small_disk):
    disk, before = small_disk
    words = ["run", "task=digits", "model=knn", "seed=0,1,2", "time=off", "threads=1", f"out={disk / 'runs'}"]

    result = run_cli(words, prefix=before)

    *runs, last = result.err.splitlines()
    cause = r"no space left on device; free some space, then the same command resumes\."
    assert re.fullmatch(r"\[1/3\] knn seed 0: ok in \d+ s", runs[0])
    for number, line in enumerate(runs[1:], 1):
        assert re.fullmatch(rf"\[{number + 1}/3\] knn seed {number}: error, \w+: {cause}", line)
    assert re.fullmatch(
        r"mlcvbench: error: cannot write '.*': No space left on device\. Free some space or choose another folder\.",
        last,
    )
    assert result.code == 1
