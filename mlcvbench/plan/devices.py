"""Which device a request means."""

from __future__ import annotations

from mlcvbench.errors import RequestError


def resolve_device(name: str) -> str:
    """Return `cpu` or `cuda` for `cpu`, `cuda` or `auto`; RequestError when CUDA is asked for and absent."""
    if name == "cpu":
        return "cpu"
    import torch

    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise RequestError("device=cuda: no CUDA device is available here; use device=cpu or device=auto.")
    return "cuda" if available else "cpu"
