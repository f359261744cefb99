"""The interfaces between the bench, tasks and plugins: batches, splits, models, scorers, task kinds."""

from mlcvbench.contract.batch import Array, Batch, Column, Predictions, Sample, Targets
from mlcvbench.contract.data_checks import Place, check_inputs, check_labels, check_target, checked_ends
from mlcvbench.contract.model import (
    Device,
    FitContext,
    FitReport,
    Model,
    Operations,
    ParameterCounts,
)
from mlcvbench.contract.notices import Notice
from mlcvbench.contract.problem import InputSpec, Problem
from mlcvbench.contract.scoring import MetricSpec, Scorer, Table, Values, VectorizedScorer
from mlcvbench.contract.split import ArraySplit, JoinedSplit, LoadedData, Split, SubSplit, fingerprint_columns
from mlcvbench.contract.task import Breakdown, External, Guess, HeldOut, Outcome, Panel, Plot, Task, check_array, spread
from mlcvbench.contract.torch_model import TorchModel

__all__ = [
    "Array",
    "ArraySplit",
    "Batch",
    "Breakdown",
    "Column",
    "Device",
    "External",
    "FitContext",
    "FitReport",
    "Guess",
    "HeldOut",
    "InputSpec",
    "JoinedSplit",
    "LoadedData",
    "MetricSpec",
    "Model",
    "Notice",
    "Operations",
    "Outcome",
    "Panel",
    "ParameterCounts",
    "Place",
    "Plot",
    "Predictions",
    "Problem",
    "Sample",
    "Scorer",
    "Split",
    "SubSplit",
    "Table",
    "Targets",
    "Task",
    "TorchModel",
    "Values",
    "VectorizedScorer",
    "check_array",
    "check_inputs",
    "check_labels",
    "check_target",
    "checked_ends",
    "fingerprint_columns",
    "spread",
]
