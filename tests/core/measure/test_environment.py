import getpass
import platform
from pathlib import Path

import pytest

from mlcvbench.contract import Device
from mlcvbench.measure.environment import cpu_model, describe, env_class, package_versions
from mlcvbench.records.schema import EnvironmentInfo


def test_the_description_names_machine_and_software() -> None:
    info = describe(Device(threads=2)).info

    assert info.cpu
    assert info.cores >= 1
    assert info.memory_bytes > 2**28
    assert info.python == f"CPython {platform.python_version()}"
    assert {"mlcvbench", "numpy", "torch"} <= set(info.packages)
    assert (info.threads, info.device, info.precision, info.gpu) == (2, "cpu", "float32", None)


def test_the_description_holds_no_host_user_or_folder() -> None:
    text = describe(Device()).info.model_dump_json()

    assert platform.node() not in text
    assert str(Path.home()) not in text
    assert getpass.getuser() not in text.lower().replace("float", "")


@pytest.mark.parametrize(
    ("info", "wanted"),
    [
        (
            EnvironmentInfo(cpu="AMD EPYC", threads=2, packages={"torch": "2.15.0+cu132"}),
            "cpu|AMD EPYC|threads=2|float32|torch2.15",
        ),
        (EnvironmentInfo(cpu="AMD EPYC", threads=1), "cpu|AMD EPYC|threads=1|float32|no-torch"),
        (
            EnvironmentInfo(
                cpu="AMD EPYC",
                gpu="NVIDIA H200",
                device="cuda",
                precision="float16",
                threads=4,
                packages={"torch": "2.6.1"},
            ),
            "cuda|NVIDIA H200|AMD EPYC|threads=4|float16|torch2.6",
        ),
    ],
)
def test_times_are_comparable_inside_one_environment_class(info: EnvironmentInfo, wanted: str) -> None:
    assert env_class(info) == wanted


def test_the_processor_name_comes_from_the_kernel_with_blanks_collapsed(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel name\t: Fast  CPU   9000 \n")

    assert cpu_model(cpuinfo) == "Fast CPU 9000"
    assert cpu_model(tmp_path / "missing") == (platform.processor() or platform.machine())


def test_only_installed_packages_are_listed() -> None:
    versions = package_versions()

    assert all(versions.values())
    assert "no-such-package" not in versions
