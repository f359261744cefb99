"""The request of a study: the KEY=VALUE words of `mlcvbench study`, checked before anything starts.

They are those of `mlcvbench run`, without those that only a whole run needs, and a few of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_type_hints

from mlcvbench.analysis.output import PICTURE, refuse_unwritable
from mlcvbench.errors import OverrideError, RequestError
from mlcvbench.loading.holdout import DEFAULT_SHARE
from mlcvbench.plan.command import given_settings
from mlcvbench.plan.config import RunConfig
from mlcvbench.plan.devices import resolve_device
from mlcvbench.plan.planning import plan
from mlcvbench.plan.search import SEARCH_KEYS
from mlcvbench.plan.vocabulary import REQUEST_KEYS, RUN_KEYS
from mlcvbench.plan.words import parse_pairs, refuse_unknown, take
from mlcvbench.registry import Registry
from mlcvbench.specs import Param
from mlcvbench.specs.values import text

Kind = Literal["capacity", "bias-variance"]
AXES = ("auto", "linear", "log", "inverse", "names")
AXIS = Param("axis", "str", "auto", "scale of the picture; inverse draws against 1/value", choices=AXES)
REPEATS = Param("repeats", "int", 10, "fits of each configuration", low=2, high=1000)
BY = Param("by", "str", "bootstrap", "what changes between repeats", choices=("bootstrap", "seed"))
SHARE = Param("share", "float", None, f"part of train held out without val ({DEFAULT_SHARE})", low=0.05, high=0.5)
OUT = Param("out", "str", None, "PNG to write; the CSV of the same name is written beside it")
OWN: dict[str, tuple[Param, ...]] = {"capacity": (AXIS, SHARE, OUT), "bias-variance": (REPEATS, BY, SHARE, OUT)}
WHOLE_RUN_KEYS = ("weights", "limit", "shards", "intervals", "time", "memory", *SEARCH_KEYS)
"""Keys of a run that a study does not use."""
MAX_FITS = 10_000


@dataclass(frozen=True, slots=True)
class Job:
    """One fit: its run, and the seed `sample` that resamples its training data, None = all of them, as they are.

    `place`: the index of the value or configuration that its numbers belong to.
    """

    config: RunConfig
    place: int
    sample: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, ready for JSON."""
        return {"config": self.config.to_dict(), "place": self.place, "sample": self.sample}

    @staticmethod
    def from_dict(data: dict[str, Any]) -> Job:
        """Rebuild the object from `to_dict`."""
        return Job(RunConfig.from_dict(data["config"]), data["place"], data["sample"])


@dataclass(frozen=True, slots=True)
class Study:
    """A whole study: `labels` name its places (values of the setting, or configurations), `jobs` are its fits.

    `setting`, `values`: what a capacity curve is drawn against. `own`: the study's own keys.
    """

    kind: Kind
    jobs: tuple[Job, ...]
    labels: tuple[str, ...]
    setting: str
    values: tuple[Any, ...]
    own: dict[str, Any]
    out: Path


def plan_study(kind: Kind, words: Sequence[str], registry: Registry | None = None) -> Study:
    """Return the study that KEY=VALUE words request; the errors are those of `mlcvbench run`, with exit code 2."""
    pairs = dict(parse_pairs(words, bare="task"))
    own = take(pairs, OWN[kind])
    for key in pairs:
        if key in WHOLE_RUN_KEYS:
            raise OverrideError(f"key {key!r} has no effect on a study, which is not a whole run.")
        others = [param.name for name, params in OWN.items() if name != kind for param in params]
        if key in others:
            other = next(name for name in OWN if name != kind)
            raise OverrideError(f"key {key!r} has no effect: it belongs to `mlcvbench study {other}`.")
    runs = (name for name in RUN_KEYS if name not in WHOLE_RUN_KEYS)
    refuse_unknown(pairs, [*REQUEST_KEYS, *runs, *(param.name for param in OWN[kind])])
    if "model" not in pairs:
        raise RequestError("a study needs model=NAME.")
    configs = plan([f"{key}={value}" for key, value in pairs.items()], registry).configs
    for config in configs:
        resolve_device(config.device)
    _check_alike(configs)
    study = _capacity(configs, own) if kind == "capacity" else _bias_variance(configs, own)
    if len(study.jobs) > MAX_FITS:
        raise RequestError(f"the study asks for {len(study.jobs)} fits; the most is {MAX_FITS}.")
    return study


def _capacity(configs: Sequence[RunConfig], own: dict[str, Any]) -> Study:
    """Return a curve: one model, one setting with several values; seeds are repeats of each."""
    varied = _varied(configs)
    models = {config.model for config in configs}
    if len(models) > 1:
        raise RequestError(f"a capacity curve is of one model; got {', '.join(sorted(models))}.")
    if len(varied) != 1:
        got = f"got {', '.join(varied)}" if varied else "got none"
        raise RequestError(f"a capacity curve needs one setting with several values, such as model.k=1,3,5; {got}.")
    setting = varied[0]
    values = list(dict.fromkeys(_key(given_settings(config)[setting]) for config in configs))
    plain = {_key(given_settings(config)[setting]): given_settings(config)[setting] for config in configs}
    if own["axis"] in {"linear", "log", "inverse"}:
        _check_axis(own["axis"], setting, [plain[value] for value in values])
    jobs = tuple(Job(config, values.index(_key(given_settings(config)[setting]))) for config in configs)
    name = f"capacity-{configs[0].definition.name}-{configs[0].model}-{setting.rpartition('.')[2]}"
    return Study(
        kind="capacity",
        jobs=jobs,
        labels=tuple(text(plain[value]) for value in values),
        setting=setting,
        values=tuple(plain[value] for value in values),
        own=own,
        out=_out(own["out"], name),
    )


def _bias_variance(configs: Sequence[RunConfig], own: dict[str, Any]) -> Study:
    """Return repeated fits of each configuration; the seeds of the repeats count up from the requested one."""
    if len({config.seed for config in configs}) > 1:
        raise RequestError("seed: wanted one value; the repeats of the study have their own seeds.")
    varied = _varied(configs)
    jobs = []
    for place, config in enumerate(configs):
        for number in range(own["repeats"]):
            by_seed = own["by"] == "seed"
            one = replace(config, seed=config.seed + number) if by_seed else config
            jobs.append(Job(one, place, None if by_seed else config.seed + number))
    return Study(
        kind="bias-variance",
        jobs=tuple(jobs),
        labels=tuple(_label(config, varied) for config in configs),
        setting="",
        values=(),
        own=own,
        out=_out(own["out"], f"bias-variance-{configs[0].definition.name}"),
    )


def _varied(configs: Sequence[RunConfig]) -> list[str]:
    """Return the given settings that differ between configurations."""
    seen: dict[str, set[str]] = {}
    for config in configs:
        for key, value in given_settings(config).items():
            seen.setdefault(key, set()).add(_key(value))
    partial = {key for config in configs for key in seen if key not in given_settings(config)}
    return [key for key, values in seen.items() if len(values) > 1 or key in partial]


def _label(config: RunConfig, varied: Sequence[str]) -> str:
    given = given_settings(config)
    parts = [f"{key.removeprefix('model.')}={text(given[key])}" for key in varied if key in given]
    return " ".join([config.model, *parts])


def _key(value: Any) -> str:
    return text(value)


def _check_alike(configs: Sequence[RunConfig]) -> None:
    """Refuse run keys with several values, which the pictures cannot show, and models without a fit."""
    from mlcvbench.contract import Model
    from mlcvbench.plan.entries import entries_of
    from mlcvbench.specs import load_target

    for name, key in RUN_KEYS.items():
        if name != "seed" and len({getattr(config, key.field) for config in configs}) > 1:
            raise OverrideError(
                f"{name}: wanted one value; of the keys of a run only seed may have several in a study."
            )
    for config in configs:
        if getattr(_made_by(load_target(entries_of(config).model_entry.spec.target)), "fit", None) is Model.fit:
            raise RequestError(f"model {config.model!r} has no fit, so there is nothing to study.")


def _made_by(target: Any) -> Any:
    """Return the class of the models that a target makes: itself, or what a function says that it returns."""
    if isinstance(target, type):
        return target
    try:
        return get_type_hints(target).get("return")
    except NameError:  # it names a type that is imported for type checkers alone
        return None


def _check_axis(axis: str, setting: str, values: Sequence[Any]) -> None:
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    if not numbers or (axis != "linear" and min(values) <= 0):
        wanted = "numbers" if axis == "linear" else "numbers above 0"
        raise OverrideError(f"axis={axis}: wanted {wanted} as values of {setting}, got {', '.join(map(text, values))}.")


def _out(given: str | None, name: str) -> Path:
    """Return the PNG to write; refuse early what cannot be written, since the fits may take long."""
    path = Path(given).expanduser() if given else Path(f"{name}{PICTURE}")
    refuse_unwritable(path, "curve", path.with_suffix(".csv"))
    return path
