"""Wrap what a user holds in hand, an `nn.Module` or a function, as a model the bench can evaluate as it is."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from mlcvbench.contract import Batch, Device, Model, Predictions, Problem, TorchModel
from mlcvbench.errors import RequestError
from mlcvbench.records.schema import ModelInfo, WeightsInfo
from mlcvbench.runner import Live
from mlcvbench.specs import NAME_PATTERN

Preprocess = Callable[[Any], Any]


class LiveModule(TorchModel):
    """A user's network. `preprocess` turns uint8 images into its input; default float32 (B, C, H, W) in [0, 1]."""

    def __init__(self, problem: Problem, module: Any, preprocess: Preprocess | None) -> None:
        super().__init__(problem)
        self.module = module
        self._user_preprocess = preprocess

    def preprocess(self, batch: Batch) -> Any:
        if self._user_preprocess is None:
            return super().preprocess(batch)
        return self._user_preprocess(batch.inputs["image"]).to(self.torch_device)


class LiveFunction(Model):
    """A user's function from uint8 images (B, H, W) or (B, H, W, 3) to class scores (B, C)."""

    def __init__(self, problem: Problem, function: Callable[[Any], Any], preprocess: Preprocess | None) -> None:
        super().__init__(problem)
        self._function = function
        self._user_preprocess = preprocess

    def preprocess(self, batch: Batch) -> Any:
        images = batch.inputs["image"]
        return images if self._user_preprocess is None else self._user_preprocess(images)

    def forward(self, inputs: Any) -> Any:
        return self._function(inputs)

    def postprocess(self, outputs: Any, batch: Batch) -> Predictions:
        if isinstance(outputs, dict):
            return outputs
        scores = outputs.detach().float().cpu().numpy() if hasattr(outputs, "detach") else np.asarray(outputs)
        return {"scores": scores}


def wrap(model: Any, problem: Problem, device: Device, name: str | None, preprocess: Preprocess | None) -> Live:
    """Return `model` as a live model. RequestError when it is nothing that can be called."""
    label = name or default_name(model)
    if not NAME_PATTERN.fullmatch(label):
        raise RequestError(f"name={label!r}: wanted letters, digits and . _ + : -, at most 100.")
    wrapped = _wrap(model, problem, preprocess)
    wrapped.to(device)
    weights = weights_digest(wrapped)
    info = ModelInfo(
        name=label,
        plugin="(live)",
        plugin_version="",
        weights=WeightsInfo(source="live", sha256=weights),
        summary=f"a live {type(model).__name__}, evaluated in its own process",
    )
    return Live(wrapped, info, weights)


def weights_digest(model: Model) -> str | None:
    """Return the sha256 of a network's structure and state, None for a model that holds no network.

    It covers the name and class of every module, and name, dtype, shape and bytes of every tensor of the state.
    """
    if not isinstance(model, TorchModel):
        return None
    import torch

    digest = hashlib.sha256()
    for name, module in model.module.named_modules():
        digest.update(f"{name}:{type(module).__module__}.{type(module).__qualname__}\n".encode())
    for name, value in model.module.state_dict().items():
        if not isinstance(value, torch.Tensor):  # such as the packed state of quantised layers
            digest.update(f"{name}:{value!r}\n".encode())
            continue
        tensor = value.detach().cpu().contiguous()
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def default_name(model: Any) -> str:
    """Return the name a record gives a live model: its class or function name."""
    if inspect.isfunction(model) or inspect.isbuiltin(model):
        return model.__name__.strip("<>") or "function"
    return type(model).__name__


def _wrap(model: Any, problem: Problem, preprocess: Preprocess | None) -> Model:
    if isinstance(model, Model):
        return model
    if _is_module(model):
        return LiveModule(problem, model, preprocess)
    if callable(model):
        return LiveFunction(problem, model, preprocess)
    raise RequestError(
        f"model: wanted an nn.Module, a function or a mlcvbench Model, got {type(model).__name__}; "
        "to run a method by name use mlcvbench.run(model=NAME)."
    )


def _is_module(model: Any) -> bool:
    import sys

    torch = sys.modules.get("torch")
    return torch is not None and isinstance(model, torch.nn.Module)
