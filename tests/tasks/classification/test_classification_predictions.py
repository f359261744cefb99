"""Checking, storing and reading predictions, ours and those made elsewhere."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from support.classification import problem_of, split_of

from mlcvbench.contract import External
from mlcvbench.errors import DataError, MlcvbenchError, OverrideError, PredictionError, RecordError, UnknownNameError
from mlcvbench.files.npz import open_npz, write_npz
from mlcvbench_classification.task import ClassificationTask

TASK = ClassificationTask()
IDS = ["a", "b", "c"]
SPLIT = split_of(IDS)
PROBLEM = problem_of(["cat", "dog"])
FIELDS = "scores, probabilities, labels"
SCORES = np.array([[1.5, -2.0], [0.25, 0.5], [3.0, 3.0]], np.float32)


def test_sound_scores_are_copied_so_that_a_model_may_reuse_its_buffer():
    given = SCORES.copy()

    checked = TASK.check({"scores": given}, SPLIT.ids, PROBLEM)["scores"]
    given[:] = 0

    assert np.array_equal(checked, SCORES)


def test_double_scores_are_stored_as_float32():
    checked = TASK.check({"scores": SCORES.astype(np.float64) / 3}, SPLIT.ids, PROBLEM)["scores"]

    assert checked.dtype == np.float32


@pytest.mark.parametrize(
    ("predictions", "message"),
    [
        ({"scores": SCORES[:2]}, "field 'scores': wanted 3 samples, got 2."),
        ({"scores": SCORES[:, :1]}, "field 'scores': wanted float32 (B, 2), got shape (3, 1)."),
        ({"scores": SCORES.tolist()}, "field 'scores': wanted a numpy array float32 (B, 2), got list."),
        ({"scores": SCORES.astype(object)}, "field 'scores': wanted float32 (B, 2), got dtype object."),
        ({"scores": SCORES * np.float32("nan")}, "field 'scores', sample 'a': wanted finite numbers, got nan."),
        ({"logits": SCORES}, "predictions have no field 'scores'; got logits."),
        (SCORES, "predictions: wanted a dict of arrays, got ndarray."),
        ({"labels": np.array([0, 1, 2])}, "field 'labels', sample 'c': wanted 0 to 1, got 2."),
        ({"labels": np.array([0, -1, 1])}, "field 'labels', sample 'b': wanted 0 to 1, got -1."),
        ({"labels": np.array([0.0, 1.0, 1.0])}, "field 'labels': wanted int64 (B), got dtype float64."),
        (
            {"labels": np.zeros(3, int), "scores": SCORES},
            f"predictions: wanted one of {FIELDS}; got scores and labels.",
        ),
        ({"probabilities": SCORES}, "field 'probabilities', sample 'a': wanted values from 0 to 1, got -2."),
        (
            {"probabilities": np.full((3, 2), 0.4)},
            "field 'probabilities', sample 'a': wanted values that sum to 1, got a sum of 0.8.",
        ),
        (
            {"probabilities": np.zeros((3, 2))},
            "field 'probabilities', sample 'a': wanted values that sum to 1, got a sum of 0.",
        ),
    ],
)
def test_predictions_that_break_the_contract_are_refused(predictions, message):
    with pytest.raises(PredictionError) as caught:
        TASK.check(predictions, SPLIT.ids, PROBLEM)

    assert str(caught.value) == message


def test_an_unknown_protocol_lists_the_known_one():
    with pytest.raises(UnknownNameError) as caught:
        TASK.scorer("top1/five-crop@1", PROBLEM)

    wanted = "unknown classification protocol 'top1/five-crop@1'. Did you mean "
    wanted += "'top1/single-crop@1' or 'top1/single-crop@2'?"
    assert str(caught.value) == wanted


@pytest.mark.parametrize(
    "predictions",
    [{"scores": SCORES}, {"labels": np.array([0, 1, 1])}, {"probabilities": np.array([[0.6, 0.4]] * 3, np.float32)}],
    ids=["scores", "labels", "probabilities"],
)
def test_stored_predictions_come_back_bit_for_bit_and_equal_ones_give_equal_bytes(tmp_path, predictions):
    (tmp_path / "again").mkdir()
    path = TASK.save(predictions, SPLIT.ids, tmp_path)

    loaded = TASK.load(path, SPLIT.ids, PROBLEM)

    assert path.name == "predictions.npz"
    assert {name: column.tobytes() for name, column in loaded.items()} == {
        name: column.tobytes() for name, column in predictions.items()
    }
    assert TASK.save(loaded, SPLIT.ids, tmp_path / "again").read_bytes() == path.read_bytes()


def test_stored_predictions_of_other_or_reordered_samples_are_refused(tmp_path):
    path = TASK.save({"scores": SCORES}, np.array(["b", "a", "c"]), tmp_path)

    with pytest.raises(PredictionError) as caught:
        TASK.load(path, SPLIT.ids, PROBLEM)

    assert str(caught.value) == f"{path}: its 3 ids are not the 3 of the split, in order."


def test_stored_predictions_with_other_arrays_are_refused(tmp_path):
    path = tmp_path / "predictions.npz"
    write_npz(path, {"ids": SPLIT.ids, "boxes": SCORES})

    with pytest.raises(RecordError) as caught:
        TASK.load(path, SPLIT.ids, PROBLEM)

    assert str(caught.value) == f"{path}: wanted arrays ids and one of {FIELDS}; got ['boxes', 'ids']."


def test_an_array_of_objects_is_never_unpickled(tmp_path):
    path = tmp_path / "p.npz"
    np.savez(path, ids=np.array(IDS), scores=np.array([{"a": 1}], dtype=object))

    with pytest.raises(RecordError) as caught:
        TASK.load(path, SPLIT.ids, PROBLEM)

    said = "array 'scores.npy' has a damaged header, or holds neither plain numbers nor text."
    assert str(caught.value) == f"{path}: {said}"


def npz_with(path: Path, header: str, data: bytes, *, packed: bool = False) -> Path:
    """Write an npz whose array `scores` has this header and data."""
    text = header.encode() + b"\n"
    body = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as archive:
        archive.writestr("scores.npy", body)
    return path


@pytest.mark.parametrize("shape", ["(1000000, 1000000)", "(9999999999999, 9999999999999)", "(3, 1)", "()"])
def test_a_header_that_disagrees_with_the_zip_directory_is_refused_before_allocating(tmp_path, shape):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
    path = npz_with(tmp_path / "p.npz", header, bytes(24))

    with pytest.raises(DataError, match="says shape"), open_npz(path):
        pass


def test_fortran_order_big_endian_and_packed_arrays_are_read(tmp_path):
    path = tmp_path / "p.npz"
    np.savez_compressed(path, scores=np.asfortranarray(SCORES.astype(">f8")))

    external = TASK.read_external(path, SPLIT, PROBLEM, {})

    assert np.array_equal(external.predictions["scores"], SCORES)


def read(path: Path, settings: dict[str, str] | None = None) -> External:
    return TASK.read_external(path, SPLIT, PROBLEM, settings or {})


def csv(folder: Path, text: str | bytes) -> Path:
    path = folder / "p.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    "text",
    [
        "id,cat,dog\na,1.5,-2\nb,0.25,0.5\nc,3,3\n",
        "\ufeffid,dog,cat\r\nc,3,3\r\n\r\na,-2,1.5\r\nb,5e-1,.25",
        '"id","cat","dog"\n"b",0.25,0.5\n"c",3,3\n"a"," 1.5",-2\n',
    ],
    ids=["plain", "BOM, CRLF, other order", "quoted"],
)
def test_a_csv_of_scores_is_aligned_by_id_and_class_name(tmp_path, text):
    external = read(csv(tmp_path, text))

    assert np.array_equal(external.predictions["scores"], SCORES)
    assert external.source == "p.csv: scores read as logits"


@pytest.mark.parametrize("text", ["id,label\na,cat\nc,dog\nb,dog\n", "id,label\na,0\nb,1\nc,1\n"])
def test_a_csv_of_labels_holds_class_names_or_numbers(tmp_path, text):
    external = read(csv(tmp_path, text))

    assert external.predictions["labels"].tolist() == [0, 1, 1]
    assert external.source == "p.csv: labels"


def test_a_number_is_a_class_name_first(tmp_path):
    path = csv(tmp_path, "id,label\na,2\nb,1\nc,1\n")

    external = TASK.read_external(path, SPLIT, problem_of(["1", "2"]), {})

    assert external.predictions["labels"].tolist() == [1, 0, 0]


@pytest.mark.parametrize("ids", [None, np.array(["c", "a", "b"])], ids=["in order", "by id"])
@pytest.mark.parametrize("field", ["scores", "labels"])
def test_an_npz_is_aligned_by_id_or_in_order(tmp_path, field, ids):
    values = SCORES if field == "scores" else np.array([1, 0, 1], np.uint8)
    order = [0, 1, 2] if ids is None else [2, 0, 1]
    np.savez(tmp_path / "p.npz", **{field: values[order]}, **({} if ids is None else {"ids": ids}))

    external = read(tmp_path / "p.npz")

    assert np.array_equal(external.predictions[field], values)


def notices(external: External) -> list[tuple[str, int | None]]:
    return [(notice.code, notice.count) for notice in external.notices]


@pytest.mark.parametrize(
    ("arrays", "settings", "kind", "message"),
    [
        ({"scores": SCORES}, {"values": "probabilities"}, DataError,
         "FILE: field 'probabilities', sample 'a': wanted values from 0 to 1, got -2."),
        ({"labels": np.zeros(3, int)}, {"values": "logits"}, OverrideError,
         "values=logits has no effect: p.npz holds labels, not scores."),
        ({"scores": SCORES[:2]}, {}, DataError,
         "FILE: wanted array 'scores' of shape (3, 2), got float32 (2, 2)."),
        ({"scores": SCORES, "labels": np.zeros(3, int)}, {}, DataError,
         "FILE: wanted one array of 'scores', 'probabilities' or 'labels', got scores, labels."),
        ({"scores": SCORES, "filenames": np.array(IDS)}, {}, DataError,
         "FILE: unknown array 'filenames'. Known: classes, ids, scores, probabilities, labels."),
        ({"probabilities": SCORES}, {"values": "logits"}, OverrideError,
         "values=logits contradicts p.npz, whose array is called 'probabilities'."),
        ({"scores": SCORES[:2], "ids": np.array(["a", "b"])}, {}, DataError,
         "FILE: no prediction for 1 of 3 samples; the first is 'c'."),
        ({"labels": np.array(["cat", "cow", "dog"])}, {}, DataError,
         "FILE, row 1: unknown class 'cow'. Known: cat, dog."),
        ({"scores": np.full((3, 2), np.inf)}, {}, DataError,
         "FILE: field 'scores', sample 'a': wanted finite numbers, got inf."),
        ({"labels": np.array([0, 1, 2])}, {}, DataError,
         "FILE: field 'labels', sample 'c': wanted 0 to 1, got 2."),
        ({"labels": np.zeros(3)}, {}, DataError, "FILE: wanted array 'labels' of shape (3,), got float64 (3,)."),
        ({"scores": SCORES, "ids": np.array(["a", "b", "b"])}, {}, DataError,
         "FILE, row 2: id 'b' is given twice."),
        ({"scores": SCORES, "ids": np.array(["a", "b", "z"])}, {}, DataError,
         "FILE, row 2: unknown id 'z'. Known: a, b, c."),
    ],
)  # fmt: skip
def test_an_npz_that_does_not_fit_is_refused(tmp_path, arrays, settings, kind, message):
    path = tmp_path / "p.npz"
    np.savez(path, **arrays)

    with pytest.raises(kind) as caught:
        read(path, settings)

    assert str(caught.value) == message.replace("FILE", str(path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "FILE: is empty; wanted a header line."),
        ("name,cat\n", "FILE, line 1: wanted a header id,<class names> or id,label, got 'name,cat'."),
        ("id,cat,dgo\n", "FILE, line 1: unknown class 'dgo'. Did you mean 'dog'?"),
        ("id,cat\n", "FILE, line 1: 1 of 2 classes are missing; the first is 'dog'."),
        ("id,cat,dog,cat\n", "FILE, line 1: class 'cat' is named twice."),
        ("id,cat,dog\na,1\n", "FILE, line 2: wanted 3 cells like the header, got 2."),
        ("id,cat,dog\na,1,x\n", "FILE, line 2: wanted numbers after the id, got '1,x'."),
        ("id,cat,dog\na,1_0,2\n", "FILE, line 2: wanted numbers after the id, got '1_0,2'."),
        ("id,cat,dog\n\na,1,nan\n", "FILE, line 3: wanted finite float32 numbers, got nan."),
        ("id,cat,dog\na,1,1e39\n", "FILE, line 2: wanted finite float32 numbers, got 1e+39."),
        ("id,cat,dog\na,1,2\na,1,2\n", "FILE, line 3: id 'a' is given twice."),
        ("id,cat,dog\nq,1,2\n", "FILE, line 2: unknown id 'q'. Known: a, b, c."),
        ("id,cat,dog\na,1,2\nc,1,2\n", "FILE: no prediction for 1 of 3 samples; the first is 'b'."),
        ("id,label\na,0\nb,0\nc,0\nd,0\n", "FILE, line 5: has more rows than the split's 3 samples."),
        ("id,label\na,cow\n", "FILE, line 2: unknown class 'cow'. Known: cat, dog."),
        ("id,label\na,2\n", "FILE, line 2: unknown class '2'. Known: cat, dog."),
        ("id,label\na," + "9" * 5000, "FILE, line 2: unknown class '" + "9" * 100 + "'. Known: cat, dog."),
        (b"id,label\na,\0\n", "FILE, line 2: holds a NUL byte; wanted text."),
        (b"id,label\na,\xff\n", "FILE, line 2: is not UTF-8 text."),
        ('id,label\na,"cat\n', "FILE, line 2: unexpected end of data."),
        ("id,label\na," + "x" * 100_001 + "\n", "FILE, line 2: a field is longer than 100000 characters."),
        ("id,label\n" + "x" * (8 * 2**20 + 1), "FILE, line 2: is longer than 8388608 bytes."),
    ],
    ids=range(22),
)
def test_a_csv_that_does_not_fit_is_refused_with_its_line(tmp_path, text, message):
    path = csv(tmp_path, text)

    with pytest.raises(DataError) as caught:
        read(path)

    assert str(caught.value) == message.replace("FILE", str(path))


def test_a_file_of_another_kind_is_refused_by_its_ending(tmp_path):
    with pytest.raises(DataError) as caught:
        read(tmp_path / "p.pkl")

    wanted = "wanted a .npz or .csv file of class scores or labels, got .pkl."
    assert str(caught.value) == f"{tmp_path / 'p.pkl'}: {wanted}"


@pytest.mark.parametrize("name", ["p.csv", "p.npz"])
def test_a_missing_file_or_a_folder_in_its_place_is_one_error(tmp_path, name):
    (tmp_path / "folder" / name).mkdir(parents=True)

    for path in (tmp_path / name, tmp_path / "folder" / name):
        with pytest.raises(MlcvbenchError, match=name):
            read(path)
    with pytest.raises(DataError) as caught:
        read(tmp_path / "folder")
    assert (
        str(caught.value)
        == f"{tmp_path / 'folder'}: is a folder; wanted a .npz or .csv file of class scores or labels."
    )


def test_a_duplicate_or_foreign_member_of_an_npz_is_refused(tmp_path):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, SCORES)
    with zipfile.ZipFile(tmp_path / "p.npz", "w") as archive:
        archive.writestr("scores.npy", buffer.getvalue())
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("scores.npy", buffer.getvalue())

    with pytest.raises(DataError) as caught:
        read(tmp_path / "p.npz")

    assert str(caught.value) == f"{tmp_path / 'p.npz'}: wanted one .npy array per name, got 'scores.npy'."
