"""A task kind declares how predictions made elsewhere are read; the words are typed like any other."""

import pytest

from mlcvbench.errors import OverrideError
from mlcvbench.plan.command import score_command_of
from mlcvbench.plan.planning import plan
from mlcvbench.plan.reading import take_reading
from mlcvbench.specs import Param

PARAMS = (
    Param("value", "str", choices=("distance", "similarity"), alias="values"),
    Param("scale", "float", 1.0, low=0),
)


def test_every_setting_is_there_and_only_its_words_are_taken() -> None:
    pairs = {"value": "distance", "limit": "3"}

    assert take_reading(pairs, PARAMS) == {"value": "distance", "scale": 1.0}
    assert pairs == {"limit": "3"}


def test_a_second_name_means_the_same() -> None:
    assert take_reading({"values": "similarity"}, PARAMS) == {"value": "similarity", "scale": 1.0}


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ({"value": "distance", "values": "distance"}, "keys 'value' and 'values' mean the same; give one of them."),
        ({"value": "nearness"}, "value=nearness: wanted one of distance or similarity."),
        ({"scale": "1,2"}, "scale=1,2: wanted one value; scale does not sweep."),
        ({"scale": "-1"}, "scale=-1: wanted a number of at least 0."),
    ],
)
def test_a_wrong_value_is_named(pairs: dict[str, str], message: str) -> None:
    with pytest.raises(OverrideError) as caught:
        take_reading(dict(pairs), PARAMS)

    assert str(caught.value) == message


def test_the_stored_command_says_how_predictions_were_read() -> None:
    (config,) = plan(["task=digits", "value=probabilities"], outside="net", reads=True).configs

    assert config.reading["values"] == "probabilities"
    assert (
        score_command_of(config, "p.csv") == "mlcvbench score task=digits predictions=p.csv as=net values=probabilities"
    )


def test_a_run_knows_no_setting_of_reading() -> None:
    with pytest.raises(OverrideError) as caught:
        plan(["task=digits", "model=knn", "values=logits"])

    assert str(caught.value) == "unknown key 'values': it belongs to `mlcvbench score`, which reads predictions."
