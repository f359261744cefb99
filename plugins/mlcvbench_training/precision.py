"""The precision of the passes through a network in training; weights, loss and updates stay float32."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlcvbench.contract import Notice
from mlcvbench.contract.torch_model import in_float32

if TYPE_CHECKING:
    import torch
    from torch import nn

    from mlcvbench_training.objective import Network


CPU_FACTS = Path("/proc/cpuinfo")
HALF_ON_CPUS = ("amx_bf16", "avx512_bf16")
"""What a processor says that multiplies bfloat16 itself; others imitate it, slower than float32."""


def chosen_precision(precision: str, device: torch.device) -> str:
    """Return the precision to train in: for `auto` bfloat16 where the device computes in it, else float32."""
    import torch

    if precision != "auto":
        return precision
    if device.type == "cuda":
        able = torch.cuda.is_bf16_supported()
    else:
        facts = CPU_FACTS.read_text(encoding="utf-8") if CPU_FACTS.is_file() else ""
        able = any(name in facts.split() for name in HALF_ON_CPUS)
    return "bfloat16" if able else "float32"


def about_auto(precision: str) -> Notice:
    """Return the notice of a training whose precision this machine decided."""
    return Notice(
        "precision-chosen",
        f"fit.precision=auto took {precision} here; a machine that computes otherwise fits another model.",
    )


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
