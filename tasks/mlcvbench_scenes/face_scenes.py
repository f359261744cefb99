"""People's heads pasted into rendered scenes: pictures in which faces of many sizes are to be found.

    settings = FaceSettings.of(params, data_seed)     # params: level, size, sides, most, train ...
    frames = face_frames(settings, "train")           # FaceFrames: images and the box of every head

A head is drawn as `faces` draws it, upright and looking ahead up to what `level` allows, and put somewhere into a scene
of solids. No person is in two pictures, no scene in two splits.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlcvbench.errors import RequestError
from mlcvbench_scenes.cached import Arrays, kept
from mlcvbench_scenes.compose import compose
from mlcvbench_scenes.dataset import BLOCK, FIRST_NUMBER
from mlcvbench_scenes.faces import draw_identity, draw_shot, render_head
from mlcvbench_scenes.hashing import Draws
from mlcvbench_scenes.render import render

HEAD = 0.62
"""About the height of a head in its picture, a part of the side of that."""
TRIES = 12
"""Places that are tried for a head before it is left out."""
MOST_FACES = 20


@dataclasses.dataclass(frozen=True)
class FaceSettings:
    """Which pictures: `level` of difficulty, `size` (height, width) in pixels, pictures per split, and the seed.

    `sides`: heights of the least and the greatest head, pixels; `most`: heads of a picture, from none.
    """

    level: str
    size: tuple[int, int]
    sides: tuple[int, int]
    most: int
    counts: Mapping[str, int]
    seed: int

    @classmethod
    def of(cls, params: Mapping[str, Any], data_seed: int) -> FaceSettings:
        """Read a data set's parameters; RequestError for heads that no picture holds."""
        height, width = (int(side) for side in params["size"])
        low, high = (int(side) for side in params["sides"])
        if not low <= high <= min(height, width):
            raise RequestError(
                f"data.sides=[{low},{high}]: wanted the least height first, and none above {min(height, width)} pixels."
            )
        counts = {name: int(params[name]) for name in FIRST_NUMBER}
        return cls(str(params["level"]), (height, width), (low, high), int(params["most"]), counts, int(data_seed))

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that hold at least one picture."""
        return tuple(name for name, count in self.counts.items() if count)

    def drawn(self) -> dict[str, Any]:
        """Return what a picture of a given number depends on, as values that JSON can write."""
        return {
            "level": self.level,
            "size": list(self.size),
            "sides": list(self.sides),
            "most": self.most,
            "seed": self.seed,
        }


@dataclasses.dataclass(frozen=True)
class FaceFrames:
    """N pictures: `ids` unicode (N,), `image` uint8 (N, H, W, 3), and the heads of all, one picture after the other.

    `box` int64 (n, 4): x1 y1 x2 y2 in pixels, the tight bounds of a head; `area` int64 (n,): its pixels; `count` int64
    (N,): heads of each picture.
    """

    ids: NDArray[np.str_]
    image: NDArray[np.uint8]
    box: NDArray[np.int64]
    area: NDArray[np.int64]
    count: NDArray[np.int64]


def face_frames(settings: FaceSettings, split: str) -> FaceFrames:
    """Return the pictures of a split, drawn when the cache has none."""
    blocks = []
    for first in range(0, settings.counts[split], BLOCK):
        places = range(first, min(first + BLOCK, settings.counts[split]))
        numbers = [FIRST_NUMBER[split] + place for place in places]
        params = {**settings.drawn(), "numbers": [numbers[0], numbers[-1] + 1]}
        blocks.append(kept("face-frames", params, lambda own=numbers: _draw(settings, own)))  # type: ignore[misc]
    ids = np.array([f"{split}-{place:05d}" for place in range(settings.counts[split])])
    return FaceFrames(ids, **{name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]})


def _draw(settings: FaceSettings, numbers: list[int]) -> Arrays:
    drawn = [draw_picture(settings, number) for number in numbers]
    return {
        "image": np.stack([image for image, _, _ in drawn]),
        "box": np.concatenate([boxes for _, boxes, _ in drawn]),
        "area": np.concatenate([areas for _, _, areas in drawn]),
        "count": np.array([len(boxes) for _, boxes, _ in drawn]),
    }


def draw_picture(settings: FaceSettings, number: int) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Return a picture uint8 (H, W, 3), the boxes int64 (n, 4) of its heads and their pixels int64 (n,)."""
    image = render(compose(settings.seed, number, settings.level, size=settings.size)).image.astype(np.float32)
    draws = Draws("faces in scenes", settings.seed, number)
    boxes: list[tuple[int, int, int, int]] = []
    areas: list[int] = []
    for head in range(draws.integer(0, settings.most)):
        own = draws.child(head)
        low, high = settings.sides
        # a square of a uniform number: more small heads than large ones
        share = own.uniform()
        height = low + (high - low) * share * share
        person = number * MOST_FACES + head
        shot = dataclasses.replace(
            draw_shot(settings.seed, person, 0, settings.level), scale=HEAD / 0.85, shift=(0.0, 0.0)
        )
        picture, cover = render_head(draw_identity(settings.seed, person), shot, max(16, round(height / HEAD)))
        rows, columns = (np.flatnonzero(cover.max(axis=axis) > 0.5) for axis in (1, 0))
        seen = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        picture, cover = picture[seen], cover[seen]
        box = _place(own, settings.size, cover.shape, boxes)
        if box is None:
            continue
        x0, y0, x1, y1 = box
        image[y0:y1, x0:x1] += cover[..., None] * (picture - image[y0:y1, x0:x1])
        boxes.append(box)
        areas.append(int((cover > 0.5).sum()))
    rounded = np.floor(image + np.float32(0.5)).astype(np.uint8)
    return rounded, np.array(boxes, dtype=np.int64).reshape(-1, 4), np.array(areas, dtype=np.int64)


def _place(
    draws: Draws, size: tuple[int, int], head: tuple[int, ...], taken: list[tuple[int, int, int, int]]
) -> tuple[int, int, int, int] | None:
    """Return where a head of (height, width) pixels goes, beside those that are there; None without room for it."""
    height, width = head
    if height > size[0] or width > size[1]:
        return None
    for _ in range(TRIES):
        x, y = draws.integer(0, size[1] - width), draws.integer(0, size[0] - height)
        if all(x >= right or x + width <= left or y >= low or y + height <= top for left, top, right, low in taken):
            return x, y, x + width, y + height
    return None
