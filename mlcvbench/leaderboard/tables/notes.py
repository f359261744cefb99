"""Notes below a board: flags and notices, each sentence once, with the rows it concerns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlcvbench.leaderboard.standing.rows import BoardRow


@dataclass(frozen=True, slots=True)
class Notes:
    """`numbered`: the sentences in the order of the rows, number 1 first; `shared`: those that hold for every row.

    `marks`: the numbers that a row is marked with, by its key.
    """

    shared: tuple[str, ...]
    numbered: tuple[str, ...]
    marks: dict[str, tuple[int, ...]]

    def mark(self, row: BoardRow, sign: str) -> str:
        """Return the mark after a row's name, such as `!1,3`; empty where no note concerns it in particular."""
        numbers = self.marks.get(row.key, ())
        return f"{sign}{','.join(map(str, numbers))}" if numbers else ""

    def lines(self, sign: str) -> list[str]:
        """Return one line per sentence, as printed below a table."""
        return [
            *(f"All rows: {text}" for text in self.shared),
            *(f"{sign}{number} {text}" for number, text in enumerate(self.numbered, start=1)),
        ]


def notes_of(rows: Sequence[BoardRow]) -> Notes:
    """Return the notes of some rows; a note that holds for all of several rows marks none of them."""
    texts = [said_of(row) for row in rows]
    every = [text for text in texts[0] if len(rows) > 1 and all(text in own for own in texts)] if texts else []
    numbers: dict[str, int] = {}
    marks = {}
    for row, own in zip(rows, texts, strict=True):
        alone = [text for text in own if text not in every]
        marks[row.key] = tuple(sorted(numbers.setdefault(text, len(numbers) + 1) for text in alone))
    return Notes(tuple(every), tuple(numbers), marks)


def said_of(row: BoardRow) -> list[str]:
    """Return every sentence about a row, without repetition."""
    return list(dict.fromkeys([*row.flags, *(notice.text for notice in row.notices)]))
