"""How the networks are trained when nothing is said. Imports nothing heavy, because specs read it."""

from __future__ import annotations

from dataclasses import replace

from mlcvbench_training.settings import NetworkSettings

TEARING = ("flip", "rotate", "backbone_lr")
"""Settings that have no meaning here: the first two would tear a pair apart, and there is no backbone."""
FIT = NetworkSettings(lr=0.002, batch=4, epochs=7, clip=10.0, upside_down=0.5, colour=0.2)
"""240 pairs of 128 pixels in about 300 s of one processor in bfloat16: small batches, for there are few epochs."""
GC_NET_FIT = replace(FIT, epochs=5)
DISPNET_FIT = replace(FIT, lr=0.001, batch=8, epochs=22)
MC_CNN_FIT = replace(FIT, batch=8, epochs=8)
RAFT_FIT = replace(FIT, lr=0.002, epochs=12, clip=1.0)
