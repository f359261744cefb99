"""The grammar of `select=grid|random`: which settings one run chooses among, and the candidates that follow from it.

A setting of `model.*` or `fit.*` with several values, or with a range, belongs to the search; the others are fixed:

    select=grid   model.k=1,3,5 model.p=1,2               every combination: 6 candidates
    select=random trials=20 fit.lr=log(1e-4,1e-1) ...     20 candidates, drawn by the run's seed

Ranges are `log(a,b)`, uniform on a logarithmic scale; `uniform(a,b)`, for numbers; `int(a,b)`, for whole numbers. Both
ends are included. Lists are sampled without replacement. Candidates that resolve to the same run count once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Literal

from mlcvbench.errors import OverrideError, RequestError
from mlcvbench.limits import MAX_RUNS
from mlcvbench.plan.config import RunConfig, Search
from mlcvbench.registry import Registry, get_registry
from mlcvbench.registry.inner import inner_models
from mlcvbench.specs import ModelSpec, Param
from mlcvbench.specs.values import check_value, complete, effective, parse_setting

SELECT = Param("select", "str", None, "choose settings inside the run", choices=("grid", "random"))
SEARCH_KEYS = {
    param.name: param
    for param in (
        SELECT,
        Param("trials", "int", None, "candidates that select=random draws", low=1, high=MAX_RUNS),
        Param("select_on", "str", "val", "split that decides; test contaminates", choices=("val", "test")),
        Param("select_metric", "str", None, "metric of the protocol that decides; the primary one if not set"),
        Param("select_share", "float", None, "part of train held out without a val split", low=0.05, high=0.5),
        Param("refit", "bool", True, "fit the winner again on train and val"),
    )
}
PLACES = ("model", "fit")
OVERDRAWN = 20
"""Draws per wanted candidate, as some resolve to the same run."""
_RANGE_BEGINS = re.compile(r"[a-z]+\(")
_RANGE = re.compile(r"(log|uniform|int)\(([^(),]+),([^(),]+)\)")


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `low` to `high`, ends included: `kind` is their distribution, `whole` restricts to integers."""

    kind: str
    low: float
    high: float
    whole: bool

    def __str__(self) -> str:
        return f"{self.kind}({self.low:.15g},{self.high:.15g})"

    def rvs(self, random_state: Any = None) -> float:
        """Draw one number with four digits, so that a command line can repeat it. The name is scikit-learn's
        protocol.
        """
        from scipy import stats

        if self.kind == "int":
            return int(stats.randint(int(self.low), int(self.high) + 1).rvs(random_state=random_state))
        made = stats.loguniform(self.low, self.high) if self.kind == "log" else stats.uniform(self.low, self.width)
        drawn = float(made.rvs(random_state=random_state))
        drawn = min(max(float(f"{drawn:.4g}"), self.low), self.high)
        return round(drawn) if self.whole else drawn

    @property
    def width(self) -> float:
        """The length of the range."""
        return self.high - self.low


@dataclass(frozen=True, slots=True)
class Candidate:
    """One candidate: its active searched `settings`, and the complete settings of the run it resolves to."""

    settings: dict[str, Any]
    model_params: dict[str, Any]
    fit: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """The words of a request about its search, without the space."""

    method: Literal["grid", "random"]
    trials: int | None
    on: Literal["val", "test"] = "val"
    share: float | None = None
    refit: bool = True
    metric: str | None = None

    def over(self, space: Mapping[str, Sequence[Any]]) -> Search:
        """Return the search over a space of lists and ranges; OverrideError when a list holds only one value."""
        return Search(
            method=self.method,
            space={key: _listed(key, values) for key, values in space.items()},
            trials=self.trials,
            on=self.on,
            share=self.share,
            refit=self.refit,
            metric=self.metric,
        )


def take_request(pairs: dict[str, str]) -> SearchRequest | None:
    """Remove the search keys from `pairs` and return the request; None when nothing is to be selected."""
    given = {name: pairs.pop(name) for name in SEARCH_KEYS if name in pairs}
    values = {
        name: parse_setting(param, given[name], name) if name in given else param.default
        for name, param in SEARCH_KEYS.items()
    }
    if values["select"] is None:
        if given:
            raise OverrideError(f"key {next(iter(given))!r} has no effect without select=grid or select=random.")
        return None
    if values["select"] == "grid" and values["trials"] is not None:
        raise OverrideError(
            f"key 'trials' has no effect: select=grid tries every combination; say select=random "
            f"trials={values['trials']}."
        )
    if values["select"] == "random" and values["trials"] is None:
        raise OverrideError("select=random needs trials=N, how many candidates it draws.")
    if values["select_on"] == "test" and values["select_share"] is not None:
        raise OverrideError("key 'select_share' has no effect: with select_on=test nothing is held out.")
    if "weights" in pairs:
        raise RequestError("select and weights= exclude each other: fitted weights leave nothing to select.")
    return SearchRequest(
        method=values["select"],
        trials=values["trials"],
        on=values["select_on"],
        share=values["select_share"],
        refit=values["refit"],
        metric=values["select_metric"],
    )


def parse_range(param: Param, text: str, key: str, request: SearchRequest | None) -> Range | None:
    """Return the range that `text` describes, None when it is not a range; OverrideError begins with `key`."""
    match = _RANGE.fullmatch(text.replace(" ", ""))
    if param.type not in {"int", "float"} or param.choices:
        return None
    if match is None:
        if _RANGE_BEGINS.match(text):
            raise OverrideError(f"{key}={text}: wanted a range such as log(a,b), uniform(a,b) or int(a,b).")
        return None
    if request is None or request.method != "random":
        raise OverrideError(f"{key}={text}: a range needs select=random; otherwise list the values, as in {key}=A,B.")
    kind, whole = match[1], param.type == "int"
    if (kind == "uniform" and whole) or (kind == "int" and not whole):
        right = "int(a,b) or log(a,b)" if whole else "uniform(a,b) or log(a,b)"
        raise OverrideError(f"{key}={text}: wanted a range such as {right}, since {key} is {_numbers(whole)}.")
    low, high = (check_value(param, parse_setting(param, end, key), f"{key}={text}") for end in match.groups()[1:])
    if low >= high or (kind == "log" and low <= 0):
        least = "above 0 and " if kind == "log" else ""
        raise OverrideError(f"{key}={text}: wanted a range whose first end is {least}below its second.")
    return Range(kind, low, high, whole)


def check_request(search: Search, spec: ModelSpec) -> None:
    """RequestError for a search with nothing to search, or too much."""
    if not search.space:
        raise RequestError(
            f"select={search.method}: model {spec.name!r} is given no setting with several values, such as model.k=1,3."
        )
    if search.method == "grid" and grid_size(search) > MAX_RUNS:
        raise RequestError(f"select=grid asks for {grid_size(search)} candidates; the most is {MAX_RUNS}.")


def candidates(config: RunConfig, spec: ModelSpec) -> list[Candidate]:
    """Return the distinct candidates of a run's search, in the order in which they are tried.

    RequestError when a random search finds fewer different ones than requested.
    """
    search = config.search
    if search is None:
        return []
    found: dict[str, Candidate] = {}
    for point in _points(search, spec, config.seed):
        candidate = _candidate(config, spec, point)
        found.setdefault(json.dumps([candidate.model_params, candidate.fit], sort_keys=True), candidate)
        if len(found) == search.trials:
            break
    if search.trials is not None and len(found) < search.trials:
        raise RequestError(f"trials={search.trials}: only {len(found)} different candidates exist.")
    return list(found.values())


def grid_size(search: Search) -> int:
    """Return the number of combinations of a search's lists."""
    total = 1
    for values in search.space.values():
        total *= len(values) if isinstance(values, list) else 1
    return total


def search_lines(config: RunConfig) -> list[str]:
    """Describe what a run with a search will do: its space, its fits and their limits."""
    from mlcvbench.specs.values import text

    search = config.search
    if search is None:
        return []
    count = len(candidates(config, get_registry().model(config.model, config.definition.kind).spec))
    lines = [
        f"{key}: {values if isinstance(values, str) else ', '.join(map(text, values))}"
        for key, values in search.space.items()
    ]
    fits = f"{count} candidate{'s' * (count > 1)}"
    fits += f" and the winner again: {count + 1} fits" if search.refit else f": {count} fits"
    where = "the test split, which marks the run contaminated" if search.on == "test" else "the validation split"
    by = "" if search.metric is None else f" by {search.metric}"
    lines.append(f"{fits}; compared{by} on {where}")
    budget = config.budget
    each = f"fit budget {budget:g} s each" if budget is not None else "no fit budget"
    return [*lines, f"{each}; the whole run at most {config.seconds:g} s"]


def searched(search: Search, place: str) -> dict[str, Any]:
    """Return the searched names under `model.` or `fit.`, with their values or the text of their range."""
    return {
        key.removeprefix(f"{place}."): values for key, values in search.space.items() if key.partition(".")[0] == place
    }


def settled(config: RunConfig, candidate: Candidate) -> RunConfig:
    """Return the plain run that a candidate resolves to."""
    return replace(config, model_params=candidate.model_params, fit=candidate.fit, search=None)


def inner_packages(search: Search | None, spec: ModelSpec, kind: str, registry: Registry) -> Iterator[str]:
    """Yield the packages of the models that a search chooses among, and of those inside them."""
    named = {param.name for param in spec.params if param.type == "model"}
    for name, values in (searched(search, "model") if search else {}).items():
        for value in values if name in named else ():
            yield from (inner.package for inner in inner_models(spec, {name: value}, kind, registry))


def _points(search: Search, spec: ModelSpec, seed: int) -> Iterator[dict[str, Any]]:
    if search.method == "grid":
        names = sorted(search.space)
        yield from (dict(zip(names, values, strict=True)) for values in product(*(search.space[n] for n in names)))
        return
    from sklearn.model_selection import ParameterSampler

    params = {f"{place}.{param.name}": param for place in PLACES for param in spec.declared(place)}
    space = {
        key: _reread(params[key], key, values) if isinstance(values, str) else values
        for key, values in search.space.items()
    }
    wanted = OVERDRAWN * (search.trials or 1)
    if all(isinstance(values, list) for values in space.values()):
        wanted = min(wanted, grid_size(search))
    yield from ParameterSampler(space, wanted, random_state=seed)


def _reread(param: Param, key: str, text: str) -> Range:
    found = parse_range(param, text, key, SearchRequest("random", None))
    if found is None:
        raise OverrideError(f"{key}={text}: wanted a range such as log(1e-4,1e-1).")
    return found


def _candidate(config: RunConfig, spec: ModelSpec, point: Mapping[str, Any]) -> Candidate:
    """Return the candidate at a point of the space: inactive settings keep their defaults."""
    whole: dict[str, dict[str, Any]] = {}
    settings: dict[str, Any] = {}
    for place, fixed in zip(PLACES, (config.model_params, config.fit), strict=True):
        drawn = {key.removeprefix(f"{place}."): v for key, v in point.items() if key.partition(".")[0] == place}
        params = spec.declared(place)
        kept, _ = effective(params, complete(params, {**fixed, **drawn}), place)
        whole[place] = complete(params, kept)
        settings |= {f"{place}.{name}": value for name, value in drawn.items() if name in kept}
    return Candidate(settings, whole["model"], whole["fit"])


def _listed(key: str, values: Sequence[Any]) -> list[Any] | str:
    if isinstance(values[0], Range):
        return str(values[0])
    different = [value for number, value in enumerate(values) if value not in values[:number]]
    if len(different) < 2:
        raise OverrideError(f"{key}: the list holds only one value; a fixed setting is given once.")
    return different


def _numbers(whole: bool) -> str:
    return "a whole number" if whole else "a number"
