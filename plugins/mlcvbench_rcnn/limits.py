"""What the settings of a method rule out by themselves, said before anything starts. Imports nothing heavy."""

from __future__ import annotations

from mlcvbench.errors import RequestError
from mlcvbench.specs import Chosen


def check_settings(chosen: Chosen) -> None:
    """Refuse a context that leaves nothing of a region."""
    size, context = chosen.params["size"], chosen.params["context"]
    if 2 * context >= size:
        raise RequestError(
            f"{chosen.name}: model.context={context} on both sides leaves nothing of model.size={size}; wanted less "
            f"than {(size + 1) // 2}."
        )
