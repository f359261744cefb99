"""Linear classifiers."""

from __future__ import annotations

from mlcvbench.hookspecs import hookimpl
from mlcvbench.specs import ModelSpec
from mlcvbench_training.settings import OPTIMIZERS, Settings, fit_params

FULL_BATCH = "lbfgs"
LINEAR_SOFTMAX_FIT = Settings(optimizer=FULL_BATCH, lr=0.01, epochs=200, weight_decay=1e-3, schedule="cosine")


@hookimpl
def mlcvbench_models() -> list[ModelSpec]:
    """Return softmax regression."""
    return [
        ModelSpec(
            name="linear_softmax",
            kinds=("classification",),
            target="mlcvbench_linear.softmax:LinearSoftmax",
            summary="Softmax regression on standardised pixels: cross-entropy with an L2 penalty (fit.weight_decay).",
            fit=fit_params(LINEAR_SOFTMAX_FIT, optimizers=(FULL_BATCH, *OPTIMIZERS), without=("augmentation",)),
            family="linear",
            reference="Cox, The regression analysis of binary sequences, JRSS B, 1958; its multinomial form.",
            year=1958,
        )
    ]
