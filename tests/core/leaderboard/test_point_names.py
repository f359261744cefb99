"""Names beside points: inside the picture, over no other name and no point of the front, and short."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from support.records import make_record, write_runs

from mlcvbench.leaderboard.build import read_boards
from mlcvbench.leaderboard.site.figure import scatter_svg
from mlcvbench.leaderboard.site.point_names import LONGEST, RADIUS, place_names, short_names
from mlcvbench.leaderboard.standing.boards import boards_of

BOX = (0.0, 0.0, 500.0, 200.0)
POINT = st.tuples(st.floats(5, 495), st.floats(5, 195))


def overlap(a, b):
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


@given(st.lists(POINT, max_size=12), st.lists(POINT, max_size=40), st.integers(1, 60))
def test_names_cover_nothing_and_stay_inside(points, others, letters):
    names = ["x" * letters] * len(points)

    found = place_names(names, points, others, BOX, 8)

    assert len(found) <= 8
    for name in found:
        assert BOX[0] <= name.area[0] < name.area[2] <= BOX[2]
        assert BOX[1] <= name.area[1] < name.area[3] <= BOX[3]
        assert len(name.text) <= LONGEST[0]
        for other in found:
            assert other is name or not overlap(name.area, other.area)
        for index, (x, y) in enumerate(points):
            around = (x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS)
            assert index == name.index or not overlap(name.area, around)


def test_a_lonely_point_has_its_name_right_above():
    (name,) = place_names(["knn"], [(100.0, 100.0)], [], BOX, 8)

    assert (name.text, name.side) == ("knn", "left")
    assert name.shift[0] > 0
    assert name.shift[1] > 0


def test_at_the_right_edge_a_name_stands_left_of_its_point():
    (name,) = place_names(["knn"], [(495.0, 100.0)], [], BOX, 8)

    assert name.side == "right"


def test_the_best_and_the_cheapest_come_first():
    points = [(50.0 * place, 10.0 * place) for place in range(1, 7)]

    found = place_names(list("abcdef"), points, [], BOX, 3)

    assert [name.text for name in found] == ["f", "a", "e"]


def rows_of(*records):
    (board,) = boards_of([(record, Path("nowhere")) for record in records])
    return sorted(board.rows, key=lambda row: row.costs["p50"].value)


def test_names_say_only_what_tells_the_points_apart():
    def net(place, **fit):
        config = {"given": [f"fit.{name}" for name in fit], "fit": {"lr": 0.1, "l1": 0.0, "flip": 0.0} | fit}
        return make_record("net", params={"p": place}, config=config, p50=1e-3 * (1 + place))

    one_model = rows_of(net(0, lr=0.3), net(1, l1=0.5), net(2, flip=0.5))
    several = rows_of(make_record("knn", p50=1e-4), net(1, l1=0.5), net(2, flip=0.5, lr=0.3))

    assert short_names(one_model) == ["lr=0.3", "l1=0.5", "flip=0.5"]
    assert short_names(several) == ["knn", "net l1=0.5", "net flip=0.5, lr=0.3"]


def test_the_picture_names_points_of_the_front_only(tmp_path):
    runs = write_runs(
        tmp_path,
        [make_record("front", 0.95), make_record("cheap", 0.5, p50=1e-4), make_record("behind", 0.4, p50=2e-3)],
    )
    (board,), _ = read_boards(runs)

    text = scatter_svg(board)

    assert set(re.findall(r">(front|cheap|behind)<", text)) == {"front", "cheap"}
