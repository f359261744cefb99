"""Which class a column or a number stands for: said, or assumed aloud, or refused; never by a hidden rule."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.classification import problem_of, split_of

from mlcvbench.contract import External, Notice
from mlcvbench.errors import DataError, OverrideError
from mlcvbench_classification.task import ClassificationTask

TASK = ClassificationTask()
SPLIT = split_of(["a", "b", "c"])
FOLDERS = sorted(map(str, range(12)))  # 0, 1, 10, 11, 2 ...
NUMBER = np.array([2, 10, 3])  # of the class of each sample
BY_NUMBER = np.where(np.arange(12) == NUMBER[:, None], 4.0, -4.0)  # column k is class "k"
WORDS = ["cat", "cow", "dog"]


def read(path: Path, names: list[str], **settings: str) -> External:
    return TASK.read_external(path, SPLIT, problem_of(names), settings)


def npz(folder: Path, **arrays: object) -> Path:
    np.savez(folder / "p.npz", **{name: np.asarray(array) for name, array in arrays.items()})
    return folder / "p.npz"


def named(external: External, classes: list[str]) -> list[str]:
    (values,) = external.predictions.values()
    return [classes[label] for label in (values if values.ndim == 1 else values.argmax(axis=1))]


def test_columns_without_names_of_classes_that_are_numbers_are_refused(tmp_path):
    path = npz(tmp_path, scores=BY_NUMBER)

    with pytest.raises(DataError) as caught:
        read(path, FOLDERS)

    assert str(caught.value) == (
        f"{path}: which class do its columns stand for? The classes 0, 1, 10, 11, 2 ... (12) are named by numbers; say "
        "classes=by-number or classes=by-name (as text, the order of folders), or add an array 'classes'."
    )


@pytest.mark.parametrize("said", ["array", "file", "by-number", "list"])
def test_the_order_of_the_columns_can_be_said(tmp_path, said):
    names = [str(k) for k in range(12)]
    (tmp_path / "names.txt").write_text("\n".join(names))
    arrays = {"classes": names} if said == "array" else {}
    settings = {
        "array": {},
        "file": {"class_file": str(tmp_path / "names.txt")},
        "by-number": {"classes": "by-number"},
        "list": {"classes": ",".join(names)},
    }[said]

    external = read(npz(tmp_path, scores=BY_NUMBER, **arrays), FOLDERS, **settings)

    assert named(external, FOLDERS) == ["2", "10", "3"]
    assert external.notices == ()


@pytest.mark.parametrize("said", ["by-name", "data"])
def test_the_order_of_folders_can_be_said(tmp_path, said):
    columns = BY_NUMBER[:, [int(name) for name in FOLDERS]]

    external = read(npz(tmp_path, scores=columns), FOLDERS, classes=said)

    assert named(external, FOLDERS) == ["2", "10", "3"]


def test_an_array_of_numbers_names_classes_too(tmp_path):
    external = read(npz(tmp_path, scores=BY_NUMBER, classes=np.arange(12)), FOLDERS)

    assert named(external, FOLDERS) == ["2", "10", "3"]


@pytest.mark.parametrize("classes", [["0", "1", "2"], ["1", "2", "3"], ["01", "02", "10"]])
def test_numbers_in_their_own_order_need_no_word(tmp_path, classes):
    external = read(npz(tmp_path, scores=np.eye(3)), classes)

    assert named(external, classes) == classes
    assert external.notices == ()


def test_the_order_of_classes_named_by_words_is_assumed_aloud(tmp_path):
    external = read(npz(tmp_path, scores=np.eye(3) * 9), WORDS)

    text = (
        "the columns of p.npz were taken in the order of the data set: cat, cow, dog; say it with an array 'classes' "
        "in the file, or with classes=[A,B,...], class_file=FILE or classes=data."
    )
    assert external.notices == (Notice("class-order-assumed", text, 3),)
    assert read(npz(tmp_path, scores=np.eye(3) * 9), WORDS, classes="data").notices == ()
    other = read(npz(tmp_path, scores=np.eye(3) * 9, classes=["dog", "cat", "cow"]), WORDS)
    assert (named(other, WORDS), other.notices) == (["dog", "cat", "cow"], ())


@pytest.mark.parametrize("form", ["npz", "csv"])
def test_labels_that_are_numbers_are_places_in_the_order_of_the_classes(tmp_path, form):
    path = npz(tmp_path, labels=[2, 0, 1])
    if form == "csv":
        path = tmp_path / "p.csv"
        path.write_text("id,label\na,2\nb,0\nc,1\n")

    assumed, said = read(path, WORDS), read(path, WORDS, classes="dog,cow,cat")

    assert named(assumed, WORDS) == ["dog", "cat", "cow"]
    assert [notice.code for notice in assumed.notices] == ["class-order-assumed"]
    assert assumed.notices[0].text.startswith(f"the labels of {path.name} were taken in the order of the data set: ")
    assert (named(said, WORDS), said.notices) == (["cat", "dog", "cow"], ())


@pytest.mark.parametrize("classes", [FOLDERS, ["1", "2", "3"]])
def test_labels_that_are_numbers_are_refused_where_classes_are_other_numbers(tmp_path, classes):
    path = npz(tmp_path, labels=[1, 1, 2])

    with pytest.raises(DataError) as caught:
        read(path, classes)

    names = "0, 1, 10, 11, 2 ... (12)" if classes == FOLDERS else "1, 2, 3"
    assert str(caught.value) == (
        f"{path}: which class do its labels stand for? The classes {names} are named by numbers; say classes=by-number "
        "or classes=by-name (as text, the order of folders), or give the names as text."
    )


def test_labels_may_be_names(tmp_path):
    external = read(npz(tmp_path, labels=["10", "2", "3"]), FOLDERS)

    assert (named(external, FOLDERS), external.notices) == (["10", "2", "3"], ())


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"classes": "cat,dog"}, OverrideError,
         "classes=[cat,dog]: 1 of 3 classes are missing; the first is 'cow'."),
        ({"classes": "cat,dog,cow,cat"}, OverrideError, "classes=[cat,dog,cow,cat]: class 'cat' is named twice."),
        ({"classes": "cat,dgo,cow"}, OverrideError,
         "classes=[cat,dgo,cow]: unknown class 'dgo'. Did you mean 'dog'?"),
        ({"classes": "by-number"}, OverrideError,
         "classes=by-number: the classes are not named by numbers: cat, cow, dog."),
        ({"classes": "data", "class_file": "FOLDER/names.txt"}, OverrideError,
         "classes= and class_file= both give the order of the classes; use one of them."),
        ({"class_file": "FOLDER/names.txt"}, DataError,
         "class_file=FOLDER/names.txt: unknown class 'horse'. Known: cat, cow, dog."),
    ],
)  # fmt: skip
def test_an_order_that_does_not_fit_is_refused(tmp_path, settings, error, message):
    (tmp_path / "names.txt").write_text("cat\nhorse\ncow\n")
    settings = {name: value.replace("FOLDER", str(tmp_path)) for name, value in settings.items()}

    with pytest.raises(error) as caught:
        read(npz(tmp_path, scores=np.eye(3)), WORDS, **settings)

    assert str(caught.value) == message.replace("FOLDER", str(tmp_path))


def test_an_array_that_contradicts_the_request_is_refused(tmp_path):
    path = npz(tmp_path, scores=np.eye(3), classes=["dog", "cat", "cow"])

    with pytest.raises(OverrideError) as caught:
        read(path, WORDS, classes="data")

    assert str(caught.value) == "p.npz names its classes in another order than the request; omit that one."
    assert read(path, WORDS, classes="dog,cat,cow").notices == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,cat,cow,dog\na,1,2,3\nb,1,2,3\nc,1,2,3\n", "classes=data has no effect: p.csv names its columns."),
        ("id,label\na,cat\nb,cow\nc,dog\n", "classes=data has no effect: the labels of p.csv are names."),
    ],
)
def test_an_order_is_refused_where_the_file_names_the_classes(tmp_path, text, message):
    (tmp_path / "p.csv").write_text(text)

    with pytest.raises(OverrideError) as caught:
        read(tmp_path / "p.csv", WORDS, classes="data")

    assert str(caught.value) == message


def test_predictions_beyond_the_limit_are_no_mistake(tmp_path):
    whole = split_of(["a", "b", "c", "d"])
    first = whole.take([0, 1])
    first.beyond = whole.ids[2:]
    (tmp_path / "p.csv").write_text("id,label\nd,cow\nb,dog\na,cat\nc,cow\n")
    np.savez(tmp_path / "all.npz", labels=np.array(["cat", "dog", "cow", "cow"]))
    np.savez(tmp_path / "few.npz", labels=np.array(["cat", "dog"]))

    skipped = whole.take([0, 1])
    skipped.unread = whole.ids[2:]
    assert named(TASK.read_external(tmp_path / "p.csv", skipped, problem_of(WORDS), {}), WORDS) == ["cat", "dog"]
    for name in ("p.csv", "all.npz", "few.npz"):
        external = TASK.read_external(tmp_path / name, first, problem_of(WORDS), {})
        assert named(external, WORDS) == ["cat", "dog"]
    (tmp_path / "p.csv").write_text("id,label\na,cat\nb,dog\ne,cow\n")
    with pytest.raises(DataError, match="line 4: unknown id 'e'"):
        TASK.read_external(tmp_path / "p.csv", first, problem_of(WORDS), {})
