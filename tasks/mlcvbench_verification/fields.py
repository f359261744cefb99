"""What embeddings of images get and return, as `mlcvbench info verification` prints it. Imports nothing heavy."""

from __future__ import annotations

from mlcvbench.specs import Field

FIELDS = (
    Field("inputs", "image", "uint8 (B, H, W, 3)", "RGB, 0 to 255"),
    Field(
        "targets",
        "identity",
        "int64 (B,)",
        "a number per person, the same in all splits; not consecutive, C is unknown",
    ),
    Field(
        "targets",
        "pairs",
        "Pairs",
        "of a test split alone, in `split.targets()`: first and second, indices of images, and fold",
    ),
    Field("extra", "people", "str", "`folders`, or `pairs` where people are known by labelled pairs only"),
    Field("predictions", "embedding", "float32 (B, D)", "finite; with cosine not all zeros"),
    Field("predictions", "distance", "str", "how two embeddings are compared: cosine, l2 or l1; one for all samples"),
)
