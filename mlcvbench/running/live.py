"""Wrap a user's `nn.Module` or function as a model that the bench can evaluate.

Both are given the inputs of a batch in the order of the data set's `problem.inputs`: one argument for images, two
(`left`, `right`) for stereo. What they return becomes the columns of the task kind as `Task.from_output` says.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlcvbench.contract import Array, Batch, Device, Model, Notice, Predictions, Problem, Task, TorchModel
from mlcvbench.contract.batch import Column
from mlcvbench.errors import RequestError
from mlcvbench.plan.titles import name_and_title
from mlcvbench.records.schema import ModelInfo, WeightsInfo
from mlcvbench.running.stages import Live
from mlcvbench.specs import Param

Preprocess = Callable[..., Any]
BYTES = 255.0


@dataclass(slots=True)
class Asked:
    """The problem that a live model is given, and how its outputs are interpreted: `settings` are those of `reading`.

    `notices` collects assumptions. `named`: an output named its columns, which are then taken at their names.
    """

    task: Task
    problem: Problem
    reading: Sequence[Param]
    settings: Mapping[str, Any]
    notices: dict[Notice, None] = field(default_factory=dict)
    named: bool = False

    def inputs(self, batch: Batch) -> list[Column]:
        """Return the inputs of a batch in the order of the problem; lists of equal shapes become arrays."""
        return [_stacked(batch.inputs[kind]) for kind in self.problem.inputs]

    def columns(self, output: Any) -> Predictions:
        """Return an output as columns; PredictionError says what was wanted."""
        found = self.task.from_output(output, self.problem)
        self.notices |= dict.fromkeys(found.notices)
        self.named = self.named or isinstance(output, Mapping)
        return self.task.interpret(found.predictions, self.settings, self.problem)

    def settle(self, predictions: Predictions, ids: Array) -> Predictions:
        """Return all outputs for a split, interpreted once all are known; later ones are interpreted alike."""
        if self.named:
            return predictions
        guess = self.task.guess(predictions, self.settings)
        self.notices |= dict.fromkeys(guess.notices)
        if not guess.settings:
            return predictions
        self.settings = {**self.settings, **guess.settings}
        meant = self.task.interpret(predictions, guess.settings, self.problem)
        return self.task.check(meant, ids, self.problem)


class LiveModule(TorchModel):
    """A user's network. `preprocess` turns the inputs into the network's.

    By default uint8 images become float32 (B, C, H, W) in [0, 1], and maps of numbers float32 (B, 1, H, W).
    """

    def __init__(self, asked: Asked, module: Any, preprocess: Preprocess | None) -> None:
        super().__init__(asked.problem)
        self.module = module
        self._asked = asked
        self._user_preprocess = preprocess

    def preprocess(self, batch: Batch) -> Any:
        inputs = self._asked.inputs(batch)
        if self._user_preprocess is not None:
            return self._on_device(self._user_preprocess(*inputs))
        tensors = tuple(self._tensor(column) for column in inputs)
        return tensors[0] if len(tensors) == 1 else tensors

    def forward(self, inputs: Any) -> Any:
        import torch

        if not isinstance(inputs, tuple):
            return super().forward(inputs)
        module = self.module.eval()
        with torch.inference_mode():
            if self.device.precision == "float32":
                return module(*inputs)
            with torch.autocast(self.device.type, dtype=getattr(torch, self.device.precision)):
                return module(*inputs)

    def postprocess(self, outputs: Any, batch: Batch) -> Predictions:
        return self._asked.columns(outputs)

    def _on_device(self, tensors: Any) -> Any:
        if isinstance(tensors, tuple | list):
            return type(tensors)(self._on_device(one) for one in tensors)
        return tensors.to(self.torch_device) if hasattr(tensors, "to") else tensors

    def _tensor(self, column: Column) -> Any:
        import torch

        tensor = self._on_device(torch.from_numpy(np.ascontiguousarray(column)))  # (B, H, W[, 3])
        channels_first = tensor.permute(0, 3, 1, 2) if tensor.ndim == 4 else tensor.unsqueeze(1)
        numbers = channels_first.to(torch.float32)
        return numbers.div_(BYTES) if tensor.dtype == torch.uint8 else numbers


class LiveFunction(Model):
    """A user's function of the inputs of a batch: uint8 images (B, H, W) or (B, H, W, 3), a list when sizes differ."""

    def __init__(self, asked: Asked, function: Callable[..., Any], preprocess: Preprocess | None) -> None:
        super().__init__(asked.problem)
        self._asked = asked
        self._function = function
        self._user_preprocess = preprocess

    def preprocess(self, batch: Batch) -> Any:
        inputs = self._asked.inputs(batch)
        return tuple(inputs) if self._user_preprocess is None else (self._user_preprocess(*inputs),)

    def forward(self, inputs: Any) -> Any:
        return self._function(*inputs)

    def postprocess(self, outputs: Any, batch: Batch) -> Predictions:
        return self._asked.columns(outputs)


def wrap(model: Any, asked: Asked, device: Device, name: str | None, preprocess: Preprocess | None) -> Live:
    """Return `model` as a live model. RequestError when it is not callable."""
    label, title = name_and_title(name or default_name(model), "name")
    wrapped = _wrap(model, asked, preprocess)
    wrapped.to(device)
    weights = weights_digest(wrapped.module) if isinstance(wrapped, TorchModel) else None
    info = ModelInfo(
        name=label,
        title=title,
        plugin="(live)",
        plugin_version="",
        weights=WeightsInfo(source="live", sha256=weights),
        summary=f"a live {type(model).__name__}, evaluated in its own process",
    )
    settle = None if isinstance(model, Model) else asked.settle
    return Live(wrapped, info, weights, asked.notices, settle=settle)


def weights_digest(network: Any) -> str:
    """Return the sha256 of the structure and the state of an `nn.Module`.

    It covers the name and class of every module, and name, dtype, shape and bytes of every tensor of the state.
    """
    import torch

    digest = hashlib.sha256()
    for name, module in network.named_modules():
        digest.update(f"{name}:{type(module).__module__}.{type(module).__qualname__}\n".encode())
    for name, value in network.state_dict().items():
        if not isinstance(value, torch.Tensor):  # such as the packed state of quantised layers
            digest.update(f"{name}:{value!r}\n".encode())
            continue
        tensor = value.detach().cpu().contiguous()
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def default_name(model: Any) -> str:
    """Return the name a record gives a live model: its class or function name."""
    if inspect.isroutine(model):
        return model.__name__.strip("<>") or "function"
    return type(model).__name__


def _wrap(model: Any, asked: Asked, preprocess: Preprocess | None) -> Model:
    if isinstance(model, Model):
        _refuse_without_effect(asked, preprocess)
        return model
    if _is_module(model):
        return LiveModule(asked, model, preprocess)
    if callable(model):
        return LiveFunction(asked, model, preprocess)
    raise RequestError(
        f"model: wanted an nn.Module, a function or an mlcvbench Model, got {type(model).__name__}; "
        "to run a method by name use mlcvbench.run(model=NAME)."
    )


def _refuse_without_effect(asked: Asked, preprocess: Preprocess | None) -> None:
    """Refuse arguments that have no effect on an mlcvbench Model, whose own stages define its inputs and outputs."""
    given = [param.name for param in asked.reading if asked.settings.get(param.name) != param.default]
    for name in [*(["preprocess"] if preprocess is not None else []), *given]:
        raise RequestError(f"{name}= has no effect on an mlcvbench Model: its stages define its inputs and outputs.")


def _stacked(column: Column) -> Column:
    if not isinstance(column, list) or len({(one.shape, one.dtype) for one in column}) != 1:
        return column
    stacked: Array = np.stack(column)
    return stacked


def _is_module(model: Any) -> bool:
    import sys

    torch = sys.modules.get("torch")
    return torch is not None and isinstance(model, torch.nn.Module)
