"""What the settings of a detector rule out by themselves, said before anything starts. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Sequence

from mlcvbench.errors import RequestError
from mlcvbench.specs import Chosen

BACKBONE = 5
"""The coarsest level that a backbone gives."""


def check_settings(chosen: Chosen) -> None:
    """Refuse levels that the detector cannot have, with the ones that it can."""
    if "levels" in chosen.params:
        check_levels(chosen.name, chosen.params["levels"], (6, 7) if chosen.name.startswith("efficientdet") else (5, 7))


def check_levels(name: str, levels: Sequence[int], coarsest: tuple[int, int] = (5, 7)) -> None:
    """Refuse levels that do not go from one that the backbone gives to one of `coarsest`: RequestError.

    An FPN adds two beyond those of the backbone or none, a BiFPN one or two.
    """
    if levels[0] > BACKBONE or levels[1] not in coarsest:
        first, last = coarsest
        raise RequestError(
            f"{name}: wanted model.levels from 2, 3, 4 or {BACKBONE} to {first} or {last}, got "
            f"[{levels[0]},{levels[1]}]; set model.levels=[2,{first}] or, as published, [3,7]."
        )
