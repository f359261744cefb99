"""What detectors get and return, as `mlcvbench info detection` prints it. Imports nothing heavy."""

from __future__ import annotations

from mlcvbench.specs import Field

FIELDS = (
    Field("inputs", "image", "uint8 (B, H, W, 3)", "RGB, 0 to 255"),
    Field(
        "targets",
        "xywh",
        "float64 (n, 4) per image",
        "left, top, width and height in pixels, continuous: the first pixel reaches from 0 to 1; "
        '`targets["xywh"][i]` are the boxes of image i, n may be 0',
    ),
    Field("targets", "labels", "int64 (n,) per image", "0 to C-1, indices into `problem.classes`"),
    Field("targets", "crowd", "bool (n,) per image", "COCO: need not be found, so no object and no background either"),
    Field("targets", "difficult", "bool (n,) per image", "VOC: need not be found, like a crowd"),
    Field("targets", "area", "float64 (n,) per image", "square pixels, of the mask where there is one"),
    Field("targets", "annotation", "int64 (n,) per image", "number of the object in its file"),
    Field(
        "targets",
        "masks",
        "n masks per image",
        'if `problem.extra["masks"]`; `targets["masks"][i].dense(k)` is bool (H, W), the visible part of object k',
    ),
    Field("targets", "occluded", "bool (n,) per image", "`scenes`: another object hides a part"),
    Field("targets", "truncated", "bool (n,) per image", "`scenes`: the border of the image cuts a part off"),
    Field("targets", "ignore", "bool (n,) per image", "LVIS: neither found nor missed"),
    Field("targets", "negative", "int64 (m,) per image", "LVIS: classes known to be absent from the image"),
    Field("targets", "unchecked", "int64 (m,) per image", "LVIS: classes of which not every object is annotated"),
    Field("targets", "size", "int64 (B, 2)", "height and width of the image in pixels, 0 = unknown"),
    Field("extra", "masks", "bool", "masks are provided, and are to be predicted for instance segmentation"),
    Field("extra", "category_ids", "C integers", "the number of each class in files"),
    Field("extra", "frequency", "C strings", "LVIS: r, c or f, rare, common or frequent"),
    Field("meta", "size", "int64 (B, 2)", "height and width of the image in pixels"),
    Field(
        "predictions",
        "boxes",
        "float32 (n, 4) per image",
        "x1, y1, x2, y2 in pixels of the original image, x1 <= x2, y1 <= y2; may be left out where there are masks",
    ),
    Field(
        "predictions",
        "scores",
        "float32 (n,) per image",
        "finite; the highest count first, 100 of an image in most protocols",
    ),
    Field("predictions", "labels", "integers (n,) per image", "0 to C-1"),
    Field(
        "predictions",
        "masks",
        "bool (n, H, W) per image",
        "for instance segmentation; or n run-length objects as COCO has them",
    ),
    Field(
        "predictions",
        "proposals",
        "float32 (p, 4) per image",
        "if the method has them: regions that it chose among, best first, corners like boxes; their recall is shown",
    ),
)
