"""The three fully connected layers that AlexNet, ZFNet and VGG end in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlcvbench_cnn.initialisation import he_initialised

if TYPE_CHECKING:
    from torch import nn

HIDDEN = 4096


def with_head(
    features: nn.Module, image: tuple[int, int, int], classes: int, hidden: int, dropout: float
) -> nn.Sequential:
    """Return `features`, then three fully connected layers with dropout before the first two, all He-initialised.

    `image`: channels, height and width of what `features` gets.
    """
    from torch import nn

    layers = nn.Sequential(
        features,
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(_flat_features(features, image), hidden),
        nn.ReLU(inplace=True),
        nn.Dropout(dropout),
        nn.Linear(hidden, hidden),
        nn.ReLU(inplace=True),
        nn.Linear(hidden, classes),
    )
    he_initialised(layers)
    return layers


def _flat_features(features: nn.Module, image: tuple[int, int, int]) -> int:
    """Return how many numbers `features` gives for one image of (C, H, W)."""
    import torch

    was_training = features.training
    features.eval()
    with torch.no_grad():
        shape = features(torch.zeros(1, *image)).shape
    features.train(was_training)
    return int(shape[1:].numel())
