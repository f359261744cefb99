"""Networks whose outputs are averaged, and the networks of registered models. Imports torch: load it lazily."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import nn

from mlcvbench.contract import Device, Problem, TorchModel
from mlcvbench.loading.models import build_inner
from mlcvbench_ensembles.bases import is_network, no_network


class Committee(nn.Module):
    """The log of the mean of its members' softmax outputs: probabilities are averaged, not logits."""

    def __init__(self, members: Iterable[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Map inputs to log probabilities (B, C)."""
        return log_mean_softmax([member(inputs) for member in self.members])


def log_mean_softmax(logits: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return log(mean over m of softmax(s_m)), (B, C), of the logits (B, C) of M networks."""
    logs = torch.stack([one.log_softmax(1) for one in logits])  # (M, B, C)
    return logs.logsumexp(0) - torch.tensor(float(len(logits))).log()


def network_model(text: str, problem: Problem, device: Device) -> TorchModel:
    """Return the model that `text` names; RequestError unless it is a network whose outputs are its logits."""
    model = build_inner(text, problem, device)
    if not isinstance(model, TorchModel) or not is_network(type(model)):
        raise no_network(text)
    return model
