"""Bad pair lists, values and embeddings: one sentence with file and line, never a number."""

from __future__ import annotations

import contextlib
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.faces import embeddings, face_split, write_faces
from support.mutations import assert_one_line_about, mutations

from mlcvbench.contract import Problem
from mlcvbench.errors import MlcvbenchError, OverrideError, PredictionError
from mlcvbench_verification.face_folder import load_face_folder
from mlcvbench_verification.lfw import load_lfw
from mlcvbench_verification.pair_list import LABELS, read_pair_list
from mlcvbench_verification.pairs import read_lfw_pairs
from mlcvbench_verification.task import VerificationTask

PROBLEM = Problem("verification", (), {}, {"pairs": "pairs"})
GOOD = ["1 2", "ann 1 2", "ann 1 3", "ann 1 bob 1", "ann 2 bob 2"]


def message(action) -> str:
    with pytest.raises(MlcvbenchError) as caught:
        action()
    return str(caught.value)


HEADER = f"wanted a header of two images (such as a,b), perhaps 'fold', and perhaps a label ({', '.join(LABELS)})"


@pytest.mark.parametrize(
    ("line", "text", "said"),
    [
        (1, "", "line 1: wanted the numbers of folds and of pairs, such as '10 300', got 'ann 1 2'."),
        (1, "1 x", "line 1: wanted the numbers of folds and of pairs, such as '10 300', got '1 x'."),
        (1, "9999 2", "line 1: wanted at most 1000 folds, got 9999."),
        (2, "ann 1", "line 2: wanted a genuine pair 'name i j', got 'ann 1'."),
        (2, "ann 1 bob 2", "line 2: wanted a genuine pair 'name i j', got 'ann 1 bob 2'."),
        (3, "ann 0 2", "line 3: wanted an image number from 1, got '0'."),
        (3, "ann -1 2", "line 3: wanted an image number from 1, got '-1'."),
        (3, "ann 1 12345678901", "line 3: wanted an image number from 1, got '12345678901'."),
        (3, "ann 2 2", "line 3: pairs image 2 of ann with itself."),
        (4, "ann 1 2", "line 4: wanted an impostor pair 'name i other j', got 'ann 1 2'."),
        (4, "ann 1 ann 2", "line 4: wanted two people in an impostor pair, got ann twice."),
        (5, "../ann 1 bob 2", "line 5: wanted the name of a person, got '../ann'."),
        (5, "ann 1 .. 2", "line 5: wanted the name of a person, got '..'."),
    ],
)
def test_bad_lfw_lines_are_named(tmp_path, line, text, said):
    path = tmp_path / "pairs.txt"
    path.write_text("\n".join([*GOOD[: line - 1], text, *GOOD[line:]]) + "\n")

    assert message(lambda: read_lfw_pairs(path)) == f"{path}, {said}"


def test_a_wrong_count_of_lines_is_named(tmp_path):
    path = tmp_path / "pairs.txt"
    path.write_text("\n".join(GOOD[:-1]))

    assert message(lambda: read_lfw_pairs(path)) == (
        f"{path}: its first line says 1 folds of 2 genuine and 2 impostor pairs = 4 lines, got 3."
    )


def test_unknown_people_and_numbers_out_of_range_are_named(tmp_path):
    root = write_faces(tmp_path, suffix="{name}_{number:04d}.jpg")
    path = root / "pairs.txt"
    path.write_text("1 1\nperson0 1 4\nperson0 1 person1 1\n")
    assert message(lambda: load_lfw({"root": str(root)}, 0)) == (
        f"{path}, line 2: image 4 of 'person0' does not exist: looked for person0_0004 with .jpg, .jpeg, .png, .webp, "
        ".bmp, .ppm, .pgm, .tif, .tiff; there are person0_0001.jpg, person0_0002.jpg, person0_0003.jpg."
    )
    path.write_text("1 1\nperson0 1 2\nperson0 1 zoe 1\n")
    assert message(lambda: load_lfw({"root": str(root)}, 0)) == f"{path}, line 3: person 'zoe' has no folder in {root}."


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ": holds no pair; wanted lines of a,b and perhaps fold and label."),
        ("a,b\n", ": holds no pair; wanted lines of a,b and perhaps fold and label."),
        ("x\n", ", line 1: wanted a,b and perhaps fold and label, got 'x'."),
        ("x,y\nx,q\n", ", line 2: no image 'q' in the data set."),
        ("p,q\nx,y\n", ", line 1: no image 'p' in the data set."),
        ("x,x\n", ", line 1: pairs image x with itself."),
        (
            "x,y,0\n",
            ", line 1: has 3 columns and no header that names them; wanted a first line such as a,b,fold or a,b,label.",
        ),
        ("a,b,fold\nx,y,0\nx,y\n", ", line 3: wanted 3 cells as in all lines, got 'x,y'."),
        ("a,b,fold\nx,y,-1\n", ", line 2: wanted a fold from 0 to 999, got '-1'."),
        ("a,b,label\nx,y,2\n", ", line 2: wanted a label (1 or 0, true or false, same or different), got '2'."),
        ("a,b,distance\nx,y,2\n", f", line 1: {HEADER}, got 'distance'."),
        ("a,fold\nx,2\n", f", line 1: {HEADER}, got 'a,fold'."),
        ("a,b,left\nx,y,x\n", f", line 1: {HEADER}, got 'a,b,left'."),
        ("a,b,same,label\nx,y,1,1\n", f", line 1: {HEADER}, got 'a,b,same,label'."),
    ],
)
def test_bad_pair_lists_name_the_line(tmp_path, text, said):
    path = tmp_path / "pairs.csv"
    path.write_text(text)

    assert message(lambda: read_pair_list(path, ["x", "y"])) == f"{path}{said}"


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=80))
def test_any_bytes_give_pairs_or_an_error_of_ours(tmp_path_factory, raw):
    path = tmp_path_factory.mktemp("pairs") / "pairs.txt"
    for content in (raw, b"1 1\nann 1 2\n" + raw):
        path.write_bytes(content)
        with contextlib.suppress(MlcvbenchError):
            read_lfw_pairs(path)
        with contextlib.suppress(MlcvbenchError):
            read_pair_list(path, ["ann", "bob"])


@pytest.fixture
def case(tmp_path):
    split = face_split(count=2, each=2)  # 6 pairs

    def read(text, value="similarity"):
        path = tmp_path / "values.csv"
        path.write_text(text)
        return VerificationTask().read_external(path, split, PROBLEM, {"value": value} if value else {})

    return tmp_path / "values.csv", split, read


def test_values_need_a_direction(case):
    _, _, read = case

    with pytest.raises(OverrideError) as caught:
        read("1\n" * 6, value=None)

    assert str(caught.value) == "values of pairs need value=distance or value=similarity, got nothing."


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1\n2\n3\n4\n5-5\n6\n", ", line 5: wanted a number, got '5-5'."),
        ("1\n2\n3\n", ": wanted 6 values, one per pair, got 3."),
        ("1\n2\n3\nx\n5\n6\n", ", line 4: wanted a number, got 'x'."),
        ("value\n1\n2\n3\nnan\n5\n6\n", ", line 5: wanted a finite number, got nan."),
        ("1\n2\n3\n4\n1e999\n6\n", ", line 5: wanted a finite number, got 1e999."),
        ("1\n2\n3\n4\n1_0\n6\n", ", line 5: wanted a number, got '1_0'."),
        ("1\n2\n3\n4\na,b,5\n6\n", ", line 5: wanted a number, got 'a,b,5'."),
    ],
)
def test_bad_values_are_named(case, text, said):
    path, _, read = case

    assert message(lambda: read(text)) == f"{path}{said}"


def test_named_values_must_be_pairs_of_the_list_each_once(case):
    path, split, read = case
    pairs, ids = split.targets()["pairs"], split.ids
    lines = [f"{ids[a]},{ids[b]},1" for a, b in zip(pairs.first, pairs.second, strict=True)]

    lines[5] = lines[0]
    assert message(lambda: read("\n".join(lines))) == (
        f"{path}, line 6: '{ids[0]},{ids[1]}' is not a pair of the list, or is given twice."
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"embedding": np.ones((3, 2), np.float32)},
            "field 'embedding': wanted (4, D) with D up to 65536, got (3, 2).",
        ),
        (
            {"embedding": np.ones((4, 65_537), np.float32)},
            "field 'embedding': wanted (4, D) with D up to 65536, got (4, 65537).",
        ),
        (
            {"embedding": np.ones(4, np.float32)},
            "field 'embedding': wanted (4, D) with D up to 65536, got (4,).",
        ),
        ({"embedding": np.ones((4, 2), np.int64)}, "field 'embedding': wanted float32 (B, any), got dtype int64."),
        (
            {"embedding": np.ones((4, 0), np.float32)},
            "field 'embedding': wanted at least one number per sample, got none.",
        ),
        ({"embedding": np.zeros((4, 2), np.float32)}, "is all zeros, which has no direction for cosine."),
        ({"distance": np.array("hamming")}, "field 'distance': wanted one of cosine, l2, l1, got hamming."),
        ({"ids": np.array(["a", "a", "b", "c"])}, "field 'ids': some are given twice."),
        ({"ids": np.array(["a", "b", "c", "d"])}, "field 'ids': sample 'person00/0' is missing."),
        ({"names": np.array(["a", "b", "c", "d"])}, "wanted arrays embedding, ids and distance, got 'names' too."),
    ],
)
def test_bad_embedding_files_are_named(tmp_path, changes, said):
    split = face_split(count=2, each=2)
    path = tmp_path / "e.npz"
    np.savez(path, **{"embedding": np.ones((4, 2), np.float32), **changes})

    text = message(lambda: VerificationTask().read_external(path, split, PROBLEM, {}))

    assert text.startswith(f"{path}: ")
    assert text.endswith(said)


def test_embeddings_that_are_objects_nan_or_missing_are_refused(tmp_path):
    split, task, path = face_split(count=2, each=2), VerificationTask(), tmp_path / "e.npz"

    np.savez(path, embedding=np.array([[None]] * 4, dtype=object))
    assert str(path) in message(lambda: task.read_external(path, split, PROBLEM, {}))
    np.savez(path, embedding=np.full((4, 2), np.nan, np.float32))
    assert message(lambda: task.read_external(path, split, PROBLEM, {})) == (
        f"{path}: field 'embedding', sample 'person00/0': wanted finite numbers, got nan."
    )
    np.savez(path, vectors=np.ones((4, 2)))
    assert message(lambda: task.read_external(path, split, PROBLEM, {})) == (
        f"{path}: wanted an array 'embedding', got vectors."
    )
    assert message(lambda: task.read_external(path, split, PROBLEM, {"value": "distance"})) == (
        "key 'value' has no effect on embeddings: their distance is part of the file."
    )
    assert message(lambda: task.read_external(tmp_path / "e.pkl", split, PROBLEM, {})) == (
        f"{tmp_path / 'e.pkl'}: wanted .npz of embeddings or .csv of values of pairs, got .pkl."
    )


def test_an_embedding_file_damaged_anywhere_never_gives_other_numbers(tmp_path):
    split, task, path = face_split(count=2, each=2), VerificationTask(), tmp_path / "e.npz"
    np.savez_compressed(path, embedding=np.ones((4, 2), np.float32), ids=split.ids)
    whole = path.read_bytes()
    refused = 0
    for what, damaged in mutations(whole, step=3):
        path.write_bytes(damaged)
        try:
            read = task.read_external(path, split, PROBLEM, {}).predictions
            assert (read["embedding"] == 1).all(), what
        except MlcvbenchError as error:
            assert_one_line_about(error, path)
            refused += 1
    assert refused > 300


def test_a_file_that_unpacks_to_gigabytes_is_refused_from_its_header(tmp_path):
    split, path = face_split(count=2, each=2), tmp_path / "e.npz"
    np.savez_compressed(path, embedding=np.zeros((4, 4_000_000), np.float32))
    tracemalloc.start()

    said = message(lambda: VerificationTask().read_external(path, split, PROBLEM, {}))

    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()
    assert said == f"{path}: field 'embedding': wanted (4, D) with D up to 65536, got (4, 4000000)."


def test_batches_that_declare_different_distances_are_refused():
    from mlcvbench_verification.scoring import scorer_of

    split = face_split(count=2, each=2)
    predictions = embeddings(split) | {"distance": np.array(["cosine", "cosine", "l2", "l2"])}

    with pytest.raises(PredictionError) as caught:
        scorer_of("pairs/declared@1").rows(predictions, split.targets(), np.arange(4))

    assert str(caught.value) == "field 'distance': wanted one for all samples, got cosine, l2."


def test_values_of_another_number_of_pairs_are_refused():
    from mlcvbench_verification.scoring import scorer_of

    split = face_split(count=2, each=2)

    with pytest.raises(PredictionError) as caught:
        scorer_of("pairs/given@1").rows({"similarity": np.ones(5)}, split.targets(), np.arange(4))

    assert str(caught.value) == "field 'similarity': wanted 6 values, one per pair, got 5."


def test_folders_without_faces_and_doubled_names_are_refused(tmp_path):
    assert message(lambda: load_face_folder({"root": str(tmp_path / "no")}, 0)) == (
        f"data.root={tmp_path / 'no'}: no such folder."
    )
    assert message(lambda: load_face_folder({"root": str(tmp_path)}, 0)).endswith("found none.")
    root = write_faces(tmp_path)
    (root / "person0/person0_0001.jpg").write_bytes(b"")
    assert message(lambda: load_face_folder({"root": str(root)}, 0)) == (
        f"{root / 'person0/person0_0001.png'}: person0_0001.jpg has the same name; wanted one file per image."
    )


def test_changed_prediction_files_are_refused(tmp_path):
    split, task = face_split(count=2, each=2), VerificationTask()
    path = task.save(embeddings(split), split.ids, tmp_path)

    assert message(lambda: task.load(path, split.ids[::-1], PROBLEM)) == (
        f"{path}: its 4 ids are not the 4 of the split, in order."
    )
    np.savez(path, ids=split.ids, something=np.ones(4))
    assert message(lambda: task.load(path, split.ids, PROBLEM)) == (
        f"{path}: wanted arrays ids, embedding and distance, or ids and similarity."
    )
    np.savez(path, ids=split.ids, similarity=np.array([1.0, np.nan]))
    assert message(lambda: task.load(path, split.ids, PROBLEM)) == f"{path}: pair 1: wanted a finite number, got nan."
