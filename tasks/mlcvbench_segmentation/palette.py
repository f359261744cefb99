"""The colours of classes in all pictures of the task."""

from __future__ import annotations

import colorsys

import numpy as np

from mlcvbench.contract import Array

IGNORED_COLOR = (224, 224, 224)


def class_colors(classes: int) -> Array:
    """Return uint8 (C, 3): distinct colours by the golden angle of hue, three levels of lightness, first one dark."""
    index = np.arange(classes)
    hue = (index * 0.381966) % 1.0
    saturation = np.where(index % 2 == 0, 0.85, 0.6)
    value = np.choose(index % 3, [0.9, 0.7, 1.0])
    shades = [colorsys.hsv_to_rgb(*one) for one in np.stack([hue, saturation, value], axis=1).tolist()]
    colors: Array = np.round(np.array(shades) * 255).astype(np.uint8)
    colors[0] = (55, 65, 81)
    return colors


def label_colors(label_map: Array, classes: int) -> Array:
    """Return a label map (H, W) as uint8 (H, W, 3); unscored pixels are pale grey."""
    palette = np.concatenate([class_colors(classes), np.array([IGNORED_COLOR], dtype=np.uint8)])
    colors: Array = palette[np.minimum(label_map, classes)]
    return colors
