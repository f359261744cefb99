"""The precision of the passes through a network in training; weights, loss and updates stay float32."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlcvbench.contract.torch_model import in_float32

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
        return in_float32(outputs)

    return passed
