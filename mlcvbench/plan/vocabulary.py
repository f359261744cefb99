"""The keys that every run takes, such as `seed`, `device` and `limit`, with their types and bounds."""

from __future__ import annotations

from typing import NamedTuple

from mlcvbench.limits import RUN_SECONDS, usable_cores
from mlcvbench.specs import Param


class RunKey(NamedTuple):
    """A key that every run takes: its type, the field of RunConfig it sets and whether commas sweep it."""

    param: Param
    field: str
    sweeps: bool = True


REQUEST_KEYS: dict[str, Param] = {
    param.name: param
    for param in (
        Param("task", "str", help="benchmark: a task kind, the name of a definition or a YAML file", required=True),
        Param("model", "str", help="methods, separated by commas; default: the definition's starter models"),
        Param("data", "str", help="data set of the same task kind, instead of the definition's"),
        Param("out", "path", "runs", help="folder of the records"),
    )
}
"""Keys that choose what is run, and where records go."""
RUN_KEYS: dict[str, RunKey] = {
    key.param.name: key
    for key in (
        RunKey(Param("seed", "int", 0, "seed of fit and predict", low=0, high=2**32 - 1), "seed"),
        RunKey(Param("data.seed", "int", 0, "seed of rendered data and of splits", low=0, high=2**32 - 1), "data_seed"),
        RunKey(
            Param("data.recheck", "bool", False, "read all files again, also unchanged ones"),
            "recheck",
            False,
        ),
        RunKey(Param("device", "str", "cpu", "where to compute", choices=("cpu", "cuda", "auto")), "device"),
        RunKey(
            Param("threads", "int", usable_cores(), "CPU threads of a run", low=1, high=1024),
            "threads",
        ),
        RunKey(
            Param(
                "load.threads",
                "int",
                None,
                "threads that read files ahead of the model; default: the cores that threads= leaves, at least 1",
                low=0,
                high=1024,
            ),
            "load_threads",
            False,
        ),
        RunKey(
            Param(
                "precision",
                "str",
                "float32",
                "numbers that the network computes with",
                choices=("float32", "float16", "bfloat16"),
            ),
            "precision",
        ),
        RunKey(
            Param(
                "weights",
                "path",
                None,
                "fitted weights, instead of fitting: those of a run, a folder, or a network's file",
            ),
            "weights",
        ),
        RunKey(Param("limit", "int", None, "score only the first N samples (marked partial)", low=1), "limit"),
        RunKey(Param("batch", "int", 64, "samples per batch while predicting", low=1, high=65536), "batch_size"),
        RunKey(Param("shards", "int", 1, "parts the test split is predicted in", low=1, high=4096), "shards", False),
        RunKey(
            Param(
                "intervals", "bool", True, "bootstrap intervals; without, an official engine leaves no rows or plots"
            ),
            "intervals",
            False,
        ),
        RunKey(
            Param("time", "str", "quick", "how well it is timed", choices=("off", "quick", "standard", "publish")),
            "time",
            False,
        ),
        RunKey(
            Param("strict", "bool", False, "treat notices as errors: guesses, and what is probably not intended"),
            "strict",
            False,
        ),
        RunKey(
            Param("timeout", "float", RUN_SECONDS, "seconds a run may take, and reading its data before it", low=0.001),
            "seconds",
            False,
        ),
        RunKey(
            Param("fit.budget", "float", None, "seconds a fit may take; default: what the definition says", low=0.001),
            "fit_budget",
        ),
        RunKey(
            Param(
                "fit.memory",
                "int",
                None,
                "MB that training images may take; larger sets are read batch by batch; default: a quarter of all",
                low=1,
            ),
            "fit_memory_mb",
            False,
        ),
        RunKey(Param("memory", "int", None, "MB a run may use, then it is ended", low=1), "memory_mb", False),
    )
}
