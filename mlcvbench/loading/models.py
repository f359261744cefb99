"""The model of a run: built from its spec and settings, on its device, with a given state."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlcvbench.contract import Device, Model, Notice, Problem, TorchModel
from mlcvbench.errors import PluginError, RequestError
from mlcvbench.loading.resolved import Resolved
from mlcvbench.plan.given_weights import GivenWeights
from mlcvbench.registry.inner import parse_inner
from mlcvbench.specs import ModelSpec, load_target
from mlcvbench.specs.checks import undeclared_argument


def build_model(resolved: Resolved, problem: Problem, weights: Path | GivenWeights | None = None) -> Model:
    """Return the run's model on its device, with the state in `weights` when there are any; see `load_state`.

    A path is a state that was fitted for `problem`. Given weights of another run are for the problem of that run:
    DataError when it has other classes or inputs than `problem`, on which the model is to be tested.
    """
    config = resolved.config
    if isinstance(weights, GivenWeights):
        problem, weights = weights.problem_for(problem, config.definition.dataset), weights.state
    model = construct(resolved.spec, config.model_params, problem, resolved.device)
    if weights is not None:
        load_state(model, weights, config.model)
    return model


def load_state(model: Model, given: Path, name: str) -> tuple[Notice, ...]:
    """Load what `weights=` names: the folder of a fitted state, or, for a network, one file of weights of any name.

    Returns what must be said of the weights. Runs, the processes that measure them and explanations all load here.
    RequestError when a model that is not a network, whose state may be several files, is given a single file.
    """
    if given.is_file() and not isinstance(model, TorchModel):
        raise RequestError(
            f"weights={given.name}: wanted a folder, since the state of model {name!r} may be several files; "
            "a single file is for networks."
        )
    return tuple(model.load(given) or ())


def construct(spec: ModelSpec, params: Mapping[str, Any], problem: Problem, device: Device) -> Model:
    """Return the model of a spec on `device`, not fitted; PluginError when its class does not take its settings."""
    made = class_of(spec)
    model: Model = made(problem, **told(spec), **params)
    model.to(device)
    return model


def told(spec: ModelSpec) -> dict[str, str]:
    """Return what a target gets beside its settings: where names are open-ended, the rest of this one as `name`."""
    return {"name": spec.name.removeprefix(spec.prefix)} if spec.prefix else {}


def class_of(spec: ModelSpec) -> type[Model]:
    """Return the class or factory function that a spec names; PluginError when it does not take the spec's settings."""
    made: type[Model] = load_target(spec.target)
    wrong = undeclared_argument(spec.target, made, spec.params)
    if wrong:
        raise PluginError(f"model {spec.name!r}: {wrong}")
    return made


def build_inner(text: str, problem: Problem, device: Device) -> Model:
    """Return the unfitted model that `text` names, on `device`."""
    inner = parse_inner(text, problem.kind)
    return construct(inner.spec, inner.params, problem, device)
