"""Convolutional networks."""

from __future__ import annotations

from mlcvbench.hookspecs import hookimpl
from mlcvbench.specs import ModelSpec, Param
from mlcvbench_training.settings import Settings, fit_params

SMALL_CNN_FIT = Settings(
    optimizer="adamw", lr=0.01, batch=64, epochs=15, weight_decay=0.01, schedule="one_cycle", augmentation="shift"
)


@hookimpl
def mlcvbench_models() -> list[ModelSpec]:
    """Return the small convolutional network."""
    return [
        ModelSpec(
            name="small_cnn",
            kinds=("classification",),
            target="mlcvbench_cnn.small:SmallCNN",
            summary="Stages of two 3x3 convolutions with batch norm and a pool, then an average and one linear layer.",
            params=(
                Param("width", "int", 16, "channels of the first stage; each next stage has twice as many", low=1),
                Param("stages", "int", 3, "stages; each halves height and width", low=1, high=8),
                Param("dropout", "float", 0.0, "share of averaged features dropped in training", low=0.0, high=0.99),
            ),
            fit=fit_params(SMALL_CNN_FIT),
            family="cnn",
            reference="A VGG-style net (Simonyan and Zisserman, ICLR 2015) with batch norm and global average pooling.",
            year=2015,
        )
    ]
