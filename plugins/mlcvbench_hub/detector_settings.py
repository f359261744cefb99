"""How detectors and segmenters of torchvision are trained when nothing is said. Imports nothing heavy for specs."""

from __future__ import annotations

from mlcvbench_training.settings import NetworkSettings

DETECTOR_FIT = NetworkSettings(
    lr=0.001, batch=8, epochs=30, clip=10.0, flip=0.5, scale=(0.8, 1.25), shift=0.1, colour=0.2
)
SEGMENTER_FIT = DETECTOR_FIT
