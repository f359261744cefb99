"""Bad class lists and tables of values and colours: one sentence that names file and line."""

from __future__ import annotations

import pytest

from mlcvbench.errors import MlcvbenchError
from mlcvbench_segmentation.label_map import read_classes, read_label_map


def message(action) -> str:
    with pytest.raises(MlcvbenchError) as caught:
        action()
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a\na\n", "line 2: class name 'a' is given twice or means 'not scored'."),
        ("ignore\nb\n", "line 1: class name 'ignore' is given twice or means 'not scored'."),
        ("a\n", "wanted 2 class names or more, one per line, got 1."),
    ],
)
def test_bad_class_lists_name_the_line(tmp_path, text, said):
    path = tmp_path / "classes.txt"
    path.write_text(text)

    assert message(lambda: read_classes(path)).endswith(said)


@pytest.mark.parametrize("line", ["x,a", "70000,a", "1,b", "2", "2,a,b", "#12345,a", "0,0,256,a", "0,0,0,a"])
def test_bad_lines_of_label_maps_are_named(tmp_path, line):
    path = tmp_path / "map.csv"
    path.write_text(f"1,a\n#000000,a\n{line}\n")

    assert message(lambda: read_label_map(path, ("a", "b"), 255)) == (
        f"{path}, line 3: wanted a new value from 0 to 65535 or a new colour (#rrggbb or r,g,b), and a class, "
        f"got {line!r}."
    )


@pytest.mark.parametrize("name", ["zebra", "9", ""])
def test_a_class_of_a_label_map_that_is_not_in_the_list_is_named(tmp_path, name):
    path = tmp_path / "map.csv"
    path.write_text(f"1,a\n2,{name}\n")

    assert message(lambda: read_label_map(path, ("a", "b"), 255)) == (
        f"{path}, line 2: class {name!r} is not in the class list."
    )


@pytest.mark.parametrize("header", ["value", "class", "r,g,class", "value,value,class", "color,r,g,b,class", "r,g,b"])
def test_a_header_of_a_label_map_that_says_too_little_or_too_much_is_refused(tmp_path, header):
    path = tmp_path / "map.csv"
    path.write_text(f"{header}\n1,a\n")

    assert message(lambda: read_label_map(path, ("a", "b"), 255)) == (
        f"{path}, line 1: wanted a header with class and value, color, or r, g and b, each once, got {header!r}."
    )


@pytest.mark.parametrize(
    ("header", "line"),
    [("name,r,g,b", "a,1,2"), ("id,red,green,blue,name", "x,1,2,3,a"), ("value,color,class", "1,,a")],
)
def test_a_line_that_is_not_what_the_header_says_is_refused(tmp_path, header, line):
    path = tmp_path / "map.csv"
    path.write_text(f"{header}\n{line}\n")

    assert message(lambda: read_label_map(path, ("a", "b"), 255)) == (
        f"{path}, line 2: wanted a new value from 0 to 65535 or a new colour (#rrggbb or r,g,b), and a class, "
        f"got {line!r}."
    )
