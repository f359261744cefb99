"""Find a network by name for `profile`: a registered method, `torchvision:NAME` or `timm:NAME`, without weights."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlcvbench.contract import Batch, InputSpec, Problem, TorchModel
from mlcvbench.errors import OverrideError, RequestError, UnknownNameError
from mlcvbench.settings import complete, parse_setting, unmet
from mlcvbench.specs import ModelSpec, load_target

HUBS = ("torchvision", "timm")


@dataclass(frozen=True, slots=True)
class Network:
    """A module and the call that sends one image through it."""

    module: Any
    forward: Callable[[], Any]


def build_network(
    name: str, image: tuple[int, int, int], classes: int, settings: Mapping[str, str] | None = None
) -> Network:
    """Build a network for images of shape (C, H, W); a bare name is a registered method or else torchvision's.

    `settings`: of a registered method, `model.*` as text; the others are defaults. UnknownNameError offers near names;
    OverrideError for a setting that is wrong or has no effect; RequestError when the method is no torch network.
    """
    hub, colon, rest = name.partition(":")
    spec = None if colon and hub in HUBS else _registered(name)
    if spec is not None:
        return _from_spec(spec, image, classes, settings or {})
    if settings:
        raise OverrideError(f"model.{next(iter(settings))}: wanted with a method of `mlcvbench list models` only.")
    if colon and hub in HUBS:
        return _plain(_from_hub(hub, rest, classes), image)
    if name in _hub_names("torchvision"):
        return _plain(_from_hub("torchvision", name, classes), image)
    known = {*_registered_names(), *_hub_names("torchvision")}
    raise UnknownNameError("model", name, known)


def _registered(name: str) -> ModelSpec | None:
    from mlcvbench.registry import get_registry

    found = [entry.spec for entry in get_registry().models() if entry.spec.name == name]
    return found[0] if found else None


def _registered_names() -> list[str]:
    from mlcvbench.registry import get_registry

    return [entry.spec.name for entry in get_registry().models()]


def _hub_names(hub: str) -> list[str]:
    if hub == "torchvision":
        from torchvision import models

        return list(models.list_models(module=models))
    import timm

    return list(timm.list_models())


def _from_hub(hub: str, name: str, classes: int) -> Any:
    """Build a network of torchvision or timm with fresh weights."""
    names = _hub_names(hub)
    if name not in names:
        raise UnknownNameError(f"{hub} model", name, names)
    if hub == "timm":
        import timm

        return timm.create_model(name, pretrained=False, num_classes=classes)
    from torchvision import models

    settings: dict[str, Any] = {"weights": None, "num_classes": classes}
    if "init_weights" in inspect.signature(models.get_model_builder(name)).parameters or name in (
        "googlenet",
        "inception_v3",
    ):
        settings["init_weights"] = False  # their default initialisation takes minutes
    return models.get_model(name, **settings)


def _plain(module: Any, image: tuple[int, int, int]) -> Network:
    import torch

    inputs = torch.zeros(1, *image)
    return Network(module, lambda: module(inputs))


def _settings(spec: ModelSpec, given: Mapping[str, str]) -> dict[str, Any]:
    """Return all settings of a method, those in `given` read from their text."""
    params = {f"model.{param.name}": param for param in spec.params}
    for key in given:
        if f"model.{key}" not in params:
            raise UnknownNameError("key", f"model.{key}", params)
    read = {key: parse_setting(params[f"model.{key}"], text, f"model.{key}") for key, text in given.items()}
    values = complete(spec.params, read)
    for key in given:
        if reason := unmet(params[f"model.{key}"], values, "model"):
            raise OverrideError(f"key 'model.{key}' has no effect: {reason}.")
    return values


def _from_spec(spec: ModelSpec, image: tuple[int, int, int], classes: int, settings: Mapping[str, str]) -> Network:
    """Build a registered method for a made-up problem of its first kind."""
    channels, height, width = image
    shape = (height, width) if channels == 1 else (height, width, channels)
    problem = Problem(
        kind=spec.kinds[0],
        classes=tuple(f"class {index}" for index in range(classes)),
        inputs=dict.fromkeys(spec.needs, InputSpec(shape)),
    )
    model = load_target(spec.target)(problem, **_settings(spec, settings))
    if not isinstance(model, TorchModel):
        raise RequestError(f"model {spec.name!r} is no torch network, so it has no layers to profile.")
    pixels = np.zeros((1, *shape), dtype=np.uint8)
    inputs = model.preprocess(Batch(ids=np.array(["0"]), inputs=dict.fromkeys(spec.needs, pixels)))
    return Network(model.module, lambda: model.forward(inputs))


def run_quietly(network: Network) -> Callable[[], Any]:
    """Return the forward with warnings of foreign code kept off a command's output."""

    def forward() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return network.forward()

    return forward
