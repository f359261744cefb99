"""What a user's function or network returns for a batch, as plain arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def to_numpy(output: Any) -> Any:
    """Return an output with numpy arrays in place of tensors, also inside dicts, lists and tuples (which become lists).

    Tensors are copied to the host; bfloat16, which numpy lacks, becomes float32. Everything else stays as it is.
    """
    if isinstance(output, Mapping):
        return {str(name): to_numpy(value) for name, value in output.items()}
    if isinstance(output, list | tuple):
        return [to_numpy(value) for value in output]
    if not hasattr(output, "detach"):
        return output
    tensor = output.detach().cpu()
    return (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()


def described(output: Any) -> str:
    """Describe an output in words.

    >>> described(np.zeros((2, 3), np.float32)), described({"a": 1}), described([1, 2]), described(None)
    ('an array float32 (2, 3)', "a dict of 'a'", 'a list of 2 int', 'None')
    """
    if isinstance(output, np.ndarray):
        return f"an array {output.dtype} {output.shape}"
    if isinstance(output, dict):
        return f"a dict of {', '.join(map(repr, sorted(output))) or 'nothing'}"
    if isinstance(output, list):
        kinds = sorted({type(part).__name__ for part in output})
        return f"a list of {len(output)} {', '.join(kinds)}".rstrip()
    return "None" if output is None else type(output).__name__
