"""What a plugin declares about itself, and the values of its settings. Plugins import from here."""

from mlcvbench.specs.declared import (
    ANY_VALUE,
    NAME_PATTERN,
    SKIP,
    Chosen,
    DatasetSpec,
    Field,
    ModelSpec,
    Origin,
    Param,
    ParamType,
    Place,
    TaskSpec,
    load_target,
)

__all__ = [
    "ANY_VALUE",
    "NAME_PATTERN",
    "SKIP",
    "Chosen",
    "DatasetSpec",
    "Field",
    "ModelSpec",
    "Origin",
    "Param",
    "ParamType",
    "Place",
    "TaskSpec",
    "load_target",
]
