"""How the methods are trained when nothing is said. Imports nothing heavy, because specs read it."""

from __future__ import annotations

from dataclasses import replace

from mlcvbench_training.settings import NetworkSettings

FIT = NetworkSettings(
    lr=0.004, batch=64, epochs=50, clip=10.0, flip=0.5, scale=(0.9, 1.1), shift=0.05, rotate=8.0, colour=0.2
)
"""960 photographs of 64 pixels."""
DEEPFACE_FIT = replace(FIT, epochs=40, lr=0.002)
"""Its layers without sharing have many weights and no norms."""
WATCHING = ("watch", "watch_every", "early_stopping", "patience", "min_gain", "plateau_patience")
"""Scores of validation data, which a classifier by neighbours cannot give before it has a gallery."""
