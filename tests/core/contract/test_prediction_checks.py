"""check_array: what a model returns is checked at the border and copied."""

from __future__ import annotations

import numpy as np
import pytest

from mlcvbench.contract import check_array
from mlcvbench.errors import PredictionError

IDS = np.array(["a", "b"])


def message(predictions: object, **options: object) -> str:
    with pytest.raises(PredictionError) as error:
        check_array(predictions, "scores", IDS, (3,), **options)  # type: ignore[arg-type]
    assert error.value.exit_code == 1
    return str(error.value)


def test_a_good_column_comes_back_as_a_fresh_float32_copy() -> None:
    given = np.arange(6, dtype=np.float64).reshape(2, 3)

    stored = check_array({"scores": given}, "scores", IDS, (3,))
    given[:] = 0

    assert stored.dtype == np.float32
    assert stored.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_predictions_that_are_no_dict_are_refused() -> None:
    assert message(np.zeros((2, 3))) == "predictions: wanted a dict of arrays, got ndarray."


def test_a_missing_field_is_named_with_what_is_there() -> None:
    assert message({"logits": np.zeros((2, 3))}) == "predictions have no field 'scores'; got logits."


def test_a_list_is_no_array() -> None:
    assert message({"scores": [[0.0] * 3] * 2}) == "field 'scores': wanted a numpy array float32 (B, 3), got list."


def test_an_object_array_is_refused() -> None:
    said = message({"scores": np.array([[None] * 3] * 2)})

    assert said == "field 'scores': wanted float32 (B, 3), got dtype object."


def test_a_wrong_shape_is_refused() -> None:
    assert message({"scores": np.zeros((2, 4))}) == "field 'scores': wanted float32 (B, 3), got shape (2, 4)."


def test_a_wrong_count_is_refused() -> None:
    assert message({"scores": np.zeros((3, 3))}) == "field 'scores': wanted 2 samples, got 3."


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_names_its_sample(bad: float) -> None:
    values = np.zeros((2, 3))
    values[1, 2] = bad

    assert message({"scores": values}) == f"field 'scores', sample 'b': wanted finite numbers, got {bad}."


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_a_number_beyond_float32_is_not_finite_once_stored() -> None:
    assert message({"scores": np.full((2, 3), 1e300)}) == "field 'scores', sample 'a': wanted finite numbers, got inf."
