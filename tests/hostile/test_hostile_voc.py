"""VOC annotations that are damaged, lying or hostile: one line that names the file, the object and the field."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.mutations import assert_one_line_about, mutations
from support.voc import annotation, voc_folder

from mlcvbench.errors import DataError, MlcvbenchError
from mlcvbench_detection.voc import annotations
from mlcvbench_detection.voc.annotations import load_voc, read_annotation

GOOD = annotation([("dog", (1, 2, 30, 40), "0")])
BOMB = (
    '<!DOCTYPE b [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(8))
    + "]><annotation>&i;</annotation>"
)
EXTERNAL = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation>&x;</annotation>'
QUADRATIC = f'<!DOCTYPE a [<!ENTITY x "{"x" * 50_000}">]><annotation>{"&x;" * 5_000}</annotation>'


def error_of(folder: Path, text: str | bytes) -> str:
    """Return what reading an annotation says after the name of its file."""
    path = folder / "image.xml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError) as error:
        read_annotation(path)
    assert_one_line_about(error.value, path)
    return str(error.value).removeprefix(str(path))


@pytest.mark.parametrize("text", [BOMB, EXTERNAL, QUADRATIC, "<!DOCTYPE annotation><annotation/>"])
def test_document_types_and_entities_are_refused_unread(tmp_path, text):
    assert error_of(tmp_path, text) == ": has a document type or an entity, which are refused (DTDForbidden)."


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", ": is not XML (no element found: line 1, column 0)."),
        ("<annotation>", ": is not XML (no element found: line 1, column 12)."),
        (GOOD + GOOD, ": is not XML (junk after document element: line 1, "),
        ("\0" + GOOD, ": is not XML (not well-formed (invalid token): line 1, "),
        (f'<?xml version="1.0" encoding="klingon"?>{GOOD}', ": is not XML (unknown encoding"),
        ("<a>" * 100_000, ": is not XML (more than 32 levels of elements)."),
        ("<note/>", ": wanted an <annotation>, got <note>."),
        (annotation([], width=-4), ", <size>, <width>: wanted 0 (unknown) to 50000000 pixels, got '-4'."),
        (annotation([], width="x"), ", <size>, <width>: wanted 0 (unknown) to 50000000 pixels, got 'x'."),
        (annotation([], height=10**6, width=10**6), ": 1000000 x 1000000 pixels; the most is 50000000."),
    ],
)
def test_what_is_no_annotation_is_refused(tmp_path, text, says):
    assert error_of(tmp_path, text).startswith(says)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("<name>dog</name>", "", ", object 0: no <name>."),
        ("<xmin>1</xmin>", "", ", object 0, <xmin>: wanted a number of pixels, got None."),
        ("<xmin>1</xmin>", "<xmin>left</xmin>", ", object 0, <xmin>: wanted a number of pixels, got 'left'."),
        ("<xmin>1</xmin>", "<xmin>nan</xmin>", ", object 0, <xmin>: wanted a number of pixels, got 'nan'."),
        ("<xmin>1</xmin>", "<xmin>1_0</xmin>", ", object 0, <xmin>: wanted a number of pixels, got '1_0'."),
        ("<xmin>1</xmin>", "<xmin>1e999</xmin>", ", object 0, <xmin>: wanted a number of pixels, got '1e999'."),
        ("<xmin>1</xmin>", "<xmin>-1e9</xmin>", ", object 0, <xmin>: wanted a number of pixels, got '-1e9'."),
        (
            "<xmin>1</xmin>",
            "<xmin>31</xmin>",
            ", object 0: wanted xmin <= xmax and ymin <= ymax, got [31.0, 2.0, 30.0, 40.0].",
        ),
        ("bndbox", "box", ", object 0: wanted one <bndbox>, got 0."),
        ("</object>", "<bndbox/></object>", ", object 0: wanted one <bndbox>, got 2."),
        (
            "<difficult>0</difficult>",
            "<difficult>maybe</difficult>",
            ", object 0, <difficult>: wanted 0 or 1, got 'maybe'.",
        ),
    ],
)
def test_a_wrong_object(tmp_path, old, new, says):
    assert error_of(tmp_path, GOOD.replace(old, new)) == says


def test_an_object_without_difficult_is_not_difficult(tmp_path):
    path = tmp_path / "image.xml"
    path.write_text(GOOD.replace("<difficult>0</difficult>", ""), encoding="utf-8")

    assert not read_annotation(path).objects[0].difficult


def test_a_file_over_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(annotations, "MAX_XML_BYTES", 100)

    assert error_of(tmp_path, GOOD) == f": has {len(GOOD)} bytes; the most for the annotation of an image is 100."


def test_an_unknown_class_names_the_nearest(tmp_path):
    root = voc_folder(tmp_path, {"a": annotation([("dgo", (1, 1, 9, 9), "0")])})

    with pytest.raises(DataError) as error:
        load_voc({"root": str(root)}, 0)

    assert str(error.value).startswith(f"{root}/Annotations/a.xml, object 0: unknown class 'dgo'. Did you mean 'dog'")


@pytest.mark.parametrize("name", ["../../x", "/etc/passwd", "a b", "..", ".hidden"])
def test_a_list_that_leaves_its_folder(tmp_path, name):
    root = voc_folder(tmp_path, {"a": annotation([])})
    listed = root / "ImageSets/Main/test.txt"
    listed.write_text(f"a\n{name}\n", encoding="utf-8")

    with pytest.raises(DataError) as error:
        load_voc({"root": str(root)}, 0)

    assert str(error.value) == f"{listed}, line 2: wanted a new image name, got {name!r}."


@pytest.mark.parametrize(
    ("content", "says"),
    [("", ": names no image."), ("a\na\n", ", line 2: wanted a new image name, got 'a'.")],
)
def test_a_list_that_is_empty_or_repeats(tmp_path, content, says):
    root = voc_folder(tmp_path, {"a": annotation([])})
    listed = root / "ImageSets/Main/test.txt"
    listed.write_text(content, encoding="utf-8")

    with pytest.raises(DataError) as error:
        load_voc({"root": str(root)}, 0)

    assert str(error.value) == f"{listed}{says}"


def test_a_listed_image_without_annotation(tmp_path):
    root = voc_folder(tmp_path, {"a": annotation([])})
    (root / "Annotations/a.xml").unlink()

    with pytest.raises(DataError) as error:
        load_voc({"root": str(root)}, 0)

    assert str(error.value) == f"{root}/Annotations/a.xml: no such file; wanted the annotation of an image."


def test_a_split_name_is_no_path(tmp_path):
    with pytest.raises(DataError) as error:
        load_voc({"root": str(voc_folder(tmp_path, {"a": annotation([])})), "split": "../a"}, 0)

    assert str(error.value) == "data.split='../a': wanted the name of a list such as test."


def test_damage_anywhere_gives_an_annotation_or_one_line(tmp_path):
    path, refused = tmp_path / "image.xml", 0
    for what, data in mutations(GOOD.encode()):
        path.write_bytes(data)

        error = refusal(path)

        assert error is None or re.match(re.escape(str(path)), str(error)), what
        assert error is None or "\n" not in str(error), what
        refused += error is not None
    assert refused > 1000


def refusal(path: Path) -> MlcvbenchError | None:
    """Return the error of reading a file; any other exception is a failure."""
    try:
        read_annotation(path)
    except MlcvbenchError as error:
        return error
    return None
