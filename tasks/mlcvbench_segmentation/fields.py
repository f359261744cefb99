"""What segmenters get and return, as `mlcvbench info segmentation` prints it. Imports nothing heavy."""

from __future__ import annotations

from mlcvbench.specs import Field

FIELDS = (
    Field("inputs", "image", "uint8 (B, H, W, 3)", "RGB, 0 to 255"),
    Field("inputs", "depth", "float32 (B, H, W)", "metres, 0 = unknown; instead of images, in `bodies`"),
    Field(
        "targets",
        "label_map",
        "uint8 (B, H, W)",
        "0 to C-1, or 255 = unknown, neither learned from nor scored; uint16 and 65535 for more than 255 classes",
    ),
    Field("extra", "background", "class names", "the classes that are no objects, such as ground and wall"),
    Field("extra", "sparse", "bool", "unlabelled pixels are no object, so pictures leave them black; `bodies`"),
    Field("extra", "coding", "dict", "what values and colours of label files mean; `label-folder`"),
    Field("extra", "palette", "colours", "of the label files; `label-folder`"),
    Field(
        "meta", "intrinsics", "float64 (B, 3, 3)", "focal lengths and principal point of the camera, pixels; `bodies`"
    ),
    Field(
        "predictions",
        "label_map",
        "integers (B, H, W)",
        "0 to C-1 in the size of the original image; a list of arrays (H, W) where sizes differ",
    ),
    Field(
        "predictions",
        "joints",
        "float32 (n, 5) per image",
        "if the method has them: where parts may lie, as class, x, y (pixels; the centre of one is whole), z (metres) "
        "and confidence; drawn, and compared with the labels where the data have depth and its camera",
    ),
)
