"""What a record stores is at most 5 % larger than what was handed in, for every kind and format, and reads back as what
was scored.
"""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from support.faces import write_faces
from support.label_folders import write_label_folder
from support.voc import annotation, voc_folder

from mlcvbench.cli.leaderboard import leaderboard
from mlcvbench.cli.score import score
from mlcvbench.files.lazy_columns import LazyColumn
from mlcvbench.loading.prepared import prepare
from mlcvbench.plan.entries import entries_of
from mlcvbench.plan.planning import plan
from mlcvbench.running.external import LARGER, kept_small
from mlcvbench.storage.digests import size_of
from mlcvbench_detection.voc.annotations import CLASSES as VOC_CLASSES


class Handed(NamedTuple):
    """A file or folder of predictions, and the words that say what it is for."""

    words: list[str]
    path: Path


Make = Callable[[Path], Handed]
LABELS, IMAGES = 19, 60
SHAPE = (256, 512)
LOSSLESS = {"optimize": True}


def label_images(suffix: str, turn: Callable[[np.ndarray], Any], *more: str, **saving: Any) -> Make:
    """Label maps, each turned into a picture."""

    def make(folder: Path) -> Handed:
        labels = [smooth(index, LABELS).argmax(2).astype(np.uint8) for index in range(2)]
        root = write_label_folder(folder / "set", labels, images=False)
        (root / "classes.txt").write_text("".join(f"c{index}\n" for index in range(LABELS)))
        (folder / "colors.txt").write_text("".join(f"{3 * k},{9 * k},{k},c{k}\n" for k in range(LABELS)))
        (folder / "values.txt").write_text("".join(f"{7 * k % 31 + 1},c{k}\n" for k in range(LABELS)))
        (folder / "out").mkdir()
        for index, label in enumerate(labels):
            turn(np.roll(label, 8, 1)).save(folder / f"out/{index}{suffix}", **saving)
        words = ["task=segmentation", "data=label-folder", f"data.root={root}"]
        return Handed([*words, *(word.format(folder) for word in more)], folder / "out")

    return make


def label_arrays(write: Callable[[Path, np.ndarray], object]) -> Make:
    """Label maps, each written as an array."""

    class Writer(NamedTuple):
        label: np.ndarray

        def save(self, path: Path) -> None:
            write(path, self.label)

    return label_images(".npz" if write is np.savez_compressed else ".npy", Writer)


def smooth(seed: int, channels: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).random((12, 24, channels)).astype(np.float32)
    return cv2.resize(coarse, SHAPE[::-1], interpolation=cv2.INTER_CUBIC).reshape(*SHAPE, channels)


def palette_image(label: np.ndarray) -> Image.Image:
    image = Image.fromarray(label)
    image.putpalette(np.outer(np.arange(LABELS), (3, 9, 1)).astype(np.uint8).ravel().tolist())
    return image


def colors_image(label: np.ndarray) -> Image.Image:
    return Image.fromarray(np.outer(np.arange(LABELS), (3, 9, 1)).astype(np.uint8)[label])


def measured(field: str, suffix: str, write: Callable[[Path, np.ndarray], object], *more: str) -> Make:
    """Maps of disparity or depth, each written in a form."""

    def make(folder: Path) -> Handed:
        maps = [np.clip(smooth(index, 1)[..., 0] * 80 + 2, 0.5, 120) for index in range(2)]
        (folder / f"set/{field}").mkdir(parents=True)
        (folder / "out").mkdir()
        for index, values in enumerate(maps):
            cv2.imwrite(str(folder / f"set/{field}/{index}.png"), (values * 256).astype(np.uint16))
            write(folder / f"out/{index}{suffix}", values)
        data = {"disparity": "stereo-folder", "depth": "depth-folder"}[field]
        return Handed(["task=depth", f"data={data}", f"data.root={folder / 'set'}", *more], folder / "out")

    return make


def write_pfm(path: Path, values: np.ndarray) -> None:
    path.write_bytes(f"Pf\n{values.shape[1]} {values.shape[0]}\n-1.0\n".encode() + values[::-1].astype("<f4").tobytes())


def png(dtype: str, scale: int) -> Callable[[Path, np.ndarray], object]:
    return lambda path, values: cv2.imwrite(str(path), (values * scale).astype(dtype))


def npz(dtype: str, values_of: Callable[[np.ndarray], np.ndarray] = np.asarray) -> Callable[[Path, np.ndarray], object]:
    return lambda path, values: np.savez_compressed(path, values_of(values).astype(dtype))


def npy(dtype: str) -> Callable[[Path, np.ndarray], object]:
    return lambda path, values: np.save(path, values.astype(dtype))


def class_scores(write: Callable[[Path, np.ndarray, list[str]], Path], read_as: str = "probabilities") -> Make:
    """Scores of the 10 digits."""

    def make(folder: Path) -> Handed:
        words = ["task=digits", f"values={read_as}"]
        ids = test_ids(["task=digits"])
        rng = np.random.default_rng(0)
        return Handed(words, write(folder, rng.dirichlet(np.ones(10), len(ids)), ids))

    return make


def test_ids(words: list[str]) -> list[str]:
    config = plan(words, outside="x", reads=True).configs[0]
    return list(map(str, prepare(config, entries_of(config), fits=False, shown=False).test.ids))


test_ids.__test__ = False  # type: ignore[attr-defined]


def csv_scores(digits: int) -> Callable[[Path, np.ndarray, list[str]], Path]:
    def write(folder: Path, scores: np.ndarray, ids: list[str]) -> Path:
        rows = [
            f"{name},{','.join(f'{value:.{digits}g}' for value in row)}" for name, row in zip(ids, scores, strict=True)
        ]
        (folder / "p.csv").write_text("\n".join(["id,0,1,2,3,4,5,6,7,8,9", *rows, ""]))
        return folder / "p.csv"

    return write


def one_hot(folder: Path, scores: np.ndarray, ids: list[str]) -> Path:
    return csv_scores(1)(folder, np.eye(10)[scores.argmax(1)], ids)


def npz_scores(dtype: str, save: Callable[..., object]) -> Callable[[Path, np.ndarray, list[str]], Path]:
    def write(folder: Path, scores: np.ndarray, ids: list[str]) -> Path:
        save(folder / "p.npz", probabilities=scores.astype(dtype), ids=np.array(ids))
        return folder / "p.npz"

    return write


def class_labels(folder: Path) -> Handed:
    ids = test_ids(["task=digits"])
    rows = [f"{name},{index * 7 % 10}" for index, name in enumerate(ids)]
    (folder / "p.csv").write_text("\n".join(["id,label", *rows, ""]))
    return Handed(["task=digits"], folder / "p.csv")


def faces(folder: Path) -> list[str]:
    return ["task=face-pairs", f"data.root={write_faces(folder / 'faces', count=40)}"]


def embeddings(dtype: str, save: Callable[..., object]) -> Make:
    def make(folder: Path) -> Handed:
        words = faces(folder)
        ids = test_ids(words)
        values = np.random.default_rng(0).normal(size=(len(ids), 64)).astype(dtype)
        save(folder / "e.npz", embedding=values, ids=np.array(ids))
        return Handed(words, folder / "e.npz")

    return make


def values_of_pairs(folder: Path) -> Handed:
    words = faces(folder)
    count = len(test_ids(words))
    values = np.random.default_rng(0).random(count * (count - 1) // 2)
    (folder / "v.csv").write_text("".join(f"{value:.4f}\n" for value in values))
    return Handed([*words, "value=distance"], folder / "v.csv")


def boxes(write: Callable[[Path, list[tuple[int, int, np.ndarray, float]]], Path]) -> Make:
    """Boxes of the classes of VOC: (image, class, corners, score)."""

    def make(folder: Path) -> Handed:
        rng = np.random.default_rng(0)
        root = voc_folder(folder, {f"{k:06d}": annotation([("dog", (5, 5, 24, 24), "0")]) for k in range(IMAGES)})
        corners = np.sort(rng.random((40 * IMAGES, 2, 2)) * (60, 50), axis=1).reshape(-1, 4).round(2)
        found = [(k % IMAGES, k % 20, box, round(rng.random(), 6)) for k, box in enumerate(corners)]
        return Handed(["task=voc2012", f"data.root={root}", "data.split=test"], write(folder / "results", found))

    return make


def voc_text(folder: Path, found: list[tuple[int, int, np.ndarray, float]]) -> Path:
    folder.mkdir()
    for place, name in enumerate(VOC_CLASSES):
        lines = [f"{k:06d} {s} {' '.join(map(str, box))}\n" for k, label, box, s in found if label == place]
        (folder / f"comp4_det_test_{name}.txt").write_text("".join(lines))
    return folder


def yolo_text(folder: Path, found: list[tuple[int, int, np.ndarray, float]]) -> Path:
    folder.mkdir()
    for image in range(IMAGES):
        lines = []
        for k, label, (x1, y1, x2, y2), s in found:
            if k == image:
                numbers = ((x1 + x2) / 120, (y1 + y2) / 100, (x2 - x1) / 60, (y2 - y1) / 50, s)
                lines.append(f"{label} {' '.join(f'{number:.6g}' for number in numbers)}\n")
        (folder / f"{image:06d}.txt").write_text("".join(lines))
    return folder


def coco_json(pack: Callable[[bytes], bytes], suffix: str) -> Callable[..., Path]:
    def write(folder: Path, found: list[tuple[int, int, np.ndarray, float]]) -> Path:
        records = [
            {"image_id": f"{k:06d}", "category_id": label + 1, "bbox": [x1, y1, x2 - x1, y2 - y1], "score": s}
            for k, label, (x1, y1, x2, y2), s in found
        ]
        text = json.dumps(records, separators=(",", ":")).encode()
        path = folder.with_suffix(suffix)
        path.write_bytes(pack(text))
        return path

    return write


CASES: dict[str, Make] = {
    "label png": label_images(".png", Image.fromarray),
    "label png of 16 bits": label_images(".png", lambda label: Image.fromarray(label.astype(np.uint16)), **LOSSLESS),
    "label png of colours": label_images(".png", colors_image, "prediction_map={}/colors.txt", **LOSSLESS),
    "label png with a palette": label_images(".png", palette_image, "prediction_map={}/colors.txt", **LOSSLESS),
    "label png with other values": label_images(
        ".png",
        lambda label: Image.fromarray((7 * label % 31 + 1).astype(np.uint8)),
        "prediction_map={}/values.txt",
        **LOSSLESS,
    ),
    "label tiff": label_images(".tif", Image.fromarray, compression="tiff_adobe_deflate"),
    "label gif": label_images(".gif", Image.fromarray),
    "label bmp": label_images(".bmp", Image.fromarray),
    "label npy": label_arrays(np.save),
    "label npz": label_arrays(np.savez_compressed),
    "disparity png": measured("disparity", ".png", png("uint16", 256)),
    "disparity png in sixteenths": measured("disparity", ".png", png("uint16", 16), "scale=16"),
    "disparity png in pixels": measured("disparity", ".png", png("uint16", 1), "scale=1"),
    "disparity png of 8 bits": measured("disparity", ".png", png("uint8", 2), "scale=2"),
    "disparity png beyond 255 px": measured("disparity", ".png", png("uint16", 32), "scale=4"),
    "disparity pfm": measured("disparity", ".pfm", write_pfm),
    "disparity npy": measured("disparity", ".npy", npy("f2")),
    "disparity npz": measured("disparity", ".npz", npz("f4")),
    "disparity npz of whole pixels": measured("disparity", ".npz", npz("f4", np.rint)),
    "depth png": measured("depth", ".png", png("uint16", 256)),
    "depth png in millimetres": measured("depth", ".png", png("uint16", 500), "scale=500"),
    "depth png in metres": measured("depth", ".png", png("uint16", 1), "scale=1"),
    "depth png of 8 bits": measured("depth", ".png", png("uint8", 2), "scale=2"),
    "depth pfm": measured("depth", ".pfm", write_pfm),
    "depth npy": measured("depth", ".npy", npy("f4")),
    "depth npy of half floats": measured("depth", ".npy", npy("f2")),
    "depth npz": measured("depth", ".npz", npz("f4")),
    "depth npz of doubles": measured("depth", ".npz", npz("f8")),
    "depth npz of half floats": measured("depth", ".npz", npz("f2")),
    "depth npz of whole metres": measured("depth", ".npz", npz("f4", np.rint)),
    "scores csv": class_scores(csv_scores(6)),
    "scores csv of two digits": class_scores(csv_scores(2), "logits"),
    "scores csv of zeros and ones": class_scores(one_hot),
    "scores npz": class_scores(npz_scores("f4", np.savez)),
    "scores npz, compressed": class_scores(npz_scores("f4", np.savez_compressed)),
    "scores npz of doubles": class_scores(npz_scores("f8", np.savez_compressed)),
    "labels csv": class_labels,
    "embeddings npz": embeddings("f4", np.savez),
    "embeddings npz, compressed": embeddings("f4", np.savez_compressed),
    "embeddings npz of half floats": embeddings("f2", np.savez_compressed),
    "values of pairs csv": values_of_pairs,
    "boxes as voc text": boxes(voc_text),
    "boxes as yolo text": boxes(yolo_text),
    "boxes as json": boxes(coco_json(bytes, ".json")),
    "boxes as json, gzip": boxes(coco_json(gzip.compress, ".json.gz")),
}


def values(column: Any) -> list[Any]:
    """Return the values of a column of any kind, as arrays where it has arrays."""
    if isinstance(column, LazyColumn | list | np.ndarray):
        return list(column)
    return [getattr(column, "values", column)]


@pytest.mark.parametrize("name", CASES)
def test_what_is_stored_is_hardly_larger_than_what_was_handed_in_and_reads_back_as_it(
    name: str, tmp_path: Path
) -> None:
    words, path = CASES[name](tmp_path)
    config = plan(words, outside="x", reads=True).configs[0]
    prepared = prepare(config, entries_of(config), fits=False, shown=False)
    task, test, problem = prepared.resolved.task, prepared.test, prepared.data.problem
    given = task.read_external(path, test, problem, config.reading).predictions
    (tmp_path / "record").mkdir()

    saved = kept_small(task, task.save(given, test.ids, tmp_path / "record"), path)

    assert [one.name for one in (tmp_path / "record").iterdir()] == [saved.name]
    assert saved.stat().st_size <= LARGER * size_of(path)
    stored = task.load(saved, test.ids, problem)
    assert set(stored) == set(given)
    for field in given:
        for one, other in zip(values(stored[field]), values(given[field]), strict=True):
            assert np.asarray(one).dtype == np.asarray(other).dtype
            assert np.array_equal(one, other)


def test_a_record_of_compressed_predictions_is_verified(tmp_path: Path) -> None:
    words, path = CASES["boxes as voc text"](tmp_path)
    out = tmp_path / "runs"
    assert CliRunner().invoke(score, [*words, f"predictions={path}", "as=mine", f"out={out}"]).exit_code == 0

    verified = CliRunner().invoke(leaderboard, ["verify", f"runs={out}", words[1]])

    assert [one.name for one in out.glob("*/predictions*")] == ["predictions.json.gz"]
    assert verified.exit_code == 0
    assert "1 runs recomputed bit for bit" in verified.output


def test_the_same_file_is_compressed_to_the_same_bytes(tmp_path: Path) -> None:
    contents = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        words, path = CASES["depth npz of half floats"](tmp_path / name)
        config = plan(words, outside="x", reads=True).configs[0]
        prepared = prepare(config, entries_of(config), fits=False, shown=False)
        task, test = prepared.resolved.task, prepared.test
        given = task.read_external(path, test, prepared.data.problem, config.reading).predictions
        contents.append(kept_small(task, task.save(given, test.ids, tmp_path / name), path).read_bytes())

    assert contents[0] == contents[1]
    with zipfile.ZipFile(tmp_path / "one/predictions.npz") as archive:
        assert archive.testzip() is None
