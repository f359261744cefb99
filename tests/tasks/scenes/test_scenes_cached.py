"""What was drawn once is read the next time, unless anything it follows from has changed."""

from __future__ import annotations

import numpy as np
import pytest

from mlcvbench.errors import DataError
from mlcvbench.storage import cache
from mlcvbench_scenes import compose, render
from mlcvbench_scenes.cached import KIND, kept, key_of


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path))


def draw() -> dict[str, np.ndarray]:
    frame = render(compose(0, 0, "easy", size=(32, 32)))
    return {"image": frame.image, "depth": frame.depth}


def refuse() -> dict[str, np.ndarray]:
    raise AssertionError("drawn a second time")


def test_renders_are_drawn_once_and_come_back_the_same():
    first = kept("one", {"seed": 0, "size": [32, 32]}, draw)
    again = kept("one", {"size": [32, 32], "seed": 0}, refuse)

    assert set(first) == set(again) == {"image", "depth"}
    for name, array in first.items():
        assert array.dtype == again[name].dtype
        np.testing.assert_array_equal(array, again[name])


def test_another_name_or_parameter_is_another_render():
    keys = {key_of("one", {"seed": 0}), key_of("two", {"seed": 0}), key_of("one", {"seed": 1}), key_of("one", {})}

    assert len(keys) == 4


def test_a_damaged_file_is_named():
    kept("one", {}, draw)
    folder = cache.get(KIND, key_of("one", {}))
    path = folder / "image.npy"
    path.write_bytes(path.read_bytes()[:200])

    with pytest.raises(DataError) as damaged:
        kept("one", {}, refuse)

    assert str(damaged.value).startswith(f"{path}: cannot be read (")
    assert str(damaged.value).endswith("); delete its folder to render it again.")
