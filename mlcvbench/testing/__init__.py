"""The conformance kit: a plugin author runs it to check that a model fulfils the contract.

from mlcvbench.testing import assert_conforms

def test_my_model_keeps_the_contract():
    assert_conforms("my_model", "classification")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlcvbench.testing.conformance import assert_conforms, check_model
    from mlcvbench.testing.datasets import check_dataset
    from mlcvbench.testing.imports import heavy_imports
    from mlcvbench.testing.results import CheckResult
    from mlcvbench.testing.toy import toy_data

_LAZY = {
    "CheckResult": "mlcvbench.testing.results",
    "assert_conforms": "mlcvbench.testing.conformance",
    "check_dataset": "mlcvbench.testing.datasets",
    "check_model": "mlcvbench.testing.conformance",
    "heavy_imports": "mlcvbench.testing.imports",
    "toy_data": "mlcvbench.testing.toy",
}

__all__ = ["CheckResult", "assert_conforms", "check_dataset", "check_model", "heavy_imports", "toy_data"]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'mlcvbench.testing' has no attribute {name!r}")
