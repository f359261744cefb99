"""Linear classifiers, and the perceptron of several layers that follows from them."""

from __future__ import annotations

from mlcvbench.hookspecs import hookimpl
from mlcvbench.specs import ModelSpec, Param
from mlcvbench_linear.settings import FULL_BATCH, LINEAR_SOFTMAX_FIT, MLP_FIT
from mlcvbench_training.settings import IMAGE_CHANGES, NEWTON, OPTIMIZERS, fit_params

STANDARDISE = Param("standardise", "bool", True, "centre and scale each pixel; otherwise it is in [0, 1] as it is")


@hookimpl
def mlcvbench_models() -> list[ModelSpec]:
    """Return softmax regression, least squares and the perceptron."""
    return [
        ModelSpec(
            name="linear_softmax",
            kinds=("classification",),
            target="mlcvbench_linear.softmax:LinearSoftmax",
            summary="Softmax regression on standardised pixels: cross-entropy with an L2 penalty (fit.l2).",
            params=(
                Param(
                    "features",
                    "str",
                    "pixels",
                    "what the scores are linear in; polar: radius and angle of points",
                    choices=("pixels", "polar"),
                ),
                STANDARDISE,
            ),
            fit=fit_params(LINEAR_SOFTMAX_FIT, optimizers=(FULL_BATCH, NEWTON, *OPTIMIZERS), without=IMAGE_CHANGES),
            family="linear",
            reference="Cox, The regression analysis of binary sequences, JRSS B, 1958; its multinomial form.",
            year=1958,
        ),
        ModelSpec(
            name="linear_least_squares",
            kinds=("classification",),
            target="mlcvbench_linear.least_squares:LinearLeastSquares",
            summary="Linear regression on the one-hot labels, in closed form; the largest output wins.",
            family="linear",
            reference="Legendre, Nouvelles methodes pour la determination des orbites des cometes, 1805.",
            year=1805,
        ),
        ModelSpec(
            name="mlp",
            kinds=("classification",),
            target="mlcvbench_linear.mlp:MLP",
            summary="Multilayer perceptron on flattened pixels.",
            params=(
                Param("hidden", "ints", (256,), "units of each hidden layer", low=1, high=65536, empty=True),
                Param("activation", "str", "relu", "between the layers", choices=("relu", "sigmoid")),
                Param("dropout", "float", 0.0, "share of hidden units dropped in training", low=0.0, high=0.99),
                STANDARDISE,
            ),
            fit=fit_params(MLP_FIT),
            family="linear",
            reference="Rumelhart, Hinton and Williams, Learning representations by back-propagating errors, 1986.",
            year=1986,
        ),
    ]
