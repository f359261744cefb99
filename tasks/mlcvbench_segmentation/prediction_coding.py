"""The coding of prediction files: like the labels, class indices, by colour, or by their own map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mlcvbench.contract import Problem
from mlcvbench.errors import DataError, OverrideError
from mlcvbench_segmentation.coding import Coding, Palette
from mlcvbench_segmentation.colors import ColorClasses, packed
from mlcvbench_segmentation.label_map import read_label_map

KEY = "prediction_map"
_BY_COLOR_OR_VALUE = "say values=colors to compare by colour, or values=labels to compare by value"


def prediction_coding(problem: Problem, settings: Mapping[str, Any]) -> Coding:
    """Return the coding of prediction files: as `values` and `prediction_map` say, else the only possible one.

    Without either, values are class indices where those of the labels are too, or where labels have colours only; a
    palette must agree with that of the labels; colours mean the same as in the labels. Otherwise values are refused,
    since they may be coded like the labels or be class indices. OverrideError and DataError name the setting.
    """
    count = len(problem.classes)
    plain, palette = problem.extra.get("coding"), problem.extra.get("palette")
    labels = replace(Coding.plain(count, None) if plain is None else Coding.from_plain(plain, count), key=KEY)
    values, given = settings.get("values"), settings.get(KEY)
    if given is not None:
        if values is not None:
            raise OverrideError(f"values={values} has no effect: {KEY} defines the values of predictions.")
        return replace(read_label_map(Path(given), problem.classes, None), key=KEY)
    if values == "indices":
        return replace(Coding.plain(count, None), key=KEY)
    if values == "labels":
        return labels
    colors = labels.colors or _palette_colors(labels, palette)
    if values == "colors":
        if not colors:
            raise DataError(
                "values=colors: the labels have no colours, neither in a label map nor in a palette; say which colour "
                f"is which class with {KEY}=FILE (lines r,g,b,class)."
            )
        return replace(labels, table=None, colors=colors, by_color=True)
    return _unsaid(replace(labels, colors=colors), palette)


def _unsaid(coding: Coding, palette: Sequence[Sequence[int]] | None) -> Coding:
    """Return the coding of predictions without settings."""
    if coding.table is None:
        return replace(coding, table=Coding.plain(coding.count, None).table)
    if not coding.identity:
        why = (
            "the labels have a label map, and it is not known whether predictions are coded like them; say "
            f"values=labels (they are), values=indices (they hold 0 to {coding.count - 1}, places in the class list) "
            f"or {KEY}=FILE"
        )
        return replace(coding, no_values=why)
    return coding if palette is None else replace(coding, palette=Palette(palette, "the labels", _BY_COLOR_OR_VALUE))


def _palette_colors(labels: Coding, palette: Sequence[Sequence[int]] | None) -> ColorClasses:
    """Return the classes of the colours in the labels' palette; none where two classes share a colour."""
    classes: dict[int, int] = {}
    if palette is None or labels.table is None:
        return ColorClasses()
    for color, index in zip(packed(np.array(palette, np.uint8)).tolist(), labels.table.tolist(), strict=False):
        if index >= 0 and classes.setdefault(color, index) != index:
            return ColorClasses()
    return ColorClasses(classes)
