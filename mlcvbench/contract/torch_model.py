"""TorchModel: wraps an `nn.Module` and takes care of device, eval, autocast, inference mode, counting and saving."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mlcvbench.contract.batch import Batch, Predictions
from mlcvbench.contract.model import Device, Model, ParameterCounts
from mlcvbench.contract.notices import Notice
from mlcvbench.contract.problem import Problem
from mlcvbench.errors import DataError, RecordError
from mlcvbench.files.weights import check_finite, read_weights

if TYPE_CHECKING:
    import torch
    from torch import nn

WEIGHTS_FILE = "weights.safetensors"


class TorchModel(Model):
    """A model around one `nn.Module`, which subclasses return from `build`.

    The default `preprocess` turns uint8 images (B, H, W) or (B, H, W, 3) into float32 (B, C, H, W) in [0, 1] on the
    device; the default `postprocess` returns the outputs (B, C) as classification `scores`. `forward` gives floats of
    any precision back as float32, also those inside dicts, lists and tuples, so no network has to cast its outputs.

    `CHOOSES`: whether the network looks closer at what it chose itself, such as the best of its proposals. No gradient
    goes through a choice, so the conformance kit does not compare gradients with differences.
    """

    CHOOSES: ClassVar[bool] = False

    def __init__(self, problem: Problem, **params: Any) -> None:
        super().__init__(problem, **params)
        self._module: nn.Module | None = None

    def build(self) -> nn.Module:
        """Return the network for `self.problem` and `self.params`, with freshly initialised weights."""
        raise TypeError(f"{type(self).__name__} must override build() or set .module.")

    @property
    def module(self) -> nn.Module:
        """The network, built on first use."""
        if self._module is None:
            self._module = self.build().to(self.torch_device)
        return self._module

    @module.setter
    def module(self, module: nn.Module) -> None:
        self._module = module

    @property
    def torch_device(self) -> torch.device:
        """The torch device to compute on."""
        import torch

        return torch.device("cuda", self.device.index) if self.device.type == "cuda" else torch.device("cpu")

    def to(self, device: Device) -> None:
        super().to(device)
        if self._module is not None:
            self._module.to(self.torch_device)

    def preprocess(self, batch: Batch) -> torch.Tensor:
        import torch

        images = batch.inputs["image"]
        if isinstance(images, list):
            raise DataError(f"{type(self).__name__} needs images of one size, and these differ.")
        tensor = torch.from_numpy(images if images.flags.c_contiguous else np.ascontiguousarray(images))
        if self.device.type != "cpu":
            tensor = tensor.to(self.torch_device, non_blocking=True)  # (B, H, W[, 3])
        channels_first = tensor.unsqueeze(1) if tensor.ndim == 3 else tensor.permute(0, 3, 1, 2)
        # contiguous, as from any data loader: networks may call `view` on their feature maps
        return channels_first.to(torch.float32, memory_format=torch.contiguous_format).div_(255.0)  # (B, C, H, W)

    def forward(self, inputs: Any) -> Any:
        import torch

        module = self.module
        if module.training:
            module.eval()
        with torch.inference_mode():
            if self.device.precision == "float32":
                return self.pass_through(module, inputs)
            with torch.autocast(self.device.type, dtype=getattr(torch, self.device.precision)):
                return in_float32(self.pass_through(module, inputs))

    def pass_through(self, module: nn.Module, inputs: Any) -> Any:
        """Return the network's outputs for what `preprocess` gave; override for a network of several arguments."""
        return module(inputs)

    def postprocess(self, outputs: Any, batch: Batch) -> Predictions:
        return {"scores": outputs.float().cpu().numpy()}

    def parameters(self) -> ParameterCounts:
        tensors = list(self.module.parameters())
        buffers = list(self.module.buffers())
        return ParameterCounts(
            trainable=sum(p.numel() for p in tensors if p.requires_grad),
            frozen=sum(p.numel() for p in tensors if not p.requires_grad),
            buffers=sum(b.numel() for b in buffers),
            bytes=sum(t.numel() * t.element_size() for t in [*tensors, *buffers]),
        )

    def stored_module(self) -> nn.Module:
        """Return the part of `module` whose tensors are the saved state; everything by default."""
        return self.module

    def save(self, folder: Path) -> None:
        from safetensors.torch import save_file

        stored = self.stored_module().state_dict()
        state = {name: tensor.detach().contiguous().cpu() for name, tensor in stored.items()}
        save_file(state, str(folder / WEIGHTS_FILE))

    def read_state(self, path: Path) -> dict[str, torch.Tensor]:
        """Return the tensors of a file of weights by their names in `stored_module`; override for foreign names."""
        return read_weights(path)

    def load(self, folder: Path) -> Sequence[Notice] | None:
        """Read what `save` wrote into `folder`, or one file of weights: safetensors, or a checkpoint of tensors (.pth).

        RecordError names the first tensor that is missing, of the wrong shape or not finite.
        """
        path = folder / WEIGHTS_FILE if folder.is_dir() else folder
        self.put_in(self.read_state(path), path.name)
        return None

    def put_in(self, state: Mapping[str, torch.Tensor], source: str) -> None:
        """Give `stored_module` its tensors by their names; RecordError, with `source`, when they are not all of it."""
        module = self.stored_module()
        expected = module.state_dict()
        for name, tensor in expected.items():
            if name not in state or state[name].shape != tensor.shape:
                got = tuple(state[name].shape) if name in state else "nothing"
                raise RecordError(f"{source}: tensor {name!r}: wanted shape {tuple(tensor.shape)}, got {got}.")
            check_finite(state[name], tensor, f"{source}: tensor {name!r}")
        if further := sorted(state.keys() - expected.keys()):
            raise RecordError(f"{source}: tensor {further[0]!r} is not part of this network.")
        module.load_state_dict(state)
        self.module.to(self.torch_device)


def in_float32(outputs: Any) -> Any:
    """Return outputs with their half-precision tensors as float32, however they are nested; all else is unchanged."""
    import torch

    def cast(value: Any) -> Any:
        half = isinstance(value, torch.Tensor) and value.dtype in (torch.float16, torch.bfloat16)
        return value.float() if half else value

    return map_leaves(cast, outputs)


def map_leaves(change: Callable[[Any], Any], value: Any) -> Any:
    """Return nested dicts, lists and tuples, named ones too, with every value inside changed."""
    if isinstance(value, dict):
        return type(value)((key, map_leaves(change, part)) for key, part in value.items())
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(map_leaves(change, part) for part in value))
    if isinstance(value, list | tuple):
        return type(value)(map_leaves(change, part) for part in value)
    return change(value)
