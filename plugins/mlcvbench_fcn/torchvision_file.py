"""Weights that torchvision publishes of its FCN and DeepLabv3, for the networks here of the same layers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import torch

from mlcvbench.contract import Notice
from mlcvbench.errors import RecordError
from mlcvbench_fcn.dilated import DilatedSegmenter
from mlcvbench_networks.dense.categories import classes_of_voc

LAST = ("classifier.4", "aux_classifier.4")
"""torchvision's names of the layers that give logits, of either network."""
COUNTER = ".num_batches_tracked"
"""Of a batch norm; files of before torch 0.4.1 have none, and it decides nothing here."""
SECOND = "aux_classifier."
"""How torchvision's names of the classifier begin that is for training."""


class TakesTorchvisions(DilatedSegmenter):
    """A segmenter that `weights=FILE` may give torchvision's weights. `PUBLISHED`: the settings that these are for.

    Their second classifier is left out where there is none here: it says nothing after training.
    """

    PUBLISHED: ClassVar[str]

    def load(self, folder: Path) -> Sequence[Notice] | None:
        given = {} if folder.is_dir() else self.read_state(folder)
        if "backbone.conv1.weight" not in given or f"{LAST[0]}.bias" not in given:
            return super().load(folder)
        given, notices = classes_of_voc(given, LAST, self.problem.classes, folder.name)
        state = {name: torch.tensor(0) for name in self.module.state_dict() if name.endswith(COUNTER)}
        for name, tensor in given.items():
            if self.auxiliary or not name.startswith(SECOND):
                state[_renamed(name)] = tensor
        try:
            self.put_in(state, folder.name)
        except RecordError as error:
            raise RecordError(f"{str(error).rstrip('.')}; torchvision's are for {self.PUBLISHED}.") from error
        return notices


def _renamed(name: str) -> str:
    """Return what a tensor of torchvision is called here, where the backbone's layers are inside `maps`."""
    return name.replace("backbone.", "backbone.maps.", 1).replace(SECOND, "auxiliary.", 1)
