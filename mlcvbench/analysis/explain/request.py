"""What `mlcvbench explain` was asked: which samples, which pictures, how finely."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlcvbench.contract import Split, spread
from mlcvbench.errors import OverrideError, RequestError, UnknownNameError, did_you_mean
from mlcvbench.specs import Param
from mlcvbench.specs.values import existing, parse_setting, split_commas

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
        Param("window", "int", help="pixels a side of the grey square; a quarter of the shorter side", low=1),
        Param("step", "int", help="pixels the square moves by, at most its side; half of it", low=1),
        Param("out", "str", help="folder to write; explain-RUN"),
        Param("weights", "path", help="weights of the run, when they are not in the cache"),
    )
}


@dataclass(frozen=True, slots=True)
class Request:
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


def parse_request(words: Sequence[str]) -> Request:
    """Return what KEY=VALUE words ask for. OverrideError for a key that is unknown, wrong or without effect."""
    from mlcvbench.plan.planning import parse_pairs

    pairs = dict(parse_pairs(words))
    paths = {key.removeprefix("data."): pairs.pop(key) for key in list(pairs) if key.startswith("data.")}
    files = {key: pairs.pop(key) for key in list(pairs) if key.startswith("model.")}
    for key in pairs:
        if key not in KEYS:
            raise OverrideError(f"unknown key {key!r}.{did_you_mean(key, KEYS)}")
    values: dict[str, Any] = {
        key: parse_setting(param, pairs[key], key) if key in pairs else param.default for key, param in KEYS.items()
    }
    _refuse_idle(pairs, values["show"])
    weights = values["weights"] and existing(KEYS["weights"], values["weights"], "weights")
    samples = tuple(word.strip() for word in split_commas(values["sample"], "sample")) if values["sample"] else ()
    if len(samples) > MOST_SAMPLES:
        raise OverrideError(f"sample: wanted at most {MOST_SAMPLES} ids, got {len(samples)}.")
    return Request(
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
        weights=Path(weights) if weights else None,
        paths=paths,
        files=files,
    )


def _refuse_idle(pairs: Mapping[str, str], show: str) -> None:
    """Refuse keys that what is shown, or another key, leaves without effect."""
    idle = {"occlusion": ("layer", "features"), "deconvnet": ("window", "step", "class"), "both": ()}[show]
    for key in idle:
        if key in pairs:
            raise OverrideError(f"key {key!r} has no effect with show={show}.")
    if "sample" in pairs and "count" in pairs:
        raise OverrideError("key 'count' has no effect beside sample=.")


def places_of(request: Request, split: Split) -> list[int]:
    """Return the places of the samples in the split. UnknownNameError offers near ids."""
    if not request.samples:
        return spread(split, request.count)
    places = {str(one): place for place, one in enumerate(split.ids)}
    for one in request.samples:
        if one not in places:
            raise UnknownNameError("sample", one, places)
    return [places[one] for one in request.samples]


def square(request: Request, height: int, width: int) -> tuple[int, int]:
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
