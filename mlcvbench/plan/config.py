"""A resolved run: everything that one child process needs, as plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

TEST_ALONE = ("test",)
TimeProfile = Literal["off", "quick", "standard", "publish"]


@dataclass(frozen=True, slots=True)
class Definition:
    """A benchmark: task kind, data, protocol and metrics. `file`: base name of a user's YAML file.

    `sha256`: of that file, to tell it from others of its name. `columns`: metrics that tables show beside the primary.
    `starter`: settings that the starter models have, as words of the command line.
    """

    name: str
    kind: str
    summary: str
    dataset: str
    protocol: str
    data: dict[str, Any] = field(default_factory=dict)
    metrics: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    starter: dict[str, str] = field(default_factory=dict)
    fit_budget: float | None = None
    title: str = ""
    version: int = 1
    file: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """A hyper-parameter search inside one run. `space`: a key such as `model.k` -> its values, or the text of a range.

    `trials`: how many candidates are drawn, None = all combinations. `on`: the split they are compared on. `share`: the
    part of train that is held out where a data set has no validation split, None = the default. `refit`: the winner is
    fitted again as a run without a search would fit it. `metric`: what they are compared by, None = the primary one.
    """

    method: Literal["grid", "random"]
    space: dict[str, Any]
    trials: int | None = None
    on: Literal["val", "test"] = "val"
    share: float | None = None
    refit: bool = True
    metric: str | None = None


@dataclass(frozen=True, slots=True)
class RunConfig:
    """One run. `model_params`, `fit`, `data_params` are complete: defaults are filled in from the specs.

    `search`: settings that the run itself chooses; they are not in `model_params` or `fit`.

    `limit`: score only the first `limit` test samples. `seconds`, `memory_mb`: limits of the child process.
    `given`: the `model.*`, `fit.*` and `data.*` keys that the request named, for display. `reading`: how predictions
    made elsewhere are read, every setting of the task kind's `reading`; empty for a run. `strict`: notices are errors.
    `content`: sha256 digests that identify a model that no plugin provides: of its `predictions`, and for a live one of
    its `weights` and of what was `measured`. `load_threads`: threads that read files ahead, None: the cores that
    `threads` leaves free. `recheck`: read files again even if unchanged since their digest was cached. `fit_memory_mb`:
    MB that the images of a split may take in memory while a network is fitted, None: a quarter of the machine's memory.
    `fit_budget`: seconds that a fit may take, None: those of the definition.
    """

    definition: Definition
    model: str
    model_params: dict[str, Any] = field(default_factory=dict)
    fit: dict[str, Any] = field(default_factory=dict)
    data_params: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    data_seed: int = 0
    device: str = "cpu"
    threads: int = 1
    precision: str = "float32"
    weights: str | None = None
    limit: int | None = None
    shards: int = 1
    batch_size: int = 64
    intervals: bool = True
    time: TimeProfile = "quick"
    seconds: float = 3600.0
    memory_mb: int | None = None
    given: tuple[str, ...] = ()
    search: Search | None = None
    reading: dict[str, Any] = field(default_factory=dict)
    strict: bool = False
    content: dict[str, str] = field(default_factory=dict)
    load_threads: int | None = None
    recheck: bool = False
    fit_memory_mb: int | None = None
    fit_budget: float | None = None

    @property
    def budget(self) -> float | None:
        """Seconds that a fit may take, None: as long as its settings want."""
        return self.definition.fit_budget if self.fit_budget is None else self.fit_budget

    @property
    def splits(self) -> tuple[str, ...] | None:
        """The splits that the run uses, None: all. With given weights and no search, test alone is used."""
        return TEST_ALONE if self.weights is not None and self.search is None else None

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that the run names, those of its definition and that of its search."""
        searched = self.search.metric if self.search is not None else None
        return self.definition.metrics if searched is None else (*self.definition.metrics, searched)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, ready for JSON; absent parts, such as a search, are left out."""
        plain = asdict(self)
        for name in ("search", "reading", "content", "load_threads", "recheck", "fit_memory_mb", "fit_budget"):
            if plain[name] is None or plain[name] is False or plain[name] == {}:  # a 0 is said
                del plain[name]
        if not self.definition.starter:
            del plain["definition"]["starter"]
        if self.search is not None and self.search.metric is None:
            del plain["search"]["metric"]
        return plain

    @staticmethod
    def from_dict(data: dict[str, Any]) -> RunConfig:
        """Rebuild the object from `to_dict`, also after a round trip through JSON."""
        definition = dict(data["definition"])
        for name in ("metrics", "columns", "models"):
            definition[name] = tuple(definition.get(name, ()))  # records of before have no columns
        rest = {name: value for name, value in data.items() if name not in {"definition", "search"}}
        rest["given"] = tuple(rest.get("given", ()))
        search = Search(**data["search"]) if data.get("search") else None
        return RunConfig(definition=Definition(**definition), search=search, **rest)
