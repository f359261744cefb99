"""How the networks are trained when nothing is said. Imports nothing heavy, because specs read it."""

from __future__ import annotations

from dataclasses import replace

from mlcvbench_training.settings import NetworkSettings

TEARING = ("flip", "rotate", "backbone_lr")
"""Settings that have no meaning here: the first two would tear a pair apart, and there is no backbone."""
FIT = NetworkSettings(lr=0.003, batch=8, epochs=30, clip=10.0, upside_down=0.5, colour=0.2)
"""240 pairs of 128 pixels in less than 300 s on two quiet cores."""
DISPNET_FIT = replace(FIT, lr=0.001, epochs=60)
MC_CNN_FIT = replace(FIT, lr=0.003, epochs=14)
