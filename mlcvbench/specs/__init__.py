"""What a plugin declares about itself, and the values of its settings. The names that plugins use are here."""

from mlcvbench.specs.declared import (
    INPUT_KINDS,
    NAME_PATTERN,
    SKIP,
    TASK_KINDS,
    Chosen,
    DatasetSpec,
    ModelSpec,
    Origin,
    Param,
    ParamType,
    TaskSpec,
    load_target,
)

__all__ = [
    "INPUT_KINDS",
    "NAME_PATTERN",
    "SKIP",
    "TASK_KINDS",
    "Chosen",
    "DatasetSpec",
    "ModelSpec",
    "Origin",
    "Param",
    "ParamType",
    "TaskSpec",
    "load_target",
]
