"""What learns slower than the rest or not at all: the backbone of a network, and norms whose parameters are frozen."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def backbone_of(module: nn.Module) -> nn.Module | None:
    """Return the attribute `backbone` of a network or of the first part of it that has one, None where none has."""
    for part in module.modules():
        found: nn.Module | None = getattr(part, "backbone", None)
        if found is not None:
            return found
    return None


def frozen_norms(module: nn.Module) -> list[nn.Module]:
    """Return the batch norms of a module whose parameters are all frozen: their statistics are to stay as they are.

    A training would else move them to those of its own data, and normalise by those of each batch, so that maps of
    frozen weights changed all the same.
    """
    from torch import nn

    norms = (part for part in module.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm))
    return [norm for norm in norms if _is_frozen(norm)]


def _is_frozen(norm: nn.Module) -> bool:
    parameters = list(norm.parameters())
    return bool(parameters) and not any(parameter.requires_grad for parameter in parameters)
