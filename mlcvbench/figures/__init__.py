"""Pictures: one canvas, one style, and the parts that most pictures share.

A picture is a `Canvas` of whole pixels; `Chart` draws between two scales on it, `bars` makes a complete picture. Only
numpy and Pillow are loaded, and only to draw. Equal results give equal bytes.
"""

from mlcvbench.figures.bars import bars
from mlcvbench.figures.canvas import BLUE, DASHDOT, DASHED, DOTTED, INK, MUTED, PALE, RED, Box, Canvas, Dash
from mlcvbench.figures.chart import Axis, Chart
from mlcvbench.figures.color_bar import Colors, draw_color_bar
from mlcvbench.figures.keys import Key, column_width, draw_below, draw_column, rows_height, rows_of
from mlcvbench.figures.lettering import (
    SMALL,
    TEXT,
    TINY,
    TITLE,
    fitting,
    font,
    line_height,
    plain,
    short_name,
    text_width,
    widest,
)
from mlcvbench.figures.matrix import draw_matrix
from mlcvbench.figures.palettes import palette, shaded
from mlcvbench.figures.panels import averaged, colored, enlarged, enlargement, fitted, reduced, thinning
from mlcvbench.figures.scales import Scale, Tick
from mlcvbench.figures.tiles import Tile, draw_tiles

__all__ = [
    "BLUE",
    "DASHDOT",
    "DASHED",
    "DOTTED",
    "INK",
    "MUTED",
    "PALE",
    "RED",
    "SMALL",
    "TEXT",
    "TINY",
    "TITLE",
    "Axis",
    "Box",
    "Canvas",
    "Chart",
    "Colors",
    "Dash",
    "Key",
    "Scale",
    "Tick",
    "Tile",
    "averaged",
    "bars",
    "colored",
    "column_width",
    "draw_below",
    "draw_color_bar",
    "draw_column",
    "draw_matrix",
    "draw_tiles",
    "enlarged",
    "enlargement",
    "fitted",
    "fitting",
    "font",
    "line_height",
    "palette",
    "plain",
    "reduced",
    "rows_height",
    "rows_of",
    "shaded",
    "short_name",
    "text_width",
    "thinning",
    "widest",
]
