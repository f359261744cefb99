"""`mlcvbench score` from files to the stored record, beside a plain numpy script, each in a process of its own.

Goals: of 500,000 samples with 256 classes, intervals take no longer than all else and memory is at most 1.5 times the
file; all pairs of 3,000 embeddings take 3 s, their intervals included. `seconds` are those of a quiet machine only.
"""

from __future__ import annotations

import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from support.faces import write_faces

SAMPLES, CLASSES = 500_000, 256
OURS = """
import sys
from mlcvbench.cli import main
from mlcvbench.processes.usage import high_water
code = main(sys.argv[1:])
print(high_water() or 0, file=sys.stderr)
sys.exit(code)
"""
SCRIPT = """
import sys
import numpy as np
scores, label = np.load(sys.argv[1])["scores"], np.load(sys.argv[2])
top1 = (scores.argmax(axis=1) == label).mean()
shifted = scores - scores.max(axis=1, keepdims=True)
nll = (np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(label)), label]).mean()
print(top1, nll)
"""
ALL_PAIRS = """
import sys
import numpy as np
unit = np.load(sys.argv[1])["embedding"]
unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
one, other = np.triu_indices(len(unit), 1)
similarity, same = (unit @ unit.T)[one, other], one // 10 == other // 10
genuine, impostor = np.sort(similarity[same]), np.sort(similarity[~same])
print(np.searchsorted(impostor, genuine).mean() / len(impostor))
"""


class Spent(NamedTuple):
    seconds: float
    bytes: int


def spent(code: str, *words: object) -> Spent:
    """Return the time of a process, and the most memory it held as it says at last."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, check=True)
    said = done.stderr.split()
    return Spent(time.perf_counter() - start, int(said[-1]) if said else 0)


def write_idx(path: Path, array: np.ndarray) -> None:
    path.write_bytes(struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes())


@pytest.mark.slow
def test_logits_of_500000_samples(benchmark, tmp_path):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, SAMPLES).astype(np.uint8)
    for name, label in (("train", np.arange(CLASSES, dtype=np.uint8)), ("t10k", labels)):
        write_idx(tmp_path / f"{name}-labels-idx1-ubyte", label)
        write_idx(tmp_path / f"{name}-images-idx3-ubyte", rng.integers(0, 255, (len(label), 2, 2)).astype(np.uint8))
    logits = rng.standard_normal((SAMPLES, CLASSES), dtype=np.float32)
    logits[np.arange(SAMPLES), labels] += rng.normal(3.2, 1.5, SAMPLES).astype(np.float32)
    np.savez(tmp_path / "logits.npz", scores=logits)
    np.save(tmp_path / "label.npy", labels)
    size = logits.nbytes
    del logits
    words = ["score", "task=classification", "data=idx", f"data.root={tmp_path}", f"data.classes={CLASSES}", "as=net"]
    words += [f"predictions={tmp_path / 'logits.npz'}", f"out={tmp_path / 'runs'}"]

    benchmark.pedantic(spent, args=(OURS, *words, "intervals=off"), rounds=1, warmup_rounds=1)  # fills the cache first
    whole, without = spent(OURS, *words), spent(OURS, *words, "intervals=off")
    script = spent(SCRIPT, tmp_path / "logits.npz", tmp_path / "label.npy")
    benchmark.extra_info["times_the_script"] = round(whole.seconds / script.seconds, 2)
    benchmark.extra_info["times_the_script_without_intervals"] = round(without.seconds / script.seconds, 2)
    benchmark.extra_info["intervals_of_all_else"] = round(whole.seconds / without.seconds - 1, 2)
    benchmark.extra_info["memory_of_file"] = round(whole.bytes / size, 2)


@pytest.mark.slow
def test_all_pairs_of_3000_embeddings(benchmark, tmp_path):
    write_faces(tmp_path / "faces", count=300, each=10, suffix="{number}.png")
    ids = np.array([f"person{person}/{number}" for person in range(300) for number in range(1, 11)])
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((300, 512)).repeat(10, axis=0)
    embedding = (centres + 1.6 * rng.standard_normal((3_000, 512))).astype(np.float32)
    np.savez(tmp_path / "net.npz", ids=ids, embedding=embedding)
    definition = tmp_path / "pairs.yaml"
    definition.write_text(
        "name: pairs\nkind: verification\nsummary: all pairs\nprotocol: pairs/cosine@1\nmetrics: [auc]\n"
        "data: {name: face-folder, root: faces}\n"
    )
    words = ["score", f"task={definition}", f"predictions={tmp_path / 'net.npz'}", "as=net", f"out={tmp_path / 'runs'}"]

    benchmark.pedantic(spent, args=(OURS, *words, "intervals=off"), rounds=3, warmup_rounds=1)
    whole, without = spent(OURS, *words), spent(OURS, *words, "intervals=off")
    script = spent(ALL_PAIRS, tmp_path / "net.npz")
    benchmark.extra_info["times_the_script"] = round(whole.seconds / script.seconds, 2)
    benchmark.extra_info["times_the_script_without_intervals"] = round(without.seconds / script.seconds, 2)
    benchmark.extra_info["intervals_of_all_else"] = round(whole.seconds / without.seconds - 1, 2)
    benchmark.extra_info["seconds"] = round(whole.seconds, 2)
    benchmark.extra_info["seconds_without_intervals"] = round(without.seconds, 2)
