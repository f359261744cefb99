"""Multiply-adds of known networks on one 3x224x224 image, written out layer by layer from their papers.

Nothing here runs a network: this is the independent side of the comparison with the tracer. Counted are convolutions,
matrix products and attention; biases, normalisation, activation and pooling are not.
"""

from __future__ import annotations


def conv(side: int, given: int, made: int, kernel: int, groups: int = 1) -> int:
    """A square convolution with `side` x `side` outputs."""
    return side * side * made * (given // groups) * kernel * kernel


def vgg16() -> int:
    """Simonyan and Zisserman 2015, table 1, column D."""
    total, given = 0, 3
    for side, made, repeats in ((224, 64, 2), (112, 128, 2), (56, 256, 3), (28, 512, 3), (14, 512, 3)):
        for _ in range(repeats):
            total += conv(side, given, made, 3)
            given = made
    return total + 7 * 7 * 512 * 4096 + 4096 * 4096 + 4096 * 1000


def resnet50() -> int:
    """He et al. 2016, table 1, with the stride on the 3x3 convolution (as torchvision and timm build it)."""
    total, given = conv(112, 3, 64, 7), 64
    entry = 56
    for side, width, blocks in ((56, 64, 3), (28, 128, 4), (14, 256, 6), (7, 512, 3)):
        for block in range(blocks):
            before = entry if block == 0 else side
            total += conv(before, given, width, 1) + conv(side, width, width, 3) + conv(side, width, 4 * width, 1)
            if block == 0:
                total += conv(side, given, 4 * width, 1)  # projection shortcut
            given = 4 * width
        entry = side
    return total + 2048 * 1000


MOBILENET_V3_LARGE = (
    # kernel, expanded, made, squeeze-and-excite width (0 = none), output side
    (3, 16, 16, 0, 112),
    (3, 64, 24, 0, 56),
    (3, 72, 24, 0, 56),
    (5, 72, 40, 24, 28),
    (5, 120, 40, 32, 28),
    (5, 120, 40, 32, 28),
    (3, 240, 80, 0, 14),
    (3, 200, 80, 0, 14),
    (3, 184, 80, 0, 14),
    (3, 184, 80, 0, 14),
    (3, 480, 112, 120, 14),
    (3, 672, 112, 168, 14),
    (5, 672, 160, 168, 7),
    (5, 960, 160, 240, 7),
    (5, 960, 160, 240, 7),
)
"""Howard et al. 2019, table 1; squeeze widths are a quarter of the expansion, rounded to a multiple of 8."""


def mobilenet_v3_large() -> int:
    """Expand 1x1 (absent where nothing is expanded), depthwise, squeeze and excite on 1x1 maps, project 1x1."""
    total, given, entry = conv(112, 3, 16, 3), 16, 112
    for kernel, expanded, made, squeeze, side in MOBILENET_V3_LARGE:
        if expanded != given:
            total += conv(entry, given, expanded, 1)
        total += conv(side, expanded, expanded, kernel, groups=expanded)
        total += 2 * expanded * squeeze
        total += conv(side, expanded, made, 1)
        given, entry = made, side
    return total + conv(7, 160, 960, 1) + 960 * 1280 + 1280 * 1000


def vit_b_16() -> int:
    """Dosovitskiy et al. 2021: 196 patches and a class token, 12 blocks of width 768, MLP of 3072."""
    tokens, width = 14 * 14 + 1, 768
    attention = tokens * width * 3 * width + 2 * tokens * tokens * width + tokens * width * width
    mlp = 2 * tokens * width * 4 * width
    return conv(14, 3, width, 16) + 12 * (attention + mlp) + width * 1000


def swin_t() -> int:
    """Liu et al. 2021: windows of 49 tokens, depths 2, 2, 6, 2, width 96 doubling where 2x2 tokens merge."""
    total = conv(56, 3, 96, 4)
    for stage, depth in enumerate((2, 2, 6, 2)):
        tokens, width = (56 >> stage) ** 2, 96 << stage
        attention = tokens * width * 3 * width + 2 * tokens * 49 * width + tokens * width * width
        total += depth * (attention + 2 * tokens * width * 4 * width)
        if stage < 3:
            total += tokens // 4 * (4 * width) * (2 * width)
    return total + 768 * 1000


def convnext_t() -> int:
    """Liu et al. 2022: 7x7 depthwise, then width to 4 width and back, depths 3, 3, 9, 3."""
    total, widths = conv(56, 3, 96, 4), (96, 192, 384, 768)
    for stage, (depth, width) in enumerate(zip((3, 3, 9, 3), widths, strict=True)):
        side = 56 >> stage
        if stage:
            total += conv(side, widths[stage - 1], width, 2)
        total += depth * (conv(side, width, width, 7, groups=width) + 2 * side * side * width * 4 * width)
    return total + 768 * 1000


COUNTS = {
    "resnet50": resnet50,
    "vgg16": vgg16,
    "mobilenet_v3_large": mobilenet_v3_large,
    "vit_b_16": vit_b_16,
    "swin_t": swin_t,
    "convnext_t": convnext_t,
}
