"""The state of a training between two epochs as one safetensors file, whole or absent: tensors, JSON in its header."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlcvbench.errors import RecordError
from mlcvbench.files.weights import check_weights_header

if TYPE_CHECKING:
    import torch

FILE = "training.safetensors"
FACTS = "facts"


def write_checkpoint(folder: Path, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any]) -> None:
    """Write in place of the checkpoint before, whole or not at all, whatever happens to this process.

    It is not flushed to the disk: after a power cut the file may be unreadable, and then the training begins anew.
    """
    from safetensors.torch import save_file

    pending = folder / f"{FILE}.{os.getpid()}"
    stored: dict[str, torch.Tensor] = {}
    places: set[int] = set()
    for name, tensor in tensors.items():
        plain = tensor.detach().cpu().contiguous()
        stored[name] = plain.clone() if plain.data_ptr() in places else plain  # the format has no tied weights
        places.add(plain.data_ptr())
    save_file(stored, str(pending), metadata={FACTS: json.dumps(facts)})
    pending.replace(folder / FILE)


def read_checkpoint(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    """Return the tensors and facts in `folder`; None when there are none that can be read."""
    from safetensors import SafetensorError, safe_open

    path = folder / FILE
    if not path.is_file():
        return None
    try:
        check_weights_header(path)
        with safe_open(str(path), framework="pt") as file:
            facts = json.loads((file.metadata() or {})[FACTS])
            return {name: file.get_tensor(name) for name in file.keys()}, facts  # noqa: SIM118 - no mapping
    except (RecordError, SafetensorError, KeyError, ValueError):
        return None
