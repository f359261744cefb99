"""Affine maps of images, drawn at random, and all that belongs to an image moved along.

Points are (x, y) in pixels, pixel i covering [i, i + 1), so that its centre is at i + 0.5 (`align_corners=False`);
boxes are x1 y1 x2 y2. Everything is drawn on the CPU from the generator given, and nothing for a change that is off, so
a seed gives the same changes on every device. Where images are smaller than their frame, each is changed as if it were
alone and stays inside its own size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import torch
from torch.nn import functional

from mlcvbench_training.padding import Size
from mlcvbench_training.sample_batch import UNKNOWN, Objects
from mlcvbench_training.visibility import LEAST_VISIBLE, look_at, owners_of, remaining


class Affine:
    """One map of points per image, from where they were to where they are shown.

    `matrices`: float64 (B, 3, 3). `zoom`, and `across`, that of widths: float64 (B,). `sizes`: int64 (B, 2), height and
    width of each image. All are on the CPU. `turned`, `mirrored`: whether some image may be rotated or flipped;
    `moved`: whether more than flips happens, so that pixels must be interpolated.
    """

    def __init__(self, sizes: torch.Tensor) -> None:
        count = len(sizes)
        self.sizes = sizes
        self.matrices = torch.eye(3, dtype=torch.float64).repeat(count, 1, 1)
        self.zoom = self.across = torch.ones(count, dtype=torch.float64)
        self.turned = self.mirrored = self.moved = self.changed = False
        self._axis, self._flipped = 0, torch.zeros(0, dtype=torch.int64)
        self._sources: dict[tuple[Size, torch.device], _Sources] = {}

    @classmethod
    def draw(  # noqa: PLR0913 - keyword-only names of what may happen
        cls,
        count: int,
        size: Size | torch.Tensor,
        generator: torch.Generator,
        *,
        scale: tuple[float, float] = (1.0, 1.0),
        flip: float = 0.0,
        stretch: float = 1.0,
        shift: float = 0.0,
        rotate: float = 0.0,
    ) -> Affine:
        """Return `count` maps about the middles of images of `size` (H, W), or int64 (B, 2) of each.

        An image is mirrored with probability `flip`, then zoomed, stretched and turned about its middle, then moved.
        It is stretched by a ratio of the zooms of width and height whose logarithm is uniform, and its area stays.
        """
        out = cls(_sizes(size, count))
        if scale != (1.0, 1.0):
            out.zoom = scale[0] + (scale[1] - scale[0]) * uniform(count, generator)
            out.moved = True
        longer = torch.ones(count, dtype=torch.float64)
        if stretch > 1:
            longer = stretch ** (uniform(count, generator) - 0.5)
            out.moved = True
        out.across = out.zoom * longer
        if flip:
            out._mirror(0, uniform(count, generator) < flip)
        middle = out.sizes.flip(1).double() / 2  # (B, 2): x, y
        move = torch.zeros(count, 2, dtype=torch.float64)
        if shift:
            move = (2 * uniform(2 * count, generator).reshape(count, 2) - 1) * shift * out.sizes.flip(1)
            out.moved = True
        angle = torch.zeros(count, dtype=torch.float64)
        if rotate:
            angle = (2 * uniform(count, generator) - 1) * math.radians(rotate)
            out.moved = out.turned = True
        if out.moved:
            warp = torch.eye(3, dtype=torch.float64).repeat(count, 1, 1)
            cosine, sine, down = angle.cos(), angle.sin(), out.zoom / longer
            linear = torch.stack([out.across * cosine, -down * sine, out.across * sine, down * cosine], 1)
            linear = linear.reshape(count, 2, 2)
            warp[:, :2, :2] = linear
            warp[:, :2, 2] = middle + move - (linear @ middle[:, :, None])[:, :, 0]
            out.matrices = warp @ out.matrices
        out.changed = out.moved or out.mirrored
        return out

    @classmethod
    def upside_down(cls, count: int, size: Size | torch.Tensor, generator: torch.Generator, share: float) -> Affine:
        """Return maps that exchange top and bottom of a share of the images, which stereo pairs allow."""
        out = cls(_sizes(size, count))
        out._mirror(1, uniform(count, generator) < share)
        out.mirrored, out.changed = False, True  # rows stay rows, so disparities stay true
        return out

    def images(self, images: torch.Tensor, *, border: bool = False) -> torch.Tensor:
        """Return images (B, C, H, W) or frames (B, T, C, H, W), bilinear; what enters is 0 or repeats the border."""
        if not self.changed:
            return images
        flat = images.flatten(1, -3)  # what belongs to one sample moves together
        if not self.moved:
            return self._picked(flat, 0).reshape(images.shape)
        source = self._source(images)
        grid, how = source.grid(border=border).to(flat.dtype), "border" if border else "zeros"
        out = functional.grid_sample(flat, grid, mode="bilinear", padding_mode=how, align_corners=False)
        if source.ragged:
            out = out * source.own[:, None]
        return out.reshape(images.shape)

    def labels(self, maps: torch.Tensor, unknown: int = UNKNOWN) -> torch.Tensor:
        """Return label maps (B, H, W), each pixel that of the nearest; what enters is unknown."""
        return self.nearest(maps, unknown)

    def occluded(self, maps: torch.Tensor) -> torch.Tensor:
        """Return bool (B, H, W), which pixels the other camera does not see; it sees nothing of what enters."""
        return self.nearest(maps, True)

    def depth(self, maps: torch.Tensor) -> torch.Tensor:
        """Return depths (B, H, W) in metres, nearest, 0 for what enters, divided by the zoom.

        A picture that is enlarged s times shows what the same camera sees of things s times as near (Eigen et al. 2014,
        section 3.4).
        """
        return self.nearest(maps, 0) / self.zoom.to(maps)[:, None, None] if self.moved else self.nearest(maps, 0)

    def disparity(self, maps: torch.Tensor) -> torch.Tensor:
        """Return disparities (B, H, W) in pixels, nearest, 0 for what enters, multiplied by the zoom of widths.

        ValueError where images are turned or mirrored: then their partners are in other rows or on the other side.
        """
        if self.turned or self.mirrored:
            raise ValueError("disparities have no meaning in images that are turned or mirrored left to right")
        return self.nearest(maps, 0) * self.across.to(maps)[:, None, None] if self.moved else self.nearest(maps, 0)

    def masks(self, masks: torch.Tensor, index: int) -> torch.Tensor:
        """Return masks bool (K, H, W) of image `index`; nothing enters."""
        if not self.changed:
            return masks
        if self._only_flips(masks):
            return masks.flip(2 - self._axis) if index in self._flipped.tolist() else masks
        source = self._source(masks)
        place = source.place[index].reshape(1, -1).expand(len(masks), -1)
        bits = masks.view(torch.uint8).flatten(1)  # torch is several times slower with truth values
        return bits.gather(1, place).view(torch.bool).reshape(masks.shape) & source.inside[index]

    def boxes(self, objects: Sequence[Objects], least_visible: float = LEAST_VISIBLE) -> list[Objects]:
        """Return the objects of each image: the boxes around their moved corners, clipped, and their masks.

        A box of which nothing is left in its image is dropped. One of which less than `least_visible` of the area or a
        pixel of a side is left is ignored rather than dropped, for what can be seen of it is no background. When an
        image is turned, the box around the corners is larger than the object.
        """
        if not self.changed or not objects:
            return list(objects)
        boxes = torch.cat([own.boxes for own in objects])
        owner = owners_of(objects)
        matrices = self.matrices[owner].to(boxes.device)
        corners = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].double().reshape(-1, 4, 2)
        moved = corners @ matrices[:, :2, :2].mT + matrices[:, None, :2, 2]
        whole = torch.cat([moved.amin(1), moved.amax(1)], 1)
        kept = look_at(whole, self.sizes[owner], least_visible)
        masks = [None if own.masks is None else self.masks(own.masks, place) for place, own in enumerate(objects)]
        return remaining(objects, kept, masks)

    def _mirror(self, axis: int, chosen: torch.Tensor) -> None:
        """Exchange the ends of an axis, 0 (x) or 1 (y), of the chosen images, before anything else is done to them."""
        self._axis, self._flipped = axis, torch.nonzero(chosen).squeeze(1)
        self.matrices[chosen, axis, axis] = -1.0
        self.matrices[chosen, axis, 2] = self.sizes[chosen, 1 - axis].double()
        self.mirrored = True

    def nearest(self, maps: torch.Tensor, fill: float) -> torch.Tensor:
        """Return maps (B, H, W) of any type, each pixel that of the nearest, `fill` for what enters."""
        return self._picked(maps[:, None], fill)[:, 0] if self.changed else maps

    def _picked(self, values: torch.Tensor, fill: float) -> torch.Tensor:
        """Return values (B, C, H, W), each pixel that of the nearest."""
        if not self._only_flips(values):
            return self._source(values).pick(values, fill)
        out = values.clone()
        out[self._flipped] = values[self._flipped].flip(3 - self._axis)
        return out

    def _only_flips(self, values: torch.Tensor) -> bool:
        """Return whether values (..., H, W) are only mirrored, about the middle of their frame."""
        return not self.moved and not _is_ragged(self.sizes, (values.shape[-2], values.shape[-1]))

    def _source(self, values: torch.Tensor) -> _Sources:
        """Return where the pixels of values (..., H, W) come from, worked out once for each frame and device."""
        frame, device = (int(values.shape[-2]), int(values.shape[-1])), values.device
        if (frame, device) not in self._sources:
            self._sources[frame, device] = _Sources(torch.linalg.inv(self.matrices), self.sizes, frame, device)
        return self._sources[frame, device]


class _Sources:
    """Where each pixel of a frame comes from: the point at `x`, `y` in its image, both float32 (B, H, W).

    `inverses`: float64 (B, 3, 3), from where points are shown to where they were. Everything is worked out when it is
    first needed. For nearest pixels, `place` int64 (B, H, W) is the pixel in rows that holds the point, and `inside`
    bool (B, H, W) says whether there is one.
    """

    def __init__(self, inverses: torch.Tensor, sizes: torch.Tensor, frame: Size, device: torch.device) -> None:
        self.frame, self.ragged = frame, _is_ragged(sizes, frame)
        rows = inverses[:, :2, :, None, None].to(device, torch.float32)  # (B, 2, 3, 1, 1)
        self.down = (torch.arange(frame[0], device=device, dtype=torch.float32) + 0.5)[:, None]
        self.across = torch.arange(frame[1], device=device, dtype=torch.float32) + 0.5
        # x and y are sums of a part (B, 1, W) that changes along a row and a part (B, H, 1) that changes down a column
        self.parts = [(row[:, 0] * self.across, row[:, 1] * self.down + row[:, 2]) for row in rows.unbind(1)]
        self.high, self.wide = sizes.to(device, torch.float32)[:, :, None, None].unbind(1)

    @cached_property
    def x(self) -> torch.Tensor:
        return torch.add(*self.parts[0])

    @cached_property
    def y(self) -> torch.Tensor:
        return torch.add(*self.parts[1])

    @cached_property
    def own(self) -> torch.Tensor:
        """What is not beyond an image's own size, bool (B, H, W)."""
        return (self.across < self.wide) & (self.down < self.high)

    @cached_property
    def inside(self) -> torch.Tensor:
        inside = self.x >= 0
        inside &= self.x < self.wide
        inside &= self.y >= 0
        inside &= self.y < self.high
        return inside & self.own if self.ragged else inside

    @cached_property
    def place(self) -> torch.Tensor:
        height, width = self.frame
        place = (
            self.y.int().clamp_(0, height - 1).mul_(width)
        )  # small numbers and few new tensors: it is 3 times faster
        return place.add_(self.x.int().clamp_(0, width - 1)).long()

    def grid(self, *, border: bool) -> torch.Tensor:
        """Return the points for `grid_sample`, (B, H, W, 2), with `border` moved to the outermost centres."""
        grid = self.across.new_empty((len(self.high), *self.frame, 2))
        for axis, (side, end) in enumerate(((self.frame[1], self.wide), (self.frame[0], self.high))):
            along, down = self.parts[axis]
            own = torch.add(along * (2 / side), down * (2 / side) - 1, out=grid[..., axis])
            if border:
                torch.clamp(own, torch.full_like(end, 1 / side - 1), (2 * end - 1) / side - 1, out=own)
        return grid

    def pick(self, values: torch.Tensor, fill: float) -> torch.Tensor:
        """Return values (B, C, H, W) at the points' pixels, `fill` where there is none."""
        place = self.place.flatten(1)[:, None].expand(-1, values.shape[1], -1)
        picked = values.flatten(2).gather(2, place).reshape(values.shape)
        return picked.masked_fill_(~self.inside[:, None], fill)


def _sizes(size: Size | torch.Tensor, count: int) -> torch.Tensor:
    return size if isinstance(size, torch.Tensor) else torch.tensor(size, dtype=torch.int64).expand(count, 2)


def _is_ragged(sizes: torch.Tensor, frame: Size) -> bool:
    return bool((sizes != torch.tensor(frame)).any())


def uniform(count: int, generator: torch.Generator) -> torch.Tensor:
    """Return float64 (count,) in [0, 1) on the CPU."""
    return torch.rand(count, generator=generator, dtype=torch.float64)
