"""How the networks are trained when nothing is said. Imports nothing heavy, because specs read it."""

from __future__ import annotations

from dataclasses import replace

from mlcvbench_training.settings import NetworkSettings

TEARING = ("flip", "rotate", "backbone_lr")
"""Settings that have no meaning here: the first two would tear a pair apart, and there is no backbone."""
FIT = NetworkSettings(lr=0.002, batch=4, epochs=18, clip=10.0, upside_down=0.5, scale=(0.8, 1.5), shift=0.2, colour=0.2)
"""300 pairs of 128 pixels in less than 300 s of one processor in bfloat16: small batches, for there are few epochs.
Other sizes and places are what helps most: without them networks learn the pairs by heart."""
GC_NET_FIT = replace(FIT, epochs=12)
RAFT_FIT = replace(FIT, epochs=7, clip=1.0)
DISPNET_FIT = replace(FIT, lr=0.001, batch=8, epochs=70)
MC_CNN_FIT = replace(FIT, batch=8, epochs=20)
