"""What each kind declares that models get and return is what its data sets give and its task accepts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.page_fields import KINDS, declared

from mlcvbench.contract import LoadedData
from mlcvbench.registry import get_registry
from mlcvbench.testing import toy_data
from mlcvbench.testing.toy import first_samples

SMALL = {"train": 2, "val": 2, "test": 2, "size": (48, 48), "sides": (16, 32)}
FACES = {"train": 2, "val": 2, "test": 10, "size": 24, "shots": 2}


def built_in_data(kind: str) -> Iterator[LoadedData]:
    """Yield the toy data of a kind, and the beginning of every data set that needs no files."""
    yield from toy_data(kind).values()
    if kind == "depth":
        yield from toy_data(kind, ("left", "right")).values()
    for entry in get_registry().datasets(kind):
        spec = entry.spec
        names = {param.name for param in spec.params}
        if not any(param.required for param in spec.params):
            small = FACES if spec.name == "faces" else SMALL
            yield first_samples(spec, {name: value for name, value in small.items() if name in names})
        if "supervision" in names:
            for supervision in ("stereo", "sequence"):
                yield first_samples(spec, {**SMALL, "supervision": supervision})
        if "masks" in names and spec.name == "scenes":
            yield first_samples(spec, {**SMALL, "masks": True})


@pytest.mark.parametrize("kind", KINDS)
def test_everything_that_built_in_data_give_is_declared_with_its_dtype(kind: str):
    forms = {(field.place, field.name): field.form for field in declared(kind)}
    seen = set()
    for data in built_in_data(kind):
        columns = {("extra", name): None for name in data.problem.extra}
        for split in data.splits.values():
            batch, targets = split.read(slice(0, 2))
            columns |= {("inputs", name): column for name, column in batch.inputs.items()}
            columns |= {("targets", name): column for name, column in {**targets, **split.targets()}.items()}
            columns |= {("meta", name): column for name, column in batch.meta.items()}
        for key, column in columns.items():
            assert key in forms, f"{data.name}: {key}"
            dtype = getattr(column[0], "dtype", None) if hasattr(column, "__getitem__") else None
            if dtype is not None:
                assert str(dtype) in forms[key], f"{data.name}: {key} has {dtype}"
        seen |= set(columns)
    assert {("inputs", data) for data in ("image", "left") if ("inputs", data) in forms} <= seen


def test_nothing_is_declared_twice():
    for kind in KINDS:
        keys = [(field.place, field.name) for field in declared(kind)]
        assert len(keys) == len(set(keys))
