import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlcvbench.errors import OverrideError
from mlcvbench.specs import Param
from mlcvbench.specs.values import check_value, complete, effective, parse_setting, split_commas

READ = [
    (Param("k", "int"), "5", 5),
    (Param("k", "int"), "-5", -5),
    (Param("k", "float"), "5", 5.0),
    (Param("k", "float"), ".5", 0.5),
    (Param("k", "float"), "1e-3", 0.001),
    (Param("k", "bool"), "on", True),
    (Param("k", "bool"), "False", False),
    (Param("k", "str"), "no", "no"),
    (Param("k", "str"), "[a,b]", "a,b"),
    (Param("k", "str"), "[a]", "[a]"),
    (Param("k", "path"), "/data/../mnist", "/mnist"),
    (Param("k", "ints"), "[64, 32]", [64, 32]),
    (Param("k", "ints", empty=True), "[]", []),
    (Param("k", "floats"), "[1,0.5]", [1.0, 0.5]),
]


@pytest.mark.parametrize(("param", "text", "value"), READ)
def test_a_text_becomes_what_the_parameter_declares(param: Param, text: str, value: object):
    got = parse_setting(param, text, "model.k")

    assert got == value
    assert type(got) is type(value)


REFUSED = [
    (Param("k", "int"), "five", "model.k=five: wanted a whole number."),
    (Param("k", "int"), "5.0", "model.k=5.0: wanted a whole number."),
    (Param("k", "int"), "0123", "model.k=0123: wanted a whole number."),
    (Param("k", "int"), "1_000", "model.k=1_000: wanted a whole number."),
    (Param("k", "int"), "9" * 30, f"model.k={'9' * 30}: wanted a whole number."),
    (Param("k", "int", low=1), "0", "model.k=0: wanted a whole number of at least 1."),
    (Param("k", "int", high=9), "10", "model.k=10: wanted a whole number of at most 9."),
    (Param("k", "int", low=1, high=9), "10", "model.k=10: wanted a whole number from 1 to 9."),
    (Param("k", "float"), "nan", "model.k=nan: wanted a number."),
    (Param("k", "float"), "inf", "model.k=inf: wanted a number."),
    (Param("k", "float"), "1e999", "model.k=1e999: wanted a number."),
    (Param("k", "float", high=0.5), "1", "model.k=1: wanted a number of at most 0.5."),
    (Param("k", "bool"), "1", "model.k=1: wanted true or false."),
    (Param("k", "ints"), "64", "model.k=64: wanted a list of whole numbers like [64,64]."),
    (Param("k", "ints"), "[64,]", "model.k=[64,]: wanted a list of whole numbers like [64,64]."),
    (Param("k", "ints"), "[[64]]", "model.k=[[64]]: wanted a list of whole numbers like [64,64]."),
    (Param("k", "ints", low=1), "[64,0]", "model.k=[64,0]: wanted a list of whole numbers like [64,64] of at least 1."),
    (Param("k", "floats"), "[]", "model.k=[]: wanted a list of numbers like [0.5,0.5], not an empty one."),
    (Param("k", "floats"), "[x]", "model.k=[x]: wanted a list of numbers like [0.5,0.5]."),
    (Param("k", "str", choices=("l1", "l2")), "l3", "model.k=l3: wanted one of l1 or l2."),
    (Param("k", "int", choices=(1, 2, 4)), "3", "model.k=3: wanted one of 1, 2 or 4."),
    (Param("k", "str"), "", "model.k: the value is empty; wanted one line of text."),
    (Param("k", "str"), "a\0b", "model.k='a\\x00b': wanted one line of text, got 'a\\x00b'."),
]


@pytest.mark.parametrize(("param", "text", "message"), REFUSED)
def test_a_text_of_another_type_or_out_of_bounds_is_refused(param: Param, text: str, message: str):
    with pytest.raises(OverrideError) as caught:
        parse_setting(param, text, "model.k")
    assert str(caught.value) == message


def test_true_is_no_whole_number():
    with pytest.raises(OverrideError) as caught:
        check_value(Param("k", "int"), True, "model.k")
    assert str(caught.value) == "model.k: wanted a whole number, got True."


def test_a_whole_number_is_a_number_and_comes_back_as_one():
    assert type(check_value(Param("k", "float"), 2, "model.k")) is float


def test_settings_are_completed_with_defaults_and_lists_are_plain():
    params = (Param("a", "int", 1), Param("b", "ints", (1, 2)), Param("c", "str"))

    assert complete(params, {"a": 3}) == {"a": 3, "b": [1, 2], "c": None}


@pytest.mark.parametrize("text", ["[1,2", "1,2]", "][", "[[1]"])
def test_brackets_that_do_not_pair_up_are_refused(text: str):
    with pytest.raises(OverrideError) as caught:
        split_commas(text, "model.k")
    assert str(caught.value) == f"model.k={text}: the brackets do not pair up."


def test_commas_split_outside_brackets_only():
    assert split_commas("a,[b,c],d", "model.k") == ["a", "[b,c]", "d"]


@settings(derandomize=True, deadline=None)
@given(
    st.sampled_from(["int", "float", "bool", "ints", "floats"]),
    st.text(max_size=20) | st.text("0123456789+-.,_[]einfa ", max_size=6) | st.sampled_from(["true", "off", "-1e-3"]),
)
@example("float", "nan")
@example("float", "1e999")
@example("floats", "[1,-inf]")
def test_any_text_is_read_or_refused_and_what_is_read_survives_json(kind: str, text: str):
    import json

    try:
        value = parse_setting(Param("k", kind), text, "k")  # type: ignore[arg-type]
    except OverrideError:
        return

    assert json.loads(json.dumps(value, allow_nan=False)) == value


def test_what_has_no_effect_decides_about_nothing_further():
    rule = Param("rule", "str", "sgd")
    beta = Param("momentum", "float", 0.0, when=(("rule", ("momentum",)),))
    nesterov = Param("nesterov", "bool", False, when=(("momentum", (0.9,)),))

    kept, reasons = effective([rule, nesterov, beta], {"rule": "adam", "momentum": 0.9, "nesterov": True}, "fit")

    assert kept == {"rule": "adam"}
    assert list(reasons) == ["momentum", "nesterov"]
