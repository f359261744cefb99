"""How the networks are trained when nothing is said. Imports nothing heavy, because specs read it."""

from __future__ import annotations

from mlcvbench_training.settings import Settings

NORMED_FIT = Settings(
    optimizer="adamw", lr=0.005, batch=64, epochs=20, weight_decay=0.01, schedule="one_cycle", augmentation="shift"
)
"""Networks with batch norm."""
PLAIN_FIT = Settings(
    optimizer="adamw", lr=0.0007, batch=64, epochs=20, weight_decay=0.01, schedule="one_cycle", augmentation="shift"
)
"""Networks without it bear smaller steps only."""
SMALL_CNN_FIT = Settings(
    optimizer="adamw", lr=0.01, batch=64, epochs=15, weight_decay=0.01, schedule="one_cycle", augmentation="shift"
)
"""`small_cnn`, which bears larger ones."""
