"""Checks that what a plugin's hooks return can be used, so that a broken plugin is named and set aside."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from importlib.util import find_spec
from typing import Any, TypeAlias, get_args

from mlcvbench.errors import MlcvbenchError, PluginError, RequestError, did_you_mean, offer, said_by
from mlcvbench.specs import (
    NAME_PATTERN,
    Chosen,
    DatasetSpec,
    Field,
    ModelSpec,
    Param,
    ParamType,
    Place,
    TaskSpec,
    load_target,
)
from mlcvbench.specs.values import check_value

Spec: TypeAlias = ModelSpec | DatasetSpec | TaskSpec
RESERVED_NAMES = ("model", "data", "fit", "task", "all")
SPEC_TYPES: dict[str, type[Spec]] = {
    "mlcvbench_tasks": TaskSpec,
    "mlcvbench_datasets": DatasetSpec,
    "mlcvbench_models": ModelSpec,
}

MISSPELT = 0.8
"""From this similarity on, a kind counts as a misspelt known one; "verification" and "classification" have 0.69."""


def check_hook_result(hook: str, result: Any) -> list[Spec]:
    """Return the result of a hook as a list of specs; PluginError says what is wrong with it."""
    wanted = SPEC_TYPES[hook]
    if not isinstance(result, list | tuple):
        raise PluginError(f"{hook}() must return a list of {wanted.__name__}, got {type(result).__name__}.")
    for index, spec in enumerate(result):
        if not isinstance(spec, wanted):
            raise PluginError(
                f"{hook}() must return a list of {wanted.__name__}, got {type(spec).__name__} at index {index}."
            )
        check_spec(spec)
    return list(result)


def check_spec(spec: Spec) -> None:
    """Refuse a spec whose name, target, kinds, inputs or parameters cannot be used; PluginError says why."""
    what = f"{type(spec).__name__} {spec.name!r}"
    if not isinstance(spec.name, str) or not NAME_PATTERN.fullmatch(spec.name):
        raise PluginError(f"{what}: the name must match {NAME_PATTERN.pattern}.")
    if spec.name in RESERVED_NAMES:
        raise PluginError(f"{what}: the name is one of the words of the command line ({', '.join(RESERVED_NAMES)}).")
    if not isinstance(spec.summary, str) or not spec.summary.strip():
        raise PluginError(f"{what}: the summary must be a line of text.")
    _check_target(what, "target", spec.target)
    if isinstance(spec, TaskSpec):
        _check_params(what, "reading", spec.reading)
        _check_pairs(what, "reads", spec.reads)
        _check_fields(what, spec.fields)
        _check_module(what, "toys", spec.toys)
        return
    _check_strings(what, "kinds", spec.kinds)
    if isinstance(spec, ModelSpec):
        if spec.needs != ():  # a baseline may ignore its inputs
            _check_strings(what, "needs", spec.needs)
        _check_params(what, "params", spec.params)
        _check_params(what, "fit", spec.fit)
        if spec.by_nature != ():
            _check_strings(what, "by_nature", spec.by_nature)
        _check_module(what, "check", spec.check)
    else:
        _check_strings(what, "provides", spec.provides)
        _check_params(what, "params", spec.params)


def check_kinds(spec: ModelSpec | DatasetSpec, tasks: Collection[str], inputs: Collection[str]) -> None:
    """Refuse a task kind or an input kind that is misspelt: `tasks` and `inputs` are those of the installed plugins.

    A name similar to none of them may belong to a plugin that is not installed, or was quarantined, and is accepted.
    """
    what = f"{type(spec).__name__} {spec.name!r}"
    needs = spec.needs if isinstance(spec, ModelSpec) else ()
    for word, kinds, known in (("unknown task kind", spec.kinds, tasks), ("needs: unknown input kind", needs, inputs)):
        for kind in kinds:
            if kind not in known and (meant := difflib.get_close_matches(kind, known, n=1, cutoff=MISSPELT)):
                raise PluginError(f"{what}: {word} {kind!r}.{offer(meant)}")


def undeclared_argument(target: str, made: Any, params: Sequence[Param]) -> str | None:
    """Return which declared parameter the class or function of a target does not take; None when it takes all."""
    import inspect

    try:
        taken = inspect.signature(made).parameters
    except (TypeError, ValueError):  # some builtins have no signature; constructing the model will then show it
        return None
    if any(one.kind is one.VAR_KEYWORD for one in taken.values()):
        return None
    name = f"{made.__name__}.__init__" if isinstance(made, type) else target
    refused = [param.name for param in params if param.name not in taken]
    return f"the spec declares {refused[0]!r} but {name} does not take it." if refused else None


def refuse_settings(spec: ModelSpec, chosen: Chosen) -> None:
    """Call a model's `check` on the chosen settings; its RequestError when they cannot be carried out.

    PluginError when the check cannot be imported or fails itself.
    """
    if not spec.check:
        return
    try:
        load_target(spec.check)(chosen)
    except MlcvbenchError:
        raise
    except Exception as error:  # a plugin's code may raise anything
        said = said_by(error).rstrip(".")
        raise PluginError(f"model {spec.name!r}: its check {spec.check!r} raised {said}.") from error


def _check_target(what: str, field: str, target: Any) -> None:
    module, _, attribute = target.partition(":") if isinstance(target, str) else ("", "", "")
    if not all(part.isidentifier() for part in [*module.split("."), *attribute.split(".")]):
        raise PluginError(f"{what}: the {field} must look like 'package.module:attribute', got {target!r}.")


def _check_module(what: str, field: str, target: Any) -> None:
    """Refuse a target whose module does not exist, before planning fails on it. The module is not imported."""
    if target == "":
        return
    _check_target(what, field, target)
    module = target.partition(":")[0]
    try:
        found = find_spec(module)
    except (ImportError, ValueError):  # a parent package is missing, or is not a package
        found = None
    if found is None:
        raise PluginError(f"{what}: the {field} {target!r} names a module that does not exist.")


def _check_strings(what: str, field: str, values: Any) -> None:
    if not isinstance(values, tuple | list) or not values or not all(isinstance(v, str) for v in values):
        raise PluginError(f"{what}: {field} must be a non-empty tuple of names, got {values!r}.")


def _check_pairs(what: str, field: str, values: Any) -> None:
    if not isinstance(values, tuple | list) or not all(
        isinstance(pair, tuple | list) and len(pair) == 2 and all(isinstance(text, str) for text in pair)
        for pair in values
    ):
        raise PluginError(f"{what}: {field} must be a tuple of pairs of strings, got {values!r}.")


def _check_fields(what: str, fields: Any) -> None:
    if not isinstance(fields, tuple | list) or not all(isinstance(one, Field) for one in fields):
        raise PluginError(f"{what}: fields must be a tuple of Field, got {fields!r}.")
    for one in fields:
        if one.place not in get_args(Place):
            hint = did_you_mean(str(one.place), get_args(Place))
            raise PluginError(f"{what}: field {one.name!r}: unknown place {one.place!r}.{hint}")


def _check_params(what: str, field: str, params: Any) -> None:
    if not isinstance(params, tuple | list) or not all(isinstance(p, Param) for p in params):
        raise PluginError(f"{what}: {field} must be a tuple of Param, got {params!r}.")
    _check_unique(what, field, [param.name for param in params])
    for param in params:
        if not isinstance(param.name, str) or not param.name.isidentifier():
            raise PluginError(f"{what}: {field}: {param.name!r} is not a parameter name (letters, digits and _).")
        if param.type not in get_args(ParamType):
            raise PluginError(
                f"{what}: parameter {param.name!r}: unknown type {param.type!r}."
                f"{did_you_mean(str(param.type), get_args(ParamType))}"
            )
        if param.length is not None and param.type not in {"ints", "floats"}:
            raise PluginError(f"{what}: parameter {param.name!r}: a length needs the type ints or floats.")
        earlier = [one.name for one in params[: params.index(param)]]
        if unknown := [name for name, _ in param.when if name not in earlier]:
            raise PluginError(
                f"{what}: parameter {param.name!r}: when: no setting {unknown[0]!r} is declared before it."
            )
        if param.default is not None:
            try:
                check_value(param, param.default, f"the default of {param.name!r}")
            except MlcvbenchError as error:
                raise PluginError(f"{what}: {error}") from None


def _check_unique(what: str, field: str, names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise PluginError(f"{what}: {field} declares {name!r} twice.")


def check_inputs(model: ModelSpec, dataset: DatasetSpec) -> None:
    """RequestError for a model that needs a kind of input that the data set does not provide."""
    missing = [need for need in model.needs if need not in dataset.provides]
    if missing:
        raise RequestError(
            f"model {model.name!r} needs {', '.join(model.needs)}; "
            f"data set {dataset.name!r} provides {', '.join(dataset.provides)}."
        )
