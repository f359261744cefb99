"""How the networks are trained when nothing is said. Imports nothing heavy, because specs read it."""

from __future__ import annotations

from dataclasses import replace

from mlcvbench_training.settings import NetworkSettings

FIT = NetworkSettings(lr=0.004, batch=8, epochs=24, clip=10.0, flip=0.5, colour=0.2)
"""1,500 images of 128 pixels in less than 300 s on two quiet cores."""
EIGEN_FIT = replace(FIT, lr=0.002, batch=16, epochs=20, scale=(1.0, 1.5), rotate=5.0)
"""The paper's changes of images; its layers that see everything learn with the smaller rate."""
MONODEPTH_FIT = replace(FIT, lr=0.002, epochs=8)
"""Images are made and compared at four scales, which takes twice what the network does."""
MONODEPTH2_FIT = replace(FIT, lr=0.001, epochs=5)
"""Every sample is three images, two of which are made at full size."""
