"""The boards in git: what their records give, each with the picture it shows."""

from __future__ import annotations

import re

from support.paths import ROOT

from mlcvbench.leaderboard.build import picture_in, read_boards
from mlcvbench.leaderboard.tables.export import to_markdown

PUBLISHED = ROOT / "leaderboards"


def test_the_published_boards_are_those_their_records_give() -> None:
    boards, problems = read_boards(PUBLISHED / "records")

    assert problems == []
    given = {f"{board.slug}.md": to_markdown(board, picture_in(PUBLISHED, board)) for board in boards}
    assert given == {path.name: path.read_text() for path in PUBLISHED.glob("*.md")}


def test_every_published_picture_that_a_board_shows_is_there() -> None:
    shown = {link for path in PUBLISHED.glob("*.md") for link in re.findall(r"!\[[^]]*\]\(([^)]+)\)", path.read_text())}

    assert shown == {path.name for path in PUBLISHED.glob("*.svg")}
