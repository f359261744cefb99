"""How the segmenters are trained when nothing is said. Imports nothing heavy, because specs read it."""

from __future__ import annotations

from dataclasses import replace

from mlcvbench_training.settings import NetworkSettings

FIT = NetworkSettings(lr=0.004, batch=8, epochs=36, clip=10.0, flip=0.5, scale=(0.8, 1.25), shift=0.1, colour=0.2)
"""240 images of 128 pixels in less than 300 s on two quiet cores; what follows differs in seconds an epoch."""
WINDOW_FIT = replace(FIT, epochs=40)
FCN_FIT = replace(FIT, lr=0.003, epochs=24)
UNET_FIT = replace(FIT, epochs=28)
DILATED_FIT = FIT
