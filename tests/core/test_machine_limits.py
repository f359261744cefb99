"""The memory that a process may use: the machine's, or what its container leaves it."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from mlcvbench import limits
from mlcvbench.limits import MIB, container_limits, usable_memory
from mlcvbench.plan.planning import plan
from mlcvbench.running import fitting


def write(root: Path, **files: str) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def test_groups_of_version_2_limit_with_all_groups_above_them(tmp_path: Path) -> None:
    write(
        tmp_path,
        **{
            "proc/self/cgroup": "0::/pods/mine\n",
            "sys/fs/cgroup/pods/memory.max": f"{3 * MIB}\n",
            "sys/fs/cgroup/pods/mine/memory.max": "max\n",
        },
    )

    assert list(container_limits(tmp_path)) == [3 * MIB]


def test_groups_of_version_1_limit_and_other_controllers_do_not(tmp_path: Path) -> None:
    write(
        tmp_path,
        **{
            "proc/self/cgroup": "5:cpu,cpuacct:/mine\n4:memory:/mine\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            "sys/fs/cgroup/memory/mine/memory.limit_in_bytes": f"{5 * MIB}\n",
            "sys/fs/cgroup/cpu/mine/memory.limit_in_bytes": "1\n",
        },
    )

    assert min(container_limits(tmp_path)) == 5 * MIB


def test_a_container_that_sees_its_group_as_the_topmost_is_limited(tmp_path: Path) -> None:
    write(tmp_path, **{"proc/self/cgroup": "0::/docker/0123abc\n", "sys/fs/cgroup/memory.max": f"{2 * MIB}\n"})

    assert list(container_limits(tmp_path)) == [2 * MIB]


@pytest.mark.parametrize("content", [None, "", "nonsense", "0::/../..\n", "\u00e9"])
def test_where_there_are_no_groups_there_is_no_limit(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        write(tmp_path, **{"proc/self/cgroup": content})

    assert list(container_limits(tmp_path)) == []


def test_a_fit_may_hold_a_quarter_of_what_the_container_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "container_limits", lambda: iter([64 * MIB, 80 * MIB]))
    (config,) = plan(["task=digits", "model=majority"]).configs

    assert usable_memory() == 64 * MIB < psutil.virtual_memory().total
    assert fitting._memory_of(config) == 16 * MIB
