"""What parts of dense networks rule out, said before anything starts. Imports nothing heavy."""

from __future__ import annotations

from mlcvbench.errors import RequestError
from mlcvbench.specs import Chosen


def check_several_images(chosen: Chosen) -> None:
    """Refuse steps of one image for a network that pools its whole map before a batch norm: RequestError."""
    if chosen.fit.get("batch") == 1 or chosen.fit.get("optimizer") == "online_gd":
        raise RequestError(
            f"{chosen.name}: steps of one image cannot train it, for its mean of the map leaves batch norm one number "
            "a channel; set fit.batch=2 or more, and another fit.optimizer than online_gd."
        )
