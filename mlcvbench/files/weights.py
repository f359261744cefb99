"""Files of weights: safetensors or checkpoints of tensors; sizes are checked before reading, and no code is run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlcvbench.errors import RecordError
from mlcvbench.limits import MAX_WEIGHT_HEADER_BYTES, MAX_WEIGHT_TENSORS

if TYPE_CHECKING:
    import torch

CHECKPOINTS = (".pth", ".pt")
HOLDERS = ("state_dict", "model_state_dict", "model")
"""Entries under which training scripts store the tensors, beside others such as the state of the optimizer."""
WRAPPER = "module."
"""What DataParallel and its kin put before all names."""
TO_SAVE = "save the tensors alone, as torch.save(model.state_dict(), FILE)"


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Return the named tensors of a safetensors file or of a torch checkpoint, read without running code from it.

    A checkpoint may hold them under one of `HOLDERS`, and all names may begin with `WRAPPER`.

    RecordError when it is neither.
    """
    if not path.is_file():
        what = f"the folder {path.name!r}" if path.is_dir() else f"no file {path.name!r} in {path.parent.name!r}"
        raise RecordError(f"wanted a file of weights, got {what}.")
    if path.suffix not in CHECKPOINTS:
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        check_weights_header(path)
        try:
            return load_file(str(path))
        except SafetensorError as error:  # cut short, for example
            raise RecordError(f"{path.name}: not a whole file of safetensors ({error}).") from error
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch's unpickler raises many types; each means that this is not a file of tensors
        raise RecordError(
            f"{path.name}: not a checkpoint of tensors alone ({type(error).__name__}); {TO_SAVE}."
        ) from error
    if isinstance(state, dict):
        state = next((state[name] for name in HOLDERS if isinstance(state.get(name), dict)), state)
    if isinstance(state, dict) and state and all(str(name).startswith(WRAPPER) for name in state):
        state = {name.removeprefix(WRAPPER): value for name, value in state.items()}
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise RecordError(f"{path.name}: wanted a dict of tensors, got {type(state).__name__}; {TO_SAVE}.")
    return state


def check_finite(given: torch.Tensor, own: torch.Tensor, what: str) -> None:
    """Refuse numbers that are not finite in the place of a network's `own`, which may hold an infinity, as in a mask.

    RecordError begins with `what`.
    """
    if not bool(given.isfinite().all()) and bool(own.isfinite().all()):
        raise RecordError(f"{what}: wanted finite numbers.")


def check_weights_header(path: Path) -> None:
    """Refuse a safetensors file with an oversized header before the library reads it."""
    import orjson

    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > MAX_WEIGHT_HEADER_BYTES or length > size - 8:
            raise RecordError(
                f"{path.name}: not a file of safetensors: its header claims {length} bytes of {size}; the most is "
                f"{MAX_WEIGHT_HEADER_BYTES}."
            )
        try:
            header = orjson.loads(file.read(length))
        except orjson.JSONDecodeError as error:
            raise RecordError(f"{path.name}: its header is not JSON ({error}).") from None
    if not isinstance(header, dict) or len(header) > MAX_WEIGHT_TENSORS:
        raise RecordError(f"{path.name}: wanted at most {MAX_WEIGHT_TENSORS} named tensors in the header.")
