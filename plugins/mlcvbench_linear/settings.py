"""How the methods of this family are fitted when nothing is said. Imports nothing heavy, because specs read it."""

from __future__ import annotations

from mlcvbench_training.settings import Settings

FULL_BATCH = "lbfgs"
LINEAR_SOFTMAX_FIT = Settings(optimizer=FULL_BATCH, lr=0.01, epochs=200, weight_decay=0.0, l2=1e-3, schedule="cosine")
MLP_FIT = Settings(optimizer="adam", lr=0.003, batch=64, epochs=30, weight_decay=0.0, schedule="cosine")
