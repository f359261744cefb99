"""Which class a column of scores, or a number in a file, stands for: stated by file or request, or assumed with a
notice.

Without a statement the order of the data set is assumed. Class names that are whole numbers have two orders, 0, 1, 2
... and that of text, 0, 1, 10, 11, 2 ..., in which folders are listed and torchvision's ImageFolder counts; which one a
file without names uses cannot be known, so it is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mlcvbench.contract import Array, Notice
from mlcvbench.errors import DataError, OverrideError, did_you_mean
from mlcvbench.files.text_lines import read_lines

BY_NUMBER, BY_NAME, AS_DATA = "by-number", "by-name", "data"
SHOWN = 5
MOST_DIGITS = 18


class Order(NamedTuple):
    """The classes in the order of a file: `labels` int64 (C,), the label of each, and notices of assumptions."""

    labels: Array
    notices: tuple[Notice, ...] = ()

    @property
    def columns(self) -> Array:
        """The column of each class of the data set, int64 (C,)."""
        return np.argsort(self.labels, kind="stable")


def said_order(settings: Mapping[str, Any], classes: Sequence[str]) -> Order | None:
    """Return the order given by `classes=` or `class_file=`, None when neither is set.

    OverrideError or DataError names a class that is unknown, missing or given twice.
    """
    listed, file = settings.get("classes"), settings.get("class_file")
    if listed is not None and file is not None:
        raise OverrideError("classes= and class_file= both give the order of the classes; use one of them.")
    if file is not None:
        return complete_order([line.text for line in read_lines(Path(file))], classes, f"class_file={file}")
    if listed is None:
        return None
    if listed == BY_NUMBER and not are_numbers(classes):
        raise OverrideError(f"classes=by-number: the classes are not named by numbers: {shown(classes)}.")
    orders = {
        AS_DATA: lambda: list(classes),
        BY_NAME: lambda: sorted(classes),
        BY_NUMBER: lambda: sorted(classes, key=int),
    }
    names = orders[listed]() if listed in orders else [name.strip() for name in listed.split(",")]
    return complete_order(names, classes, f"classes=[{listed}]", OverrideError)


def refuse_said(settings: Mapping[str, Any], why: str) -> None:
    """Refuse an order of classes in a request that has no effect."""
    for key in ("classes", "class_file"):
        if settings.get(key) is not None:
            raise OverrideError(f"{key}={settings[key]} has no effect: {why}.")


def complete_order(
    names: Sequence[str], classes: Sequence[str], where: str, error: type[DataError | OverrideError] = DataError
) -> Order:
    """Return the order of class names that must be all of `classes`, each once; an error begins with `where`."""
    places = {name: label for label, name in enumerate(classes)}
    for name in names:
        if name not in places:
            raise error(f"{where}: unknown class {name[:100]!r}.{did_you_mean(name[:100], classes)}")
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise error(f"{where}: class {twice!r} is named twice.")
    missing = [name for name in classes if name not in set(names)]
    if missing:
        raise error(f"{where}: {len(missing)} of {len(classes)} classes are missing; the first is {missing[0]!r}.")
    return Order(np.array([places[name] for name in names], dtype=np.int64))


def assumed_order(path: Path, classes: Sequence[str], what: str) -> Order:
    """Return the order of the data set, with a notice unless it is the only possible one.

    `what`: `columns`, or `labels` that are numbers. DataError when the class names are numbers with another order.
    """
    same = Order(np.arange(len(classes)))
    if are_numbers(classes):
        numbers = [int(name) for name in classes]
        if numbers == list(range(len(classes))) or (what == "columns" and numbers == sorted(numbers)):
            return same
        names = "give the names as text" if what == "labels" else "add an array 'classes'"
        raise DataError(
            f"{path}: which class do its {what} stand for? The classes {shown(classes)} are named by numbers; say "
            f"classes=by-number or classes=by-name (as text, the order of folders), or {names}."
        )
    text = (
        f"the {what} of {path.name} were taken in the order of the data set: {shown(classes)}; say it with an array "
        "'classes' in the file, or with classes=[A,B,...], class_file=FILE or classes=data."
    )
    return Order(same.labels, (Notice("class-order-assumed", text, len(classes)),))


def is_number(name: str) -> bool:
    """Return whether a name is a whole number of at most 18 digits.

    >>> is_number("010"), is_number("-1"), is_number("9" * 5000)
    (True, False, False)
    """
    return name.isascii() and name.isdigit() and len(name) <= MOST_DIGITS


def are_numbers(classes: Sequence[str]) -> bool:
    """Return whether all classes are named by distinct whole numbers.

    >>> are_numbers(["0", "10", "2"]), are_numbers(["1", "01"]), are_numbers(["cat"])
    (True, False, False)
    """
    return all(map(is_number, classes)) and len(set(map(int, classes))) == len(classes)


def shown(classes: Sequence[str]) -> str:
    """Return the first class names, for a message.

    >>> shown(["cat", "dog"]), shown("abcdefg")
    ('cat, dog', 'a, b, c, d, e ... (7)')
    """
    text = ", ".join(name[:40] for name in classes[:SHOWN])
    return text if len(classes) <= SHOWN else f"{text} ... ({len(classes)})"
