"""Multilayer perceptron: (linear, activation) x n, linear; on flattened pixels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, cast

from mlcvbench.contract import FitContext, FitReport, Problem, Split
from mlcvbench_linear.settings import MLP_FIT
from mlcvbench_training.classifier import NetworkClassifier
from mlcvbench_training.loop import examples_of, scaled, train_network
from mlcvbench_training.seeding import seeded
from mlcvbench_training.settings import Settings

if TYPE_CHECKING:
    from torch import nn


class MLP(NetworkClassifier):
    """Layers of `hidden` units between pixels and classes.

    Sigmoid layers start from Glorot's uniform distribution, ReLU layers from He's: with the other's, deep ones saturate
    or die. Unless `standardise` is off, pixels are standardised with the training set's mean and deviation, which are
    folded into the first layer afterwards.
    Without hidden layers this is softmax regression.
    """

    FIT: ClassVar[Settings] = MLP_FIT

    def __init__(
        self,
        problem: Problem,
        hidden: Sequence[int] = (256,),
        activation: str = "relu",
        dropout: float = 0.0,
        standardise: bool = True,
    ) -> None:
        super().__init__(problem, hidden=tuple(hidden), activation=activation, dropout=dropout, standardise=standardise)
        self.hidden, self.activation, self.dropout = tuple(hidden), activation, dropout
        self.standardise = standardise

    def network(self, channels: int, classes: int) -> nn.Module:
        from torch import nn

        height, width = self.native_size
        sizes = (channels * height * width, *self.hidden)
        layers: list[nn.Module] = [nn.Flatten()]
        for inside, outside in pairwise(sizes):
            layers += [nn.Linear(inside, outside), nn.ReLU() if self.activation == "relu" else nn.Sigmoid()]
            if self.dropout:
                layers.append(nn.Dropout(self.dropout))
        network = nn.Sequential(*layers, nn.Linear(sizes[-1], classes))
        for layer in network:
            if isinstance(layer, nn.Linear):
                self._start(layer)
        return network

    def fit(self, train: Split, val: Split | None, ctx: FitContext) -> FitReport:
        from torch import nn

        from mlcvbench_linear.standardise import Standardise

        examples = examples_of(train, self.torch_device)
        held_out = None if val is None else examples_of(val, self.torch_device)
        with seeded(ctx.seed, self.torch_device):
            flatten, first, *rest = self.build().to(self.torch_device).children()
        standardise = Standardise(scaled(examples.images).flatten(1), on=self.standardise)
        trained = nn.Sequential(flatten, standardise, first, *rest)
        report = train_network(trained, examples, Settings.of(ctx.settings, self.FIT), ctx, held_out)
        standardise.fold_into(cast("nn.Linear", first))
        self.module = nn.Sequential(flatten, first, *rest).eval()
        return report

    def _start(self, layer: nn.Linear) -> None:
        from torch import nn

        if self.activation == "relu":
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
        else:
            nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)
