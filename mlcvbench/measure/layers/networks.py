"""Open a network by name for `profile`: a model of the registry, built as a run builds it, with fresh weights."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from mlcvbench.contract import Batch, Device, InputSpec, Problem, TorchModel
from mlcvbench.errors import OverrideError, RequestError, UnknownNameError
from mlcvbench.loading.models import construct
from mlcvbench.registry import get_registry
from mlcvbench.specs import ModelSpec, load_target
from mlcvbench.specs.values import complete, effective, parse_setting

BARE = "torchvision:"
"""The open-ended model whose networks may be named without its prefix."""


@dataclass(frozen=True, slots=True)
class Network:
    """A module and the call that sends one image through it."""

    module: Any
    forward: Callable[[], Any]


@runtime_checkable
class HasTrainingForm(Protocol):
    """A model that may train more than it keeps, such as auxiliary classifiers."""

    def training_form(self, module: Any) -> AbstractContextManager[Any]:
        """Return a context with the module as trained; `module` itself unless a setting adds parts."""


@contextmanager
def open_network(
    name: str, image: tuple[int, int, int], classes: int, settings: Mapping[str, str] | None = None
) -> Iterator[Network]:
    """Build the model `name` for images of shape (C, H, W) and yield its network, including training-only parts.

    A bare name is a registered model or else one of torchvision. `settings`: `model.*` as text, defaults otherwise.
    Images are resized inside the network as in a run. UnknownNameError suggests near names; OverrideError for a setting
    that is wrong or has no effect; RequestError when the model is not a torch network.
    """
    spec = _spec(name)
    channels, height, width = image
    shape = (height, width) if channels == 1 else (height, width, channels)
    problem = Problem(
        kind=spec.kinds[0],
        classes=tuple(f"class {index}" for index in range(classes)),
        inputs=dict.fromkeys(spec.needs, InputSpec(shape)),
    )
    model = construct(spec, _settings(spec, settings or {}), problem, Device())
    if not isinstance(model, TorchModel):
        raise RequestError(f"model {spec.name!r} is not a torch network, so it has no layers to profile.")
    pixels = np.zeros((1, *shape), dtype=np.uint8)
    inputs = model.preprocess(Batch(ids=np.array(["0"]), inputs=dict.fromkeys(spec.needs, pixels)))
    with _training_form(model):
        yield Network(model.module, lambda: model.forward(inputs))


def _spec(name: str) -> ModelSpec:
    """Return the spec of a model, from the first task kind that has one of this name."""
    registry = get_registry()
    kinds = [kind for entry in registry.models() if entry.spec.name == name for kind in entry.spec.kinds]
    if kinds:
        return registry.runnable(name, kinds[0]).spec
    try:
        return registry.model(name).spec
    except UnknownNameError:
        if ":" in name:
            raise
    specs = [entry.spec for entry in registry.models()]
    bare = [one for spec in specs if spec.name == BARE for one in load_target(spec.names)()]
    if name not in bare:
        raise UnknownNameError("model", name, {*(spec.name for spec in specs), *bare})
    return registry.model(f"{BARE}{name}").spec


def _settings(spec: ModelSpec, given: Mapping[str, str]) -> dict[str, Any]:
    """Return all settings of a model, those in `given` parsed from text."""
    params = {f"model.{param.name}": param for param in spec.params}
    for key in given:
        if f"model.{key}" not in params:
            raise UnknownNameError("key", f"model.{key}", params)
    read = {key: parse_setting(params[f"model.{key}"], text, f"model.{key}") for key, text in given.items()}
    for key, reason in effective(spec.params, read, "model")[1].items():
        raise OverrideError(f"key 'model.{key}' has no effect: {reason}.")
    return complete(spec.params, read)


@contextmanager
def _training_form(model: TorchModel) -> Iterator[None]:
    """Use the model as trained, whose parameters are those that a paper counts."""
    if not isinstance(model, HasTrainingForm):
        yield
        return
    with model.training_form(model.module) as module:
        model.module = module
        yield


def run_quietly(network: Network) -> Callable[[], Any]:
    """Return the forward call with third-party warnings suppressed."""

    def forward() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return network.forward()

    return forward
