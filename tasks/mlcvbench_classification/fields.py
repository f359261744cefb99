"""What classifiers get and return, as `mlcvbench info classification` prints it. Imports nothing heavy."""

from __future__ import annotations

from mlcvbench.specs import Field

FIELDS = (
    Field("inputs", "image", "uint8 (B, H, W) or (B, H, W, 3)", "grey or RGB, 0 to 255"),
    Field("targets", "label", "int64 (B,)", "0 to C-1, an index into `problem.classes`"),
    Field("predictions", "scores", "float32 (B, C)", "logits: their softmax is taken as the probabilities"),
    Field("predictions", "probabilities", "float32 (B, C)", "instead of scores; rows sum to 1 and are used unchanged"),
    Field(
        "predictions",
        "labels",
        "integers (B,)",
        "instead of both, 0 to C-1, from a method without scores; nll, ece and top5 are then undefined",
    ),
)
