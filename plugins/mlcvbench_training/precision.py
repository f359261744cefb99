"""The precision of the passes through a network in training; weights, loss and updates stay float32."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn

    from mlcvbench_training.objective import Network


def in_precision(module: nn.Module, precision: str, device: torch.device) -> Network:
    """Return the module as a function whose passes have this precision and whose outputs are float32."""
    import torch

    if precision == "float32":
        return module
    cast = torch.autocast(device.type, getattr(torch, precision))

    def passed(*inputs: Any, **further: Any) -> Any:
        with cast:
            outputs = module(*inputs, **further)
        return _widened(outputs)

    return passed


def _widened(outputs: Any) -> Any:
    """Return outputs with float32 in the place of shorter floats, in the tuples, lists and dicts that hold them."""
    import torch

    if isinstance(outputs, torch.Tensor):
        return outputs.float() if outputs.is_floating_point() else outputs
    if isinstance(outputs, dict):
        return {name: _widened(value) for name, value in outputs.items()}
    if isinstance(outputs, tuple | list):
        values = [_widened(value) for value in outputs]
        return type(outputs)(*values) if hasattr(outputs, "_fields") else type(outputs)(values)
    return outputs
