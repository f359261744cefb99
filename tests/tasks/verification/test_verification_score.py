"""`mlcvbench score` on faces: the protocol that was asked for, values and embeddings of the whole, LFW in any
format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.faces import write_faces

from mlcvbench.cli import main

PEOPLE = [f"p{index:02d}" for index in range(20)]


def score(capsys: pytest.CaptureFixture[str], folder: Path, *words: str) -> dict[str, Any]:
    """Return the record of `mlcvbench score`, or what it said on standard error as `error`."""
    capsys.readouterr()
    code = main(["score", *words, "as=m", "intervals=off", f"out={folder / 'runs'}", "--json"])
    printed = capsys.readouterr()
    return json.loads(printed.out) if code == 0 else {"error": printed.err.strip(), "code": code}


def value(record: dict[str, Any], name: str) -> float:
    assert "metrics" in record, record
    found = record["metrics"][name]["value"]
    assert isinstance(found, float)
    return found


def codes(record: dict[str, Any]) -> list[str]:
    return [notice["code"] for notice in record["notices"]]


@pytest.fixture
def folded(tmp_path):
    """Forty pairs of twenty people in ten folds; returns the pairs, who is the same, and distances of them."""
    write_faces(tmp_path / "people", count=20, each=2, suffix="{number}.png")
    for index, name in enumerate(PEOPLE):
        (tmp_path / f"people/person{index}").rename(tmp_path / f"people/{name}")
    rows = []
    for fold in range(10):
        one, other = PEOPLE[2 * fold : 2 * fold + 2]
        rows += [(f"{one}/1", f"{one}/2", fold), (f"{other}/1", f"{other}/2", fold)]
        rows += [(f"{one}/1", f"{other}/1", fold), (f"{one}/2", f"{other}/2", fold)]
    (tmp_path / "pairs.csv").write_text("a,b,fold\n" + "".join(f"{a},{b},{fold}\n" for a, b, fold in rows))
    same = np.array([a[:3] == b[:3] for a, b, _ in rows])
    rng = np.random.default_rng(4)
    distance = np.where(same, rng.normal(0.6, 0.2, 40), rng.normal(1.0, 0.2, 40)).round(3)
    lines = "".join(f"{a},{b},{one}\n" for (a, b, _), one in zip(rows, distance, strict=True))
    (tmp_path / "dist.csv").write_text(f"a,b,distance\n{lines}")
    return rows, same, distance


def definition(folder: Path, protocol: str, metrics: str = "[auc]") -> str:
    path = folder / "mine.yaml"
    data = "{name: face-folder, root: people, pairs: pairs.csv}"
    path.write_text(f"name: mine\nkind: verification\ndata: {data}\nprotocol: {protocol}\nmetrics: {metrics}\n")
    return f"task={path}"


def best_on_the_others(distance, same, fold) -> float:
    right = []
    for number in range(10):
        train = fold != number
        cuts = np.concatenate([[-1], np.unique(distance[train])])
        cut = cuts[int(np.argmax([((distance[train] <= one) == same[train]).mean() for one in cuts]))]
        right.append(((distance[~train] <= cut) == same[~train]).mean())
    return float(np.mean(right))


def test_given_values_in_own_folds_have_the_accuracy_that_was_asked_for(tmp_path, capsys, folded):
    rows, same, distance = folded
    task = definition(tmp_path, "pairs/10fold/given@1", "[accuracy_10fold, auc]")

    record = score(capsys, tmp_path, task, f"predictions={tmp_path / 'dist.csv'}", "value=distance")

    assert record["task"]["protocol_id"] == "pairs/10fold/given@1"
    wanted = best_on_the_others(distance, same, np.array([fold for *_, fold in rows]))
    assert (value(record, "accuracy_10fold"), wanted) == (pytest.approx(wanted), pytest.approx(0.8))
    assert value(record, "auc") == pytest.approx(0.9525)
    assert codes(record) == ["few-pairs"]


@pytest.mark.parametrize(
    ("protocol", "scored"),
    [("pairs/declared@1", "pairs/given@1"), ("pairs/10fold/cosine@1", "pairs/10fold/given@1")],
)
def test_values_for_a_protocol_of_embeddings_are_scored_as_given_in_its_family_and_that_is_said(
    tmp_path, capsys, folded, protocol, scored
):
    words = [definition(tmp_path, protocol), f"predictions={tmp_path / 'dist.csv'}", "value=distance"]

    record = score(capsys, tmp_path, *words)

    assert record["task"]["protocol_id"] == scored
    assert record["notices"][0] == {
        "code": "another-protocol",
        "text": f"the definition asks for {protocol}; these predictions are scored as {scored}.",
        "count": None,
    }
    assert score(capsys, tmp_path, *words, "strict=on")["error"].startswith(
        "mlcvbench: error: strict=on: the definition"
    )


def test_values_cannot_look_anybody_up(tmp_path, capsys, folded):
    task = definition(tmp_path, "identification/closed-set/l2@1", "[rank1]")

    assert score(capsys, tmp_path, task, f"predictions={tmp_path / 'dist.csv'}", "value=distance") == {
        "error": "mlcvbench: error: protocol 'identification/closed-set/l2@1' looks people up by their embeddings "
        "(.npz); got values of pairs.",
        "code": 2,
    }


def test_embeddings_for_a_protocol_of_given_values_are_refused(tmp_path, capsys, folded):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "e.npz", embedding=rng.normal(size=(40, 3)).astype(np.float32))

    record = score(capsys, tmp_path, definition(tmp_path, "pairs/given@1"), f"predictions={tmp_path / 'e.npz'}")

    assert record == {
        "error": "mlcvbench: error: protocol 'pairs/given@1' wants values of pairs, got distance, embedding.",
        "code": 2,
    }


def test_the_header_of_values_says_what_they_are_and_must_not_contradict_the_request(tmp_path, capsys, folded):
    words = [definition(tmp_path, "pairs/given@1"), f"predictions={tmp_path / 'dist.csv'}"]

    assert value(score(capsys, tmp_path, *words), "auc") == pytest.approx(0.9525)
    assert score(capsys, tmp_path, *words, "value=similarity")["error"] == (
        f"mlcvbench: error: value=similarity, but the column of values in {tmp_path / 'dist.csv'} is called 'distance'."
    )


def test_a_labelled_list_is_scored_by_its_labels(tmp_path, capsys):
    write_faces(tmp_path / "photos", count=8, each=2, suffix="{number}.png")
    label, distance = [1, 0] * 4, [0.3, 0.9, 0.4, 1.0, 0.35, 0.8, 0.5, 0.95]
    names = [(f"person{k}/1", f"person{(k + 1) % 8 if one else k}/2") for k, one in enumerate(label)]
    lines = zip(names, label, distance, strict=True)
    (tmp_path / "pairs.csv").write_text("a,b,label\n" + "".join(f"{a},{b},{one}\n" for (a, b), one, _ in lines))
    (tmp_path / "d.txt").write_text("\n".join(map(str, distance)))
    words = ["task=face-pairs", f"data.root={tmp_path / 'photos'}", f"data.pairs={tmp_path / 'pairs.csv'}"]

    record = score(capsys, tmp_path, *words, f"predictions={tmp_path / 'd.txt'}", "value=distance")

    assert (value(record, "auc"), value(record, "eer")) == (1.0, 0.0)
    assert codes(record) == ["labels-overrule-folders", "another-protocol", "few-pairs"]


@pytest.mark.parametrize("named", [False, True])
def test_the_pairs_of_the_first_images_are_scored_out_of_values_for_all(tmp_path, capsys, folded, named):
    rows, same, distance = folded
    path = tmp_path / ("dist.csv" if named else "dist.txt")
    if not named:
        path.write_text("\n".join(map(str, distance)))
    words = [definition(tmp_path, "pairs/given@1"), f"predictions={path}", "value=distance"]

    part = score(capsys, tmp_path, *words, "limit=12")

    first = [a < "p06" for a, *_ in rows]  # six people of two images
    pairs = np.flatnonzero(first)
    better = (-distance[pairs][same[pairs]][:, None] > -distance[pairs][~same[pairs]][None]).mean()
    assert (part["partial"], part["dataset"]["n"]) == (True, 12)
    assert value(part, "auc") == pytest.approx(better)


@pytest.mark.parametrize("with_ids", [False, True])
def test_the_first_images_are_scored_out_of_embeddings_of_all(tmp_path, capsys, folded, with_ids):
    rng = np.random.default_rng(0)
    ids = np.array([f"{name}/{number}" for name in PEOPLE for number in (1, 2)])
    vectors = rng.normal(size=(40, 3)).astype(np.float32)
    order = rng.permutation(40) if with_ids else np.arange(40)
    np.savez(tmp_path / "e.npz", embedding=vectors[order], **({"ids": ids[order]} if with_ids else {}))
    np.savez(tmp_path / "f.npz", embedding=vectors[:12], ids=ids[:12])
    task = definition(tmp_path, "pairs/cosine@1")

    part, alone = (
        score(capsys, tmp_path, task, f"predictions={tmp_path / name}", "limit=12") for name in ("e.npz", "f.npz")
    )

    assert value(part, "auc") == value(alone, "auc")
    assert "unused-embeddings" not in codes(part)


def test_embeddings_of_other_images_are_counted(tmp_path, capsys, folded):
    ids = [f"{name}/{number}" for name in PEOPLE for number in (1, 2)] + ["someone/1", "someone/2"]
    np.savez(tmp_path / "e.npz", embedding=np.random.default_rng(0).normal(size=(42, 3)).astype(np.float32), ids=ids)

    record = score(capsys, tmp_path, definition(tmp_path, "pairs/cosine@1"), f"predictions={tmp_path / 'e.npz'}")

    assert record["notices"][0] == {
        "code": "unused-embeddings",
        "text": "2 of 42 embeddings are of no image that is compared, and are not used.",
        "count": 2,
    }


PAIRS = "2\t1\nperson0\t1\t2\nperson0\t1\tperson1\t2\nperson1\t1\t3\nperson2\t3\tperson3\t1\n"


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".jpeg", ".bmp", ".webp", ".JPG"])
def test_lfw_is_found_in_any_format_of_images(tmp_path, capsys, suffix):
    root = write_faces(tmp_path / "lfw", suffix=f"{{name}}_{{number:04d}}{suffix}")
    (root / "pairs.txt").write_text(PAIRS)
    (tmp_path / "d.txt").write_text("0.4\n1.0\n0.5\n0.9\n")
    words = ["task=lfw", f"data.root={root}", f"predictions={tmp_path / 'd.txt'}", "value=distance"]

    record = score(capsys, tmp_path, *words)

    assert (value(record, "auc"), record["dataset"]["n"]) == (1.0, 7)
    assert codes(record) == ["another-protocol", "few-pairs", "folds-not-ten"]


def test_an_image_of_lfw_that_is_not_there_is_said_with_what_is(tmp_path, capsys):
    root = write_faces(tmp_path / "lfw", suffix="{name}_{number:04d}.png", each=7)
    (root / "pairs.txt").write_text(PAIRS.replace("person0\t1\t2", "person0\t1\t9"))
    (root / "person0/person0_0009.txt").write_text("")

    assert score(capsys, tmp_path, "task=lfw", f"data.root={root}", f"predictions={root / 'pairs.txt'}") == {
        "error": f"mlcvbench: error: {root / 'pairs.txt'}, line 2: image 9 of 'person0' does not exist: looked for "
        "person0_0009 with .jpg, .jpeg, .png, .webp, .bmp, .ppm, .pgm, .tif, .tiff; there are person0_0001.png, "
        "person0_0002.png, person0_0003.png, person0_0004.png, person0_0005.png and 2 more.",
        "code": 2,
    }
