"""YAML from outside: refused with one sentence, never constructed, never slow."""

import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcvbench.errors import DefinitionError
from mlcvbench.files.yaml_tree import Mapping, Scalar, Sequence, parse_yaml, read_yaml
from mlcvbench.limits import MAX_YAML_BYTES

REFUSED = {
    "nothing": (b"", "f.yaml: is empty."),
    "only a comment": (b"# nothing\n", "f.yaml: is empty."),
    "python tag": (
        b"a: 1\nb: !!python/name:os.system",
        "f.yaml:2: the tag 'tag:yaml.org,2002:python/name:os.system' is not allowed here; only plain values are.",
    ),
    "standard tag": (
        b"a: !!int 5",
        "f.yaml:1: the tag 'tag:yaml.org,2002:int' is not allowed here; only plain values are.",
    ),
    "own tag": (b"a: !mine 5", "f.yaml:1: the tag '!mine' is not allowed here; only plain values are."),
    "anchor": (b"a: &x 5", "f.yaml:1: an anchor (&name) is not allowed here; write the value out."),
    "alias": (b"a: 5\nb: *x", "f.yaml:2: an alias (*name) is not allowed here; write the value out."),
    "alias bomb": (
        b"a: &a [x,x,x]\nb: &b [*a,*a,*a]\nc: [*b,*b,*b]",
        "f.yaml:1: an anchor (&name) is not allowed here; write the value out.",
    ),
    "self reference": (b"&a [*a]", "f.yaml:1: an anchor (&name) is not allowed here; write the value out."),
    "merge key of an alias": (
        b"a: 1\n<<: *x",
        "f.yaml:2: an alias (*name) is not allowed here; write the value out.",
    ),
    "duplicate key": (b"a: 1\nb: 2\na: 3", "f.yaml:3: the key 'a' is given twice, first in line 1."),
    "duplicate key below": (b"x:\n  a: 1\n  a: 3", "f.yaml:3: the key 'a' is given twice, first in line 2."),
    "quoted duplicate": (b"a: 1\n'a': 3", "f.yaml:2: the key 'a' is given twice, first in line 1."),
    "list as a key": (b"? [1, 2]\n: 3", "f.yaml:1: a key must be plain text."),
    "two documents": (b"a: 1\n---\nb: 2", "f.yaml:2: wanted one YAML document, got a second one."),
    "deep lists": (b"[" * 51, "f.yaml:1: is nested deeper than 50 levels."),
    "50,000 open brackets": (b"[" * 50_000, "f.yaml:1: is nested deeper than 50 levels."),
    "deep mappings": (b"{a: " * 51 + b"}" * 51, "f.yaml:1: is nested deeper than 50 levels."),
    "open bracket": (b"a: [1,\n", "f.yaml:2: is not valid YAML: did not find expected node content."),
    "two colons": (b"a: b: c", "f.yaml:1: is not valid YAML: mapping values are not allowed in this context."),
    "tab": (b"a:\n\tb: 1", "f.yaml:2: is not valid YAML: found character that cannot start any token."),
    "not UTF-8": (b"a: 1\nb: \xff\xfe", "f.yaml:2: is not UTF-8 text."),
    "UTF-16": ("a: 1".encode("utf-16"), "f.yaml:1: is not UTF-8 text."),
    "control character": (b"a: \x01", "f.yaml:1: is not valid YAML: control characters are not allowed."),
    "too long": (b"#" * (MAX_YAML_BYTES + 1), "f.yaml: is 262145 bytes; the most for a YAML file is 262144."),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_plain_bounded_yaml_is_refused_with_file_and_line(case: str):
    data, message = REFUSED[case]

    with pytest.raises(DefinitionError) as caught:
        parse_yaml(data, "f.yaml")
    assert str(caught.value) == message


@pytest.mark.parametrize("text", ["no", "1:30", "0123", "0x1F", "1e3", "~", "null", "2024-01-01", ".inf", "yes"])
def test_a_scalar_stays_the_text_that_was_written(text: str):
    root = parse_yaml(f"a: {text}".encode(), "f.yaml")

    assert isinstance(root, Mapping)
    assert root.items["a"] == Scalar(text, 1)


def test_quoted_texts_are_told_from_plain_ones():
    root = parse_yaml(b"[a, 'b', \"c\"]", "f.yaml")

    assert isinstance(root, Sequence)
    assert [(item.text, item.quoted) for item in root.items if isinstance(item, Scalar)] == [
        ("a", False),
        ("b", True),
        ("c", True),
    ]


def test_fifty_levels_are_still_read():
    assert isinstance(parse_yaml(b"[" * 50 + b"]" * 50, "f.yaml"), Sequence)


def test_a_byte_order_mark_is_no_part_of_the_first_key():
    root = parse_yaml(b"\xef\xbb\xbfname: x", "f.yaml")

    assert isinstance(root, Mapping)
    assert list(root.items) == ["name"]


def test_lines_count_from_one():
    root = parse_yaml(b"# comment\n\na: 1\nb:\n  - 2\n", "f.yaml")

    assert isinstance(root, Mapping)
    assert root.lines == {"a": 3, "b": 4}


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(DefinitionError) as caught:
        read_yaml(tmp_path / "mine.yaml")
    assert str(caught.value) == f"{tmp_path}/mine.yaml: no such file."


def test_a_folder_a_pipe_and_a_device_are_no_files(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.yaml")

    for path in (tmp_path, tmp_path / "pipe.yaml", Path("/dev/zero")):
        with pytest.raises(DefinitionError) as caught:
            read_yaml(path)
        assert str(caught.value) == f"{path}: wanted a YAML file, got something that is not a plain file."


def test_a_file_that_is_too_long_is_not_read(tmp_path: Path):
    path = tmp_path / "long.yaml"
    with path.open("wb") as file:
        file.truncate(2**33)

    start = time.perf_counter()
    with pytest.raises(DefinitionError) as caught:
        read_yaml(path)
    assert str(caught.value) == f"{path}: is 8589934592 bytes; the most for a YAML file is 262144."
    assert time.perf_counter() - start < 1.0


def refusal(data: bytes) -> str:
    """Return the message about `data`, or the file's name when it is read."""
    try:
        parse_yaml(data, "f.yaml")
    except DefinitionError as error:
        return str(error)
    return "f.yaml"


VALID = b"name: mine\nkind: classification\ndata: {name: small, size: [8, 8]}\nmetrics: [a, 'b']\n"


@settings(deadline=None, derandomize=True, max_examples=300)
@given(st.integers(0, len(VALID)), st.binary(min_size=0, max_size=4), st.integers(0, 4))
def test_a_damaged_file_is_read_or_refused_and_nothing_else(place: int, inserted: bytes, cut: int):
    data = VALID[:place] + inserted + VALID[place + cut :]

    assert refusal(data).startswith("f.yaml")


@settings(deadline=None, derandomize=True, max_examples=300)
@given(st.text(alphabet="[]{}:,-?&*!|>'\"%@`# \n\tab1", max_size=40))
def test_any_text_is_read_or_refused_and_nothing_else(text: str):
    assert refusal(text.encode()).startswith("f.yaml")
