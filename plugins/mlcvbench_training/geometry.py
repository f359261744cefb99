"""Random changes that images, label maps, boxes, masks, depths and disparities of a batch undergo together.

`Affine` says how points move and where randomness comes from.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from mlcvbench.errors import RequestError
from mlcvbench_training.affine import Affine, uniform
from mlcvbench_training.augmentation import change_colour, turn_hues
from mlcvbench_training.padding import DEPTH_INPUT, Size, pad_to
from mlcvbench_training.sample_batch import INTRINSICS, SampleBatch
from mlcvbench_training.visibility import LEAST_VISIBLE, look_at, owners_of, remaining

__all__ = ["Affine", "Changes", "augment_batch", "change_colours", "crop_batch"]


@dataclass(frozen=True, slots=True)
class Changes:
    """What may happen to a batch; the defaults change nothing.

    `scale`: least and largest zoom, uniform. `flip`, `upside_down`: the share of images mirrored left to right, top to
    bottom. `stretch`: the largest ratio of the zooms of width and height. `shift`: the farthest move, as a share of the
    image's height and width. `rotate`: the largest angle in degrees. `colour`: the strength of `change_colour`. `hue`:
    the largest angle of `turn_hues`. `least_visible`: see `Affine.boxes`.
    """

    scale: tuple[float, float] = (1.0, 1.0)
    flip: float = 0.0
    upside_down: float = 0.0
    stretch: float = 1.0
    shift: float = 0.0
    rotate: float = 0.0
    colour: float = 0.0
    hue: float = 0.0
    least_visible: float = LEAST_VISIBLE


def augment_batch(batch: SampleBatch, changes: Changes, generator: torch.Generator) -> SampleBatch:
    """Return the batch changed as `changes` say: mirrored, zoomed, turned and moved, upside down, colours.

    Both views of a stereo pair change alike in place and, being `left` and `right`, each by itself in colour, as two
    cameras differ; all other inputs of a sample change their colours alike. Cameras in `facts` follow, and depths then
    stay: they are true for the moved camera. RequestError for what would tear a stereo pair apart.
    """
    if "right" in batch.inputs and (changes.flip or changes.rotate):
        what = "fit.flip" if changes.flip else "fit.rotate"
        raise RequestError(f"{what} tears the two views of a stereo pair apart; set {what}=0.")
    if changes == Changes():
        return batch
    if changes.stretch > 1 and "depth" in batch.maps and INTRINSICS not in batch.facts:
        raise RequestError("fit.stretch shows what no camera of the data set sees, so depths are lost; set it to 1.")
    size, count = batch.own_sizes(), len(batch)
    affine = Affine.draw(
        count,
        size,
        generator,
        scale=changes.scale,
        flip=changes.flip,
        stretch=changes.stretch,
        shift=changes.shift,
        rotate=changes.rotate,
    )
    batch = _moved(batch, affine, changes.least_visible)
    if changes.upside_down:
        affine = Affine.upside_down(count, size, generator, changes.upside_down)
        batch = _moved(batch, affine, changes.least_visible)
    return change_colours(batch, changes.colour, generator, changes.hue)


def change_colours(batch: SampleBatch, strength: float, generator: torch.Generator, hue: float = 0.0) -> SampleBatch:
    """Return the batch with changed brightness, contrast, saturation and hues (`change_colour`, `turn_hues`).

    `left` and `right` change each by itself, all other inputs of a sample alike. It stays 0 beyond the images.
    """
    if not strength and not hue:
        return batch
    images = {name: values for name, values in batch.inputs.items() if name != DEPTH_INPUT}
    apart = len(images) < 2 or {"left", "right"} <= set(images)
    groups = [[name] for name in images] if apart else [list(images)]
    inputs, own = dict(batch.inputs), _own_pixels(batch)
    for names in groups:
        tall = [_stacked(images[name]) for name in names]
        changed = tall[0] if len(tall) == 1 else torch.cat(tall, 2)
        if strength:
            changed = change_colour(changed, strength, generator)
        if hue:
            changed = turn_hues(changed, hue, generator)
        for name, part in zip(names, torch.split(changed, [image.shape[2] for image in tall], 2), strict=True):
            out = _unstacked(part, images[name])
            inputs[name] = out if own is None else out * own.reshape(len(batch), *[1] * (out.ndim - 3), *batch.frame)
    return replace(batch, inputs=inputs)


def crop_batch(
    batch: SampleBatch, size: Size, generator: torch.Generator, least_visible: float = LEAST_VISIBLE
) -> SampleBatch:
    """Return a random window of `size` (H, W) of each sample, the same of all its inputs, maps and objects.

    A smaller image is shown whole, with padding below and to the right. Objects are dropped or ignored as in
    `Affine.boxes`; depths and disparities stay what they are.
    """
    (height, width), own = size, batch.own_sizes()
    batch = pad_to(batch, size)
    slack = (own - torch.tensor(size)).clamp(min=0)
    corner = (uniform(2 * len(batch), generator).reshape(-1, 2) * (slack + 1)).long().minimum(slack)  # (B, 2): y, x
    places = corner.tolist()

    def windows(values: torch.Tensor) -> torch.Tensor:
        return torch.stack(
            [one[..., y : y + height, x : x + width] for one, (y, x) in zip(values, places, strict=True)]
        )

    sizes = (own - corner).minimum(torch.tensor(size))
    objects = []
    if batch.objects:
        owner = owners_of(batch.objects)
        boxes = torch.cat([one.boxes for one in batch.objects])
        whole = boxes.double() - corner.flip(1).repeat(1, 2)[owner].to(boxes.device)
        kept = look_at(whole, sizes[owner], least_visible)
        masks = [
            None if one.masks is None else one.masks[:, y : y + height, x : x + width]
            for one, (y, x) in zip(batch.objects, places, strict=True)
        ]
        objects = remaining(batch.objects, kept, masks)
    matrices = torch.eye(3, dtype=torch.float64).repeat(len(batch), 1, 1)
    matrices[:, :2, 2] = -corner.flip(1).double()
    return replace(
        batch,
        inputs={name: windows(values) for name, values in batch.inputs.items()},
        maps=_hidden_by_border({name: windows(values) for name, values in batch.maps.items()}, sizes),
        objects=objects,
        facts=batch.moved_facts(matrices),
        sizes=None if bool((sizes == torch.tensor(size)).all()) else sizes,
    )


def _moved(batch: SampleBatch, affine: Affine, least_visible: float) -> SampleBatch:
    """Return a batch in which everything moved."""
    if not affine.changed:
        return batch
    metric = INTRINSICS in batch.facts  # the camera is said to have moved, so distances are what they were

    def depth(maps: torch.Tensor) -> torch.Tensor:
        return affine.nearest(maps, 0) if metric else affine.depth(maps)

    maps = {}
    for name, values in batch.maps.items():
        if name == "disparity":
            maps[name] = affine.disparity(values)
        elif name == "depth":
            maps[name] = depth(values)
        else:
            maps[name] = affine.nearest(values, batch.unknown_of(values))
    return replace(
        batch,
        inputs={
            name: depth(values[:, 0])[:, None] if name == DEPTH_INPUT else affine.images(values)
            for name, values in batch.inputs.items()
        },
        maps=_hidden_by_border(maps, affine.sizes) if affine.moved else maps,
        objects=affine.boxes(batch.objects, least_visible),
        facts=batch.moved_facts(affine.matrices),
    )


def _hidden_by_border(maps: dict[str, torch.Tensor], sizes: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return maps in which pixels whose partner is now beyond the right view are occluded."""
    if not {"disparity", "occluded"} <= set(maps):
        return maps
    disparity = maps["disparity"]
    partner = torch.arange(disparity.shape[2], device=disparity.device) + 0.5 - disparity
    beyond = (partner < 0) | (partner >= sizes[:, 1].to(disparity)[:, None, None])
    return {**maps, "occluded": maps["occluded"] | (beyond & (disparity > 0))}


def _own_pixels(batch: SampleBatch) -> torch.Tensor | None:
    """Return which pixels of the frame are an image's, bool (B, H, W), None where all are."""
    if batch.sizes is None:
        return None
    (height, width), device = batch.frame, next(iter(batch.inputs.values())).device
    high, wide = batch.sizes.to(device)[:, :, None, None].unbind(1)
    return (torch.arange(height, device=device)[:, None] < high) & (torch.arange(width, device=device) < wide)


def _stacked(images: torch.Tensor) -> torch.Tensor:
    """Return images as they are, and frames (B, T, C, H, W) one below the other, (B, C, T H, W)."""
    return images if images.ndim == 4 else images.transpose(1, 2).flatten(2, 3)


def _unstacked(tall: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return tall if like.ndim == 4 else tall.reshape(len(like), tall.shape[1], *like.shape[1::2], -1).transpose(1, 2)
