"""Images of unequal size in one tensor and results mapped back to them; training at several sizes.

Padding is below and to the right, so that coordinates stay what they were: zeros in images, in maps what means unknown.
Boxes are x1 y1 x2 y2 in pixels, pixel i covering [i, i + 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from mlcvbench_training.sample_batch import SampleBatch

Size: TypeAlias = tuple[int, int]
"""Height and width in pixels."""
SMALLEST = 1.0
"""Pixels of a side below which nothing can be learned from a box."""
DEPTH_INPUT = "depth"
"""The input that holds metres, not colours."""


@dataclass(frozen=True, slots=True)
class Padded:
    """Images in one frame: `tensor` (B, C, H, W).

    `sizes`: int64 (B, 2), height and width of each image as it was given. `scale`: float64 (B, 2), by how much its
    height and its width were multiplied before it was padded; ones where it was not resized. Both are on the CPU.
    """

    tensor: torch.Tensor
    sizes: torch.Tensor
    scale: torch.Tensor

    def filled(self, index: int) -> Size:
        """Return the size of what an image fills of the frame."""
        height, width = (self.sizes[index] * self.scale[index]).round().long().tolist()
        return height, width

    def boxes_back(self, boxes: torch.Tensor, index: int) -> torch.Tensor:
        """Return boxes (K, 4) of the frame in pixels of image `index` as it was given, clipped to it."""
        (height, width), (down, across) = self.sizes[index].tolist(), self.scale[index].tolist()
        factors, ends = boxes.new_tensor([across, down] * 2), boxes.new_tensor([width, height] * 2)
        return (boxes / factors).clamp(min=0).minimum(ends)

    def map_back(self, values: torch.Tensor, index: int) -> torch.Tensor:
        """Return a map (..., H, W) of the frame at the size of image `index` as it was given.

        Where the image was resized, numbers are interpolated bilinearly; integers and truth values, which name
        something, are those of the nearest pixel.
        """
        if values.shape[-2:] != self.tensor.shape[-2:]:
            wanted, got = tuple(self.tensor.shape[-2:]), tuple(values.shape[-2:])
            raise ValueError(f"a map to be mapped back must have the size of the frame, {wanted}, got {got}")
        height, width = self.filled(index)
        own = values[..., :height, :width]
        size = (int(self.sizes[index, 0]), int(self.sizes[index, 1]))
        return resized(own, size)


def pad_batch(
    images: torch.Tensor | Sequence[torch.Tensor],
    multiple: int = 32,
    *,
    shortest: int | None = None,
    longest: int | None = None,
) -> Padded:
    """Return images, (B, C, H, W) or a list of (C, H, W), in one frame whose sides are multiples of `multiple`.

    With `shortest` each is resized so that its shorter side has so many pixels, or less where the longer one would have
    more than `longest` (Ren et al. 2015 and later detectors: 800 and 1333). ValueError for an empty list, whose images
    would have no channels.
    """
    if isinstance(images, torch.Tensor):
        size = (int(images.shape[-2]), int(images.shape[-1]))
        to = fitted(size, shortest, longest)
        tensor = grown(resized(images, to), frame_of([to], multiple), 0)
        sizes, shown = [size] * len(images), [to] * len(images)
    else:
        sizes = [(int(image.shape[-2]), int(image.shape[-1])) for image in images]
        shown = [fitted(size, shortest, longest) for size in sizes]
        own = [resized(image, to) for image, to in zip(images, shown, strict=True)]
        tensor = gathered(own, frame_of(shown, multiple), 0)
    before, after = (torch.tensor(some, dtype=torch.int64).reshape(-1, 2) for some in (sizes, shown))
    return Padded(tensor, before, after.double() / before)


def frame_of(sizes: Sequence[Size], multiple: int) -> Size:
    """Return the largest height and width among `sizes`, each rounded up to a multiple.

    >>> frame_of([(30, 65), (33, 20)], 32)
    (64, 96)
    """
    high, wide = max((size[0] for size in sizes), default=0), max((size[1] for size in sizes), default=0)
    return -(-high // multiple) * multiple, -(-wide // multiple) * multiple


def gathered(values: Sequence[torch.Tensor], frame: Size, fill: float) -> torch.Tensor:
    """Return values (..., h, w) of unequal size as one tensor (B, ..., H, W), `fill` beyond each."""
    if not values:
        raise ValueError("no images to put into a frame")
    out = values[0].new_full((len(values), *values[0].shape[:-2], *frame), fill)
    for own, value in zip(out, values, strict=True):
        own[..., : value.shape[-2], : value.shape[-1]] = value
    return out


def grown(values: torch.Tensor, frame: Size, fill: float) -> torch.Tensor:
    """Return values (..., h, w) in a frame (H, W) that is at least as large, `fill` beyond them."""
    below, right = frame[0] - values.shape[-2], frame[1] - values.shape[-1]
    if below == right == 0:
        return values
    out = values.new_full((*values.shape[:-2], *frame), fill)
    out[..., : values.shape[-2], : values.shape[-1]] = values
    return out


def resized(values: torch.Tensor, size: Size) -> torch.Tensor:
    """Return maps or images (..., h, w) at another size, pixel centres at half-integers.

    Numbers are interpolated bilinearly and averaged where they shrink; integers and truth values are the nearest's.
    """
    if values.shape[-2:] == size:
        return values
    if values.numel() == 0:  # torch refuses to resize nothing
        return values.new_zeros((*values.shape[:-2], *size))
    flat = values.reshape(1, -1, *values.shape[-2:])
    if values.dtype.is_floating_point:
        out = functional.interpolate(flat, size, mode="bilinear", align_corners=False, antialias=True)
    else:
        out = _nearest(flat, size)
    return out.reshape(*values.shape[:-2], *size)


def _nearest(values: torch.Tensor, size: Size) -> torch.Tensor:
    """Return maps (..., h, w) of any type at another size, each pixel that of the nearest centre."""
    rows, columns = (
        ((torch.arange(wanted, device=values.device) * 2 + 1) * had).div(2 * wanted, rounding_mode="floor")
        for had, wanted in zip(values.shape[-2:], size, strict=True)
    )
    return values[..., rows[:, None], columns]


def pad_to(batch: SampleBatch, frame: Size) -> SampleBatch:
    """Return the batch in a frame of at least this size."""
    high, wide = batch.frame
    frame = max(high, frame[0]), max(wide, frame[1])
    if frame == (high, wide):
        return batch
    return replace(
        batch,
        inputs={name: grown(values, frame, 0) for name, values in batch.inputs.items()},
        maps={name: grown(values, frame, batch.unknown_of(values)) for name, values in batch.maps.items()},
        objects=[own if own.masks is None else replace(own, masks=grown(own.masks, frame, 0)) for own in batch.objects],
        sizes=batch.own_sizes(),
    )


def multi_scale_sizes(sizes: Sequence[Size], count: int, generator: torch.Generator, every: int = 1) -> list[Size]:
    """Return the training sizes of `count` batches, one of `sizes` for each `every` consecutive batches.

    Redmon and Farhadi, YOLO9000 (2017), section 2: every 10 batches one of 320, 352 ... 608 pixels. Mask R-CNN's
    successors draw anew for each batch.
    """
    drawn = torch.randint(len(sizes), (-(-count // every),), generator=generator).tolist()
    return [sizes[drawn[place // every]] for place in range(count)]


def resize_batch(batch: SampleBatch, size: Size) -> SampleBatch:
    """Return the batch with frames of another size.

    Images are interpolated, maps take the nearest pixel. Disparities are pixels and grow with the width; depths stay
    what they are, since the camera sees the same, in more or fewer pixels. Objects that shrink to specks are ignored.
    """
    down, across = (new / old for new, old in zip(size, batch.frame, strict=True))
    if size == batch.frame:
        return batch
    maps = {name: _nearest(values, size) for name, values in batch.maps.items()}
    if "disparity" in maps:
        maps["disparity"] = maps["disparity"] * across
    sizes = batch.sizes
    if sizes is not None:  # an image never shrinks to nothing
        sizes = (sizes * torch.tensor([down, across], dtype=torch.float64)).round().long().clamp(min=1)
    objects = []
    for own in batch.objects:
        masks = None if own.masks is None else _nearest(own.masks, size)
        boxes = own.boxes * own.boxes.new_tensor([across, down] * 2)
        ignored = own.ignored | (boxes[:, 2:] - boxes[:, :2] < SMALLEST).any(1)
        objects.append(replace(own, boxes=boxes, ignored=ignored, masks=masks))
    matrix = torch.tensor([[across, 0, 0], [0, down, 0], [0, 0, 1]], dtype=torch.float64)
    return replace(
        batch,
        inputs={
            name: _nearest(values, size) if name == DEPTH_INPUT else resized(values, size)
            for name, values in batch.inputs.items()
        },
        maps=maps,
        objects=objects,
        sizes=sizes,
        facts=batch.moved_facts(matrix.expand(len(batch), 3, 3)),
    )


def fitted(size: Size, shortest: int | None, longest: int | None) -> Size:
    """Return the size of an image whose shorter side is resized to `shortest`, the longer one to `longest` at most."""
    if shortest is None and longest is None:
        return size
    factor = float("inf") if shortest is None else shortest / min(size)
    if longest is not None:
        factor = min(factor, longest / max(size))
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))
