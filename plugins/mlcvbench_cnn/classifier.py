"""What the networks of this family have in common."""

from __future__ import annotations

from typing import ClassVar

from mlcvbench_cnn.settings import NORMED_FIT
from mlcvbench_training.classifier import NetworkClassifier
from mlcvbench_training.settings import Settings


class ConvolutionalClassifier(NetworkClassifier):
    """A network of this family; those with batch norm are trained alike by default."""

    FIT: ClassVar[Settings] = NORMED_FIT
