"""How the methods are trained when nothing is said. Imports nothing heavy, because specs read it."""

from __future__ import annotations

from dataclasses import replace

from mlcvbench_training.settings import NetworkSettings

FIT = NetworkSettings(lr=0.004, batch=8, epochs=30, clip=10.0, flip=0.5, scale=(0.8, 1.25), shift=0.1, colour=0.2)
"""240 images of 128 pixels in less than 300 s on two quiet cores."""
ONE_MAP_BACKBONE = "medium"
"""One map has to be fine, since RoIPool rounds to its cells, and then few layers lie below it."""
MASK_FIT = replace(FIT, epochs=20)
"""With masks a step costs half as much again."""
RCNN_FIT = NetworkSettings(lr=0.004, batch=8, epochs=16, clip=10.0, flip=0.5, colour=0.2)
"""Of an image 32 regions a step; what is fitted on its features then takes as long again."""
MOVES = ("scale", "shift", "rotate", "upside_down", "sizes")
"""Changes of an image that move a region off its object."""
WATCHING = ("watch", "watch_every", "early_stopping", "patience", "min_gain", "plateau_patience")
"""Scores of validation data, which R-CNN's network cannot give before the SVMs are fitted."""
