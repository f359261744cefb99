"""The canvas that all pictures share: white, in whole pixels, with everything placed by its corner.

There is no layout solver and no global state, so a picture takes hundredths of a second and equal results give equal
bytes. Vertical and horizontal edges lie on pixels; oblique ones are drawn larger and averaged down.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import IO, TYPE_CHECKING, Literal, NamedTuple, Self

from mlcvbench.figures.lettering import SMALL, font, plain

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.generic]

INK, MUTED, BLUE, RED, PALE, PAPER = "#1f2933", "#52606d", "#2166ac", "#b2182b", "#c8d6e5", "#ffffff"
DOTTED, DASHED, DASHDOT = (1.5, 2.5), (5.0, 3.0), (7.0, 3.0, 1.5, 3.0)
"""Alternating lengths of dashes and gaps, in pixels."""
DARK = 128 * 1000
"""Thousandths of luma below which a colour is dark."""
Dash = tuple[float, ...]
SMOOTH = 4
"""The factor by which oblique lines are drawn larger."""
COMPRESSION = 4
"""The zlib level: beyond it a picture takes longer to write than to draw, and shrinks by a few percent only."""
Anchor = Literal["lm", "mm", "rm", "la", "ma", "ra", "lb", "mb", "rb"]
"""Which point of a text lies at the given position: left, middle or right; above (its upper edge), middle or below."""


class Box(NamedTuple):
    """A part of a canvas; pixels `left` to `right` - 1 and `top` to `bottom` - 1."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def middle(self) -> tuple[float, float]:
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2


class Canvas:
    """A picture under construction, of `width` x `height` pixels."""

    def __init__(self, width: int, height: int) -> None:
        from PIL import Image, ImageDraw

        self.box = Box(0, 0, width, height)
        self._image = Image.new("RGB", (width, height), PAPER)
        self._pen = ImageDraw.Draw(self._image)

    @classmethod
    def over(cls, image: Array) -> Self:
        """Return a canvas that holds an image, uint8 (H, W, 3), and is as large."""
        canvas = cls(image.shape[1], image.shape[0])
        canvas.picture(image, 0, 0)
        return canvas

    @property
    def pixels(self) -> Array:
        """The pixels of the canvas, uint8 (H, W, 3)."""
        import numpy as np

        return np.asarray(self._image)

    def save(self, file: Path | IO[bytes]) -> None:
        """Write the picture as a PNG that holds neither dates nor versions."""
        self._image.save(file, format="PNG", compress_level=COMPRESSION)

    def fill(self, box: Box, color: str, alpha: float = 1.0) -> None:
        """Fill a part with a colour of opacity `alpha`; an empty part does nothing."""
        from PIL import Image

        if box.width <= 0 or box.height <= 0:
            return
        if alpha < 1:
            self._image.paste(color, box, Image.new("L", (box.width, box.height), round(255 * alpha)))
        else:
            self._image.paste(color, box)

    def frame(self, box: Box, color: str, thick: int = 1, dash: Dash = (), alpha: float = 1.0) -> None:
        """Draw the border of a part, inside it."""
        left, top, right, bottom = box
        for y in (top, bottom - thick):
            for start, end in strokes(left, right, dash):
                self.fill(Box(start, y, end, y + thick), color, alpha)
        for x in (left, right - thick):
            for start, end in strokes(top + thick, bottom - thick, dash):
                self.fill(Box(x, start, x + thick, end), color, alpha)

    def level(self, y: float, left: float, right: float, color: str, thick: int = 1, dash: Dash = ()) -> None:
        """Draw a horizontal line centred at `y`."""
        top = round(y - thick / 2)
        for start, end in strokes(round(left), round(right), dash):
            self.fill(Box(start, top, end, top + thick), color)

    def upright(
        self, x: float, top: float, bottom: float, color: str, thick: int = 1, dash: Dash = (), alpha: float = 1.0
    ) -> None:
        """Draw a vertical line centred at `x`."""
        left = round(x - thick / 2)
        for start, end in strokes(round(top), round(bottom), dash):
            self.fill(Box(left, start, left + thick, end), color, alpha)

    def curve(
        self, points: Array, color: str, within: Box, width: float = 2.0, dash: Dash = (), alpha: float = 1.0
    ) -> None:
        """Draw a line through points (N, 2), clipped to `within`."""
        self._smooth(_dashed(points, dash) if dash else [points], color, within, width, alpha, blunt=bool(dash))

    def dots(self, points: Array, color: str, within: Box, radius: float = 3.0) -> None:
        """Draw discs at points (N, 2), clipped to `within`."""
        self._smooth([points[place : place + 1] for place in range(len(points))], color, within, 2 * radius, 1.0)

    def cross(self, x: float, y: float, color: str, within: Box, reach: float = 5.0) -> None:
        """Draw an oblique cross with a border, white around a dark colour, clipped to `within`."""
        import numpy as np
        from PIL import ImageColor

        red, green, blue = ImageColor.getrgb(color)[:3]
        border = PAPER if 299 * red + 587 * green + 114 * blue < DARK else INK
        ways = [np.array([[x - reach, y - way], [x + reach, y + way]]) for way in (reach, -reach)]
        for shade, width in ((border, 4.5), (color, 2.0)):
            self._smooth(ways, shade, within, width, 1.0)

    def area(self, outline: Array, color: str, within: Box, alpha: float = 1.0) -> None:
        """Fill an outline (N, 2), clipped to `within`."""
        from PIL import Image, ImageDraw

        mask = Image.new("L", (within.width * SMOOTH, within.height * SMOOTH))
        places = (outline.astype(float) - within[:2]) * SMOOTH
        ImageDraw.Draw(mask).polygon(places.ravel().tolist(), fill=round(255 * alpha))
        self._image.paste(color, within[:2], mask.reduce(SMOOTH))

    def _smooth(
        self, pieces: Iterable[Array], color: str, within: Box, width: float, alpha: float, *, blunt: bool = False
    ) -> None:
        """Draw lines with round joints and, unless `blunt`, round ends; a single point is a disc."""
        import numpy as np
        from PIL import Image, ImageDraw

        placed = [np.round((piece.astype(float) - within[:2]) * SMOOTH) for piece in pieces if len(piece)]
        if not placed:
            return
        mask = Image.new("L", (within.width * SMOOTH, within.height * SMOOTH))
        pen, radius = ImageDraw.Draw(mask), max(0, round((width * SMOOTH - 1) / 2))
        thick = 2 * radius + 1  # the size Pillow gives a disc of this radius, so that no joint stands out
        level = round(255 * alpha)
        for places in placed:
            moved = np.ones(len(places), dtype=np.bool_)
            moved[1:] = (places[1:] != places[:-1]).any(axis=1)
            corners = places[moved].tolist()
            pen.line([tuple(corner) for corner in corners], fill=level, width=thick)
            for x, y in corners[1:-1] if blunt else corners:
                pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=level)
        self._image.paste(color, within[:2], mask.reduce(SMOOTH))

    def text(self, x: float, y: float, text: str, size: int = SMALL, color: str = INK, anchor: Anchor = "lm") -> None:
        """Write a text on one line."""
        across, along = anchor
        self._pen.text((round(x), round(y)), plain(text), fill=color, font=font(size), anchor=across + _LINES[along])

    def text_upwards(
        self, x: float, y: float, text: str, size: int = SMALL, color: str = INK, end: bool = False
    ) -> None:
        """Write a text rotated upwards, centred at a position or ending there."""
        from PIL import Image, ImageDraw

        letters = font(size)
        above, below = letters.getmetrics()
        mask = Image.new("L", (round(letters.getlength(plain(text))) + 2, above + below))
        ImageDraw.Draw(mask).text((1, 0), plain(text), fill=255, font=letters)
        turned = mask.transpose(Image.Transpose.ROTATE_90)
        top = y if end else y - turned.height / 2
        self._image.paste(color, (round(x - turned.width / 2), round(top)), turned)

    def picture(self, image: Array, left: int, top: int) -> None:
        """Paste an image, uint8 (H, W) or (H, W, 3), on the canvas, unscaled."""
        from PIL import Image

        self._image.paste(Image.fromarray(image), (left, top))


_LINES = {"a": "a", "m": "m", "b": "d"}


def strokes(start: int, end: int, dash: Dash) -> Sequence[tuple[int, int]]:
    """Return the parts of a straight line that are drawn.

    >>> strokes(0, 10, (4, 3))
    [(0, 4), (7, 10)]
    """
    if not dash:
        return [(start, end)]
    found, place, turn = [], float(start), 0
    while place < end:
        length = dash[turn % len(dash)]
        if turn % 2 == 0:
            found.append((round(place), min(end, max(round(place) + 1, round(place + length)))))
        place, turn = place + length, turn + 1
    return found


def _dashed(points: Array, dash: Dash) -> list[Array]:
    """Return the pieces of a line through points (N, 2) that are drawn."""
    import numpy as np

    line = points.astype(np.float64)
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    ends = np.cumsum(np.tile(dash, int(along[-1] // sum(dash)) + 1))
    begins = np.concatenate([[0.0], ends[:-1]])
    pieces = []
    for begin, end in zip(begins[::2].tolist(), ends[::2].tolist(), strict=True):
        if begin >= along[-1]:
            break
        inside = along[(along > begin) & (along < end)]
        at = np.concatenate([[begin], inside, [min(end, along[-1])]])
        pieces.append(np.stack([np.interp(at, along, line[:, axis]) for axis in (0, 1)], axis=1))
    return pieces
