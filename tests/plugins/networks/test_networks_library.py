"""The library as a whole: no entry point, nothing heavy before it is used."""

from __future__ import annotations

import subprocess
import sys


def test_importing_the_library_imports_no_torch() -> None:
    code = "import sys, mlcvbench_networks; print(sorted({'numpy', 'timm', 'torch', 'torchvision'} & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
