"""mlcvbench: one benchmark suite for all of computer vision.

Public names are imported on first use, so that `import mlcvbench` stays cheap and a plugin can declare itself
without numpy or torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mlcvbench.hookspecs import hookimpl
from mlcvbench.specs import DatasetSpec, ModelSpec, Param, TaskSpec
from mlcvbench.version import __version__ as __version__

if TYPE_CHECKING:
    from mlcvbench.api import evaluate, load_records, run, to_frame
    from mlcvbench.contract import (
        ArraySplit,
        Batch,
        FitContext,
        FitReport,
        InputSpec,
        LoadedData,
        Model,
        Operations,
        ParameterCounts,
        Problem,
        Scorer,
        Split,
        Table,
        Task,
        TorchModel,
    )
    from mlcvbench.errors import MlcvbenchError
    from mlcvbench.records.schema import Record

_LAZY = {
    "run": "mlcvbench.api",
    "evaluate": "mlcvbench.api",
    "load_records": "mlcvbench.api",
    "to_frame": "mlcvbench.api",
    "Record": "mlcvbench.records.schema",
    "MlcvbenchError": "mlcvbench.errors",
    **dict.fromkeys(
        (
            "ArraySplit",
            "Batch",
            "FitContext",
            "FitReport",
            "InputSpec",
            "LoadedData",
            "Model",
            "Operations",
            "ParameterCounts",
            "Problem",
            "Scorer",
            "Split",
            "Table",
            "Task",
            "TorchModel",
        ),
        "mlcvbench.contract",
    ),
}

__all__ = [
    "ArraySplit",
    "Batch",
    "DatasetSpec",
    "FitContext",
    "FitReport",
    "InputSpec",
    "LoadedData",
    "MlcvbenchError",
    "Model",
    "ModelSpec",
    "Operations",
    "Param",
    "ParameterCounts",
    "Problem",
    "Record",
    "Scorer",
    "Split",
    "Table",
    "Task",
    "TaskSpec",
    "TorchModel",
    "evaluate",
    "hookimpl",
    "load_records",
    "run",
    "to_frame",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'mlcvbench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
