"""The request of `mlcvbench explain`: which samples, which pictures, at which step."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlcvbench.contract import Split, spread
from mlcvbench.errors import OverrideError, RequestError, UnknownNameError
from mlcvbench.plan.words import read_words
from mlcvbench.specs import Param
from mlcvbench.specs.values import split_commas

MOST_SAMPLES = 50
KEYS: dict[str, Param] = {
    param.name: param
    for param in (
        Param("sample", "str", help="ids of test samples, A,B,...; without it `count` of them, spread over the split"),
        Param("count", "int", 4, "samples to explain", low=1, high=MOST_SAMPLES),
        Param("show", "str", "both", "what to draw", choices=("both", "deconvnet", "occlusion")),
        Param("class", "str", "prediction", "whose probability occlusion watches", choices=("prediction", "truth")),
        Param("layer", "str", help="layer to project back, as `mlcvbench profile` names it; the last with maps"),
        Param("features", "int", 4, "strongest channels of that layer to project", low=1, high=16),
        Param("window", "int", help="side of the grey square in pixels; a quarter of the image's shorter side", low=1),
        Param("step", "int", help="pixels by which the square moves, at most its side; half of it", low=1),
        Param("out", "str", help="folder to write; explain-RUN"),
        Param("weights", "path", help="weights of the run, when they are not in the cache"),
    )
}


@dataclass(frozen=True, slots=True)
class ExplainRequest:
    """One call of `explain`. None: the default, which depends on the run. `paths`: `data.*` settings.

    `files`: `model.*` settings that are paths, under their whole keys.
    """

    samples: tuple[str, ...]
    count: int
    deconvnet: bool
    occlusion: bool
    of_truth: bool
    layer: str | None
    features: int
    window: int | None
    step: int | None
    out: Path | None
    weights: Path | None
    paths: Mapping[str, str]
    files: Mapping[str, str]


def parse_request(words: Sequence[str]) -> ExplainRequest:
    """Return the request of KEY=VALUE words. OverrideError for a key that is unknown, wrong or without effect."""
    asked = read_words(words, KEYS.values(), places=("data", "model"))
    values = asked.values
    _refuse_without_effect(asked.given, values["show"])
    samples = tuple(word.strip() for word in split_commas(values["sample"], "sample")) if values["sample"] else ()
    if len(samples) > MOST_SAMPLES:
        raise OverrideError(f"sample: wanted at most {MOST_SAMPLES} ids, got {len(samples)}.")
    return ExplainRequest(
        samples=tuple(dict.fromkeys(samples)),
        count=values["count"],
        deconvnet=values["show"] != "occlusion",
        occlusion=values["show"] != "deconvnet",
        of_truth=values["class"] == "truth",
        layer=values["layer"],
        features=values["features"],
        window=values["window"],
        step=values["step"],
        out=Path(values["out"]).expanduser() if values["out"] else None,
        weights=Path(values["weights"]) if values["weights"] else None,
        paths=asked.place("data"),
        files={key: text for key, text in asked.settings.items() if key.startswith("model.")},
    )


def _refuse_without_effect(given: Collection[str], show: str) -> None:
    """Refuse keys that have no effect with the chosen pictures or beside another key."""
    inactive = {"occlusion": ("layer", "features"), "deconvnet": ("window", "step", "class"), "both": ()}[show]
    for key in inactive:
        if key in given:
            raise OverrideError(f"key {key!r} has no effect with show={show}.")
    if {"sample", "count"} <= set(given):
        raise OverrideError("key 'count' has no effect beside sample=.")


def places_of(request: ExplainRequest, split: Split) -> list[int]:
    """Return the indices of the samples in the split. UnknownNameError suggests near ids."""
    if not request.samples:
        return spread(split, request.count)
    places = {str(one): place for place, one in enumerate(split.ids)}
    for one in request.samples:
        if one not in places:
            raise UnknownNameError("sample", one, places)
    return [places[one] for one in request.samples]


def square(request: ExplainRequest, height: int, width: int) -> tuple[int, int]:
    """Return side and step of the grey square for an image, in pixels.

    RequestError when it is larger than the image, or when its steps would leave pixels between squares.
    """
    side = request.window or max(1, min(height, width) // 4)
    if side > min(height, width):
        raise RequestError(f"window={side}: wanted at most the image's shorter side, {min(height, width)}.")
    step = request.step or max(1, side // 2)
    if step > side:
        raise RequestError(f"step={step}: wanted at most the side of the square, {side}, so that it hides every pixel.")
    return side, step
