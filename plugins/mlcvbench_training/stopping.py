"""Early stopping: the weights of the best validation accuracy so far, and whether it still pays to go on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn

    from mlcvbench_training.settings import Settings


class Stopper:
    """Ends a training after `patience` looks without a gain of more than `min_gain`."""

    def __init__(self, settings: Settings) -> None:
        self.patience, self.min_gain = settings.patience, settings.min_gain
        self.score, self.waited = -math.inf, 0
        self.best: dict[str, torch.Tensor] = {}

    def look(self, score: float, module: nn.Module) -> bool:
        """Take a validation accuracy and the weights that it is of; return whether the training ends here."""
        if score > self.score + self.min_gain or not self.best:
            self.score, self.waited = score, 0
            self.best = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}
        else:
            self.waited += 1
        return self.waited >= self.patience

    def put_back(self, module: nn.Module) -> None:
        """Leave the best weights in the network."""
        if self.best:
            module.load_state_dict(self.best)

    def state(self) -> dict[str, Any]:
        """Return what was seen, as plain data; `best` is stored beside it."""
        return {"score": self.score, "waited": self.waited}

    def restore(self, state: dict[str, Any], best: dict[str, torch.Tensor]) -> None:
        """Go on from what `state` gave."""
        self.score, self.waited, self.best = state["score"], state["waited"], dict(best)
