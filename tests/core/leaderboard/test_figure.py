"""The scatter as a picture: where points lie, what is written, and that it is one document whatever names hold."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from support.records import make_record, write_runs

from mlcvbench.leaderboard.build import read_boards
from mlcvbench.leaderboard.site.figure import ACCENT, CLOUD, HEIGHT, WIDTH, scatter_svg


def svg_of(folder: Path, *records: object) -> str:
    (board,), _ = read_boards(write_runs(folder, list(records)))
    text = scatter_svg(board)
    assert text is not None
    return text


def diamonds(text: str) -> list[tuple[float, float]]:
    """Return the upper corners of the front's points, in order of their times."""
    found = re.findall(rf'<path d="M([\d.]+) ([\d.]+)l4 4[^"]*" fill="{ACCENT}"', text)
    return [(float(x), float(y)) for x, y in found]


def test_faster_is_farther_left_and_better_higher(tmp_path: Path) -> None:
    text = svg_of(tmp_path, make_record("slow", 0.95, p50=1e-2), make_record("fast", 0.5, p50=1e-4))

    (fast_x, fast_y), (slow_x, slow_y) = diamonds(text)
    assert fast_x < slow_x
    assert slow_y < fast_y


def test_everything_lies_inside_the_picture(tmp_path: Path) -> None:
    text = svg_of(tmp_path, *(make_record(f"m{n}", 0.5 + 0.1 * n, p50=10.0 ** (n - 4)) for n in range(5)))

    places = re.findall(r'<text x="([-\d.]+)" y="([-\d.]+)"', text)
    assert all(0 <= float(x) <= WIDTH and 0 <= float(y) <= HEIGHT for x, y in places)
    assert all(0 < x < WIDTH and 0 < y < HEIGHT for x, y in diamonds(text))


def test_points_behind_the_front_are_grey_dots(tmp_path: Path) -> None:
    text = svg_of(tmp_path, make_record("front", 0.95, p50=1e-4), make_record("behind", 0.4, p50=2e-3))

    assert len(diamonds(text)) == 1
    assert len(re.findall(f'<circle [^>]*fill="{CLOUD}"', text)) == 1


def test_one_row_alone_is_drawn(tmp_path: Path) -> None:
    assert len(diamonds(svg_of(tmp_path, make_record("only", 1.0, p50=1e-3)))) == 1


def test_equal_boards_give_equal_documents_that_can_be_read(tmp_path: Path) -> None:
    records = [make_record("knn", 0.95), make_record("majority", 0.5, p50=1e-4)]

    texts = [svg_of(tmp_path / name, *records) for name in ("a", "b")]

    assert texts[0] == texts[1]
    assert ET.fromstring(texts[0]).tag == "{http://www.w3.org/2000/svg}svg"


@pytest.mark.parametrize("module", ["matplotlib", "PIL"])
def test_the_picture_needs_no_drawing_program(module: str) -> None:
    code = f"import sys, mlcvbench.leaderboard.site.figure; print({module!r} in sys.modules)"

    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "False\n"
