"""How the detectors are trained when nothing is said. Imports nothing heavy, because specs read it."""

from __future__ import annotations

from dataclasses import replace

from mlcvbench_training.settings import NetworkSettings

FIT = NetworkSettings(lr=0.004, batch=8, epochs=30, clip=10.0, flip=0.5, scale=(0.8, 1.25), shift=0.1, colour=0.2)
"""240 images of 128 pixels in less than 300 s on two quiet cores."""
CENTERNET_FIT = replace(FIT, lr=0.008, epochs=60)
"""With a batch norm beside every convolution but the last ones it bears larger steps."""
YOLO_FIT = replace(FIT, epochs=60)
"""One prior of one cell learns an object, where with anchors many do."""
EFFICIENTDET_FIT = replace(FIT, epochs=20)
"""Its many small layers take three times as long as RetinaNet's."""
