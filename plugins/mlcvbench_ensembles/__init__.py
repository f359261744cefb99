"""Methods built from other methods: ensembles of networks, snapshots or dropout masks, and distillation. Hooks only."""

from __future__ import annotations

from dataclasses import replace

from mlcvbench.hookspecs import hookimpl
from mlcvbench.specs import ModelSpec, Param
from mlcvbench_training.settings import fit_params

BASE = Param("base", "model", "small_cnn", "the network, by its name")
OTHER_SCHEDULES = ("milestones", "gamma", "plateau_patience", "warmup", "peak", "div", "final_div", "anneal")
STOPPING = ("early_stopping", "patience", "min_gain")


@hookimpl
def mlcvbench_models() -> list[ModelSpec]:
    """Return the methods that fit a registered network several times, in several cycles, or after another."""
    return [
        ModelSpec(
            name="ensemble",
            kinds=("classification",),
            target="mlcvbench_ensembles.ensemble:Ensemble",
            check="mlcvbench_ensembles.bases:check_base",
            summary="Several networks of different seeds; the mean of their softmax outputs.",
            params=(BASE, Param("members", "int", 5, "networks", low=1, high=100)),
            fit=fit_params(None),
            family="ensemble",
            reference="Hansen and Salamon, Neural network ensembles, IEEE TPAMI 12(10), 1990.",
            year=1990,
        ),
        ModelSpec(
            name="snapshot_ensemble",
            kinds=("classification",),
            target="mlcvbench_ensembles.snapshots:SnapshotEnsemble",
            check="mlcvbench_ensembles.snapshots:check_snapshots",
            summary="One network at the ends of a cyclic schedule's cycles; the mean of their softmax outputs.",
            params=(BASE, Param("members", "int", 5, "number of last cycle ends in the ensemble", low=1, high=100)),
            fit=_cyclic(),
            family="ensemble",
            reference="Huang et al., Snapshot ensembles: train 1, get M for free, ICLR 2017.",
            year=2017,
        ),
        ModelSpec(
            name="mc_dropout",
            kinds=("classification",),
            target="mlcvbench_ensembles.mc_dropout:McDropout",
            check="mlcvbench_ensembles.bases:check_base",
            summary="One network under several draws of its dropout masks; the mean of their softmax outputs.",
            params=(
                Param("base", "model", "mlp,dropout=0.5", "the network, which has dropout"),
                Param("samples", "int", 20, "number of draws", low=1, high=1000),
            ),
            fit=fit_params(None),
            family="ensemble",
            reference="Gal and Ghahramani, Dropout as a Bayesian approximation, ICML 2016.",
            year=2016,
        ),
        ModelSpec(
            name="distill",
            kinds=("classification",),
            target="mlcvbench_ensembles.distillation:Distill",
            check="mlcvbench_ensembles.distillation:check_distillation",
            summary="A network (fit.* are its settings) that learns from the softened outputs of another.",
            params=(
                Param("student", "model", "small_cnn", "the network that is kept"),
                Param("teacher", "model", "small_cnn,width=32", "the network that is fitted first, with its defaults"),
                Param("temperature", "float", 4.0, "divisor of the logits of both", low=1.0, high=100.0),
                Param("weight", "float", 0.9, "of the teacher's outputs; the rest is the labels'", low=0.0, high=1.0),
            ),
            fit=fit_params(None),
            family="ensemble",
            reference="Hinton, Vinyals and Dean, Distilling the knowledge in a neural network, arXiv 1503.02531, 2015.",
            year=2015,
        ),
    ]


def _cyclic() -> tuple[Param, ...]:
    """Return the loop's settings with the schedule that makes snapshots."""
    averages = ("average", "ema_decay", "swa_start")
    params = fit_params(None, without=(*OTHER_SCHEDULES, "momentum_low", *STOPPING, *averages))
    fixed = {"schedule": "cyclic", "cycles": 5}
    return tuple(
        replace(
            param,
            default=fixed.get(param.name),
            choices=("cyclic",) if param.name == "schedule" else param.choices,
            wants_val=(),
        )
        for param in params
    )
