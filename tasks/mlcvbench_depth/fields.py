"""What stereo and monocular methods get and return, as `mlcvbench info depth` prints it. Imports nothing heavy."""

from __future__ import annotations

from mlcvbench.specs import Field

FIELDS = (
    Field("inputs", "left", "uint8 (B, H, W, 3)", "stereo: RGB, 0 to 255, rectified"),
    Field(
        "inputs",
        "right",
        "uint8 (B, H, W, 3)",
        "stereo: the image of the right camera; for monocular depth it is there in training and "
        "validation, with `data.supervision=stereo`",
    ),
    Field("inputs", "image", "uint8 (B, H, W, 3)", "monocular: RGB, 0 to 255"),
    Field(
        "inputs",
        "frames",
        "uint8 (B, T, H, W, 3)",
        "monocular: in training and validation, with `data.supervision=sequence`; frame T // 2 is the image",
    ),
    Field(
        "targets",
        "disparity",
        "float32 (B, H, W)",
        "stereo: pixels of the left image, 0 = unknown; x of the right image is x - disparity",
    ),
    Field("targets", "occluded", "bool (B, H, W)", "stereo: the right camera does not see the pixel"),
    Field("targets", "depth", "float32 (B, H, W)", "monocular: metres along the optical axis, 0 = unknown"),
    Field("extra", "field", "str", "`disparity` or `depth`, what the targets hold"),
    Field("extra", "disparities", "int", "stereo: search range in pixels; disparities stay below it"),
    Field("extra", "trained", "bool", "stereo: there is a training split"),
    Field("extra", "supervision", "str", "monocular: what training sees, `depth`, `stereo`, `sequence` or `none`"),
    Field("extra", "scale", "float", "folders: what a number of a 16-bit file is divided by"),
    Field("extra", "eight_bits", "bool", "folders: 8-bit files are maps too"),
    Field("meta", "intrinsics", "float64 (B, 3, 3)", "focal lengths and principal point of the (left) camera, pixels"),
    Field(
        "meta",
        "baseline",
        "float64 (B,)",
        "metres between the cameras; depth = focal length x baseline / disparity",
    ),
    Field(
        "meta",
        "offset",
        "float64 (B,)",
        "pixels between the principal points, added to the disparity before; `motorcycle`",
    ),
    Field("meta", "pose", "float64 (B, 4, 4)", "camera to world, metres"),
    Field("meta", "poses", "float64 (B, T, 4, 4)", "of the frames, camera to world"),
    Field(
        "predictions",
        "disparity",
        "float (B, H, W)",
        "pixels of the left image in its original size, 0 = no estimate; or uint16 in 1/256 pixel",
    ),
    Field(
        "predictions",
        "depth",
        "float (B, H, W)",
        "metres in the original size, not negative, inf = farther than any cap; a list where sizes differ",
    ),
)
