"""MC-CNN (Zbontar and LeCun 2016, "Stereo Matching by Training a Convolutional Neural Network to Compare Image
Patches"): a network says how well two patches match; semi-global matching and checks make a map of it.

`fast` (section 3.1): four convolutions on each image, and the cosine of two descriptions, learned by a hinge.
`accurate` (section 3.2): fully connected layers judge two descriptions side by side, learned by cross-entropy. As
published for KITTI, on grey images: `model.net=fast model.width=64` (111,424 parameters) and `model.net=accurate
model.width=112 model.hidden=384` (870,449), each with four convolutions, which look at patches of 9x9 pixels.

An image is described once, not once for each pair of patches; what the layers of `accurate` have to do for each
disparity begins only after the description.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mlcvbench.contract import Array, Batch, Predictions, Problem
from mlcvbench.errors import RequestError
from mlcvbench_networks.bases.network_model import Losses, sizes_of
from mlcvbench_networks.bases.stereo_network import SMALLEST, StereoNetwork
from mlcvbench_networks.stereo.volumes import correlation
from mlcvbench_stereo.matcher import grey
from mlcvbench_stereo.scan_paths import DIRECTIONS, Penalties, path_sums
from mlcvbench_stereo.winners import HOLE, STEPS, filled, median3, winners

if TYPE_CHECKING:
    from mlcvbench_training.objective import Network
    from mlcvbench_training.samples import SampleBatch

GREY = (0.299, 0.587, 0.114)
MARGIN = 0.2
PATCHES = 400
"""Pixels of an image that a step learns from."""
NEAREST, FARTHEST = 2.0, 8.0
"""How many pixels beside the true match a wrong one lies."""
COST = 1000
"""The cost of a match that is surely wrong, in the whole numbers of semi-global matching."""


class MCCNN(StereoNetwork):
    """`p1`, `p2`: what a step by a level and a larger one cost, as shares of a sure mismatch; `edges`: see `sgm`."""

    MULTIPLE = 1

    def __init__(  # noqa: PLR0913, PLR0917 - settings that are given by name
        self,
        problem: Problem,
        net: str = "fast",
        width: int = 32,
        layers: int = 4,
        hidden: int = 64,
        disparities: int | None = None,
        colour: bool = False,
        p1: float = 0.05,
        p2: float = 0.4,
        edges: float = 10.0,
        **params: Any,
    ) -> None:
        if p2 <= p1:
            raise RequestError(f"mc_cnn: p1={p1:g}, p2={p2:g}: wanted p2 larger than p1.")
        given: dict[str, Any] = {
            "net": net,
            "width": width,
            "layers": layers,
            "hidden": hidden,
            "disparities": disparities,
        }
        super().__init__(problem, **given, colour=colour, p1=p1, p2=p2, edges=edges, **params)
        self.net, self.width, self.layers, self.hidden = net, width, layers, hidden
        self.disparities, self.colour = disparities, colour
        self.penalties = Penalties(round(p1 * COST), round(p2 * COST), edges)

    @property
    def levels(self) -> int:
        return self.disparities or super().levels

    def network(self) -> nn.Module:
        channels = self.channels if self.colour else 1
        if self.net == "fast":
            return Fast(channels, self.width, self.layers, self.levels)
        return Accurate(channels, self.width, self.layers, self.hidden, self.levels)

    def loss(self, network: Network, batch: SampleBatch, generator: torch.Generator) -> Losses:
        """Return the loss of a true and a wrong match for each of some pixels whose disparity is known."""
        true, wrong = matches(batch.maps["disparity"], generator)
        good, bad = network(*(batch.inputs[name] for name in self.INPUTS), torch.cat([true, wrong])).chunk(2)
        share = (good > bad).float().mean() if len(good) else good.sum()
        if self.net == "fast":
            return {"loss": hinge(good, bad), "right": share}
        return {"loss": binary_cross_entropy(good, bad), "right": share}

    def postprocess(self, outputs: torch.Tensor, batch: Batch) -> Predictions:
        costs = ((1 - outputs) * COST).round().to(torch.int16).cpu().numpy()
        sizes, left = sizes_of(batch, "left"), batch.inputs["left"]
        maps = [
            self.disparity(np.ascontiguousarray(own[:, :height, :width]), grey(image))
            for own, (height, width), image in zip(costs, sizes, left, strict=True)
        ]
        return {"disparity": np.stack(maps) if len(set(sizes)) == 1 else maps}

    def disparity(self, costs: Array, guide: Array) -> Array:
        """Return float32 pixels (H, W) of costs (levels, H, W), as in section 4 but without cross-based means."""
        sums = path_sums(costs, DIRECTIONS["hh4"], self.penalties, guide)
        found = median3(filled(winners(sums, uniqueness=0, consistency=1)))
        assert (found != HOLE).all()
        return (found.astype(np.float32) / STEPS).clip(min=SMALLEST)


class Described(nn.Module):
    """Convolutions 3x3 that describe the patch around each pixel; no ReLU after the last one in `fast`."""

    def __init__(self, channels: int, width: int, layers: int, levels: int, *, last_relu: bool) -> None:
        super().__init__()
        self.channels, self.levels = channels, levels
        parts: list[nn.Module] = []
        for layer in range(layers):
            parts += [nn.Conv2d(channels if layer == 0 else width, width, 3, padding=1), nn.ReLU(inplace=True)]
        self.convolutions = nn.Sequential(*(parts if last_relu else parts[:-1]))

    def described(self, images: torch.Tensor) -> torch.Tensor:
        """Return the features (B, F, H, W) of images, which are made grey if need be, of mean 0 and deviation 1."""
        if images.shape[1] > self.channels:
            weights = torch.tensor(GREY, device=images.device)[:, None, None]
            images = (images * weights).sum(1, keepdim=True)
        images = images - images.mean((2, 3), keepdim=True)
        spread = images.square().mean((1, 2, 3), keepdim=True).sqrt()  # `std` warns of a batch of no images
        features: torch.Tensor = self.convolutions(images / (spread + 1e-3))
        return features


class Fast(Described):
    """The cosine of two descriptions."""

    def __init__(self, channels: int, width: int, layers: int, levels: int) -> None:
        super().__init__(channels, width, layers, levels, last_relu=False)

    def forward(self, left: torch.Tensor, right: torch.Tensor, at: torch.Tensor | None = None) -> torch.Tensor:
        """Return scores (N,) in [-1, 1] of pairs of pixels, or in [0, 1] of all disparities, (B, levels, H, W)."""
        own, other = self.described(torch.cat([left, right])).chunk(2)
        if at is not None:
            return functional.cosine_similarity(*pairs(own, other, at), dim=1)
        cosines = correlation(functional.normalize(own), functional.normalize(other), self.levels) * own.shape[1]
        return seen((1 + cosines) / 2)


class Accurate(Described):
    """Fully connected layers over both descriptions."""

    def __init__(self, channels: int, width: int, layers: int, hidden: int, levels: int) -> None:
        super().__init__(channels, width, layers, levels, last_relu=True)
        self.first = nn.Linear(2 * width, hidden)
        self.rest = nn.Sequential(
            *(part for _ in range(3) for part in (nn.ReLU(inplace=True), nn.Linear(hidden, hidden))),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, 1),
        )

    def forward(self, left: torch.Tensor, right: torch.Tensor, at: torch.Tensor | None = None) -> torch.Tensor:
        """Return logits (N,) of pairs of pixels, or probabilities of all disparities, (B, levels, H, W)."""
        own, other = self.described(torch.cat([left, right])).chunk(2)
        if at is not None:
            judged: torch.Tensor = self.rest(self.first(torch.cat(pairs(own, other, at), 1)))[:, 0]
            return judged
        # the first layer is a sum of what it says of each description, so that this much is done once an image
        count = own.shape[1]
        lefts = functional.linear(own.permute(0, 2, 3, 1), self.first.weight[:, :count], self.first.bias)
        rights = functional.linear(other.permute(0, 2, 3, 1), self.first.weight[:, count:])
        scores = [
            self.rest(lefts + functional.pad(rights, (0, 0, level, 0))[:, :, : rights.shape[2]])[..., 0]
            for level in range(self.levels)
        ]
        return seen(torch.stack(scores, 1).sigmoid())


def matches(disparity: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Return true and wrong matches, int64 (N, 4) each: image, row, left column, right column.

    Of pixels of known disparity (B, H, W) whose matches lie inside the right image. The true column is the nearest
    pixel; a wrong one lies 2 to 8 pixels beside it, either way (section 3.1, with distances for small images).
    """
    width = disparity.shape[2]
    columns = torch.arange(width, device=disparity.device)
    shown = (disparity > 0) & (columns - disparity >= FARTHEST) & (columns - disparity < width - FARTHEST)
    places = shown.nonzero()
    order = torch.randperm(len(places), generator=generator)[: PATCHES * len(disparity)].to(disparity.device)
    image, row, column = places[order].unbind(1)
    match = (column - disparity[image, row, column]).round().long()
    draws = torch.rand(2, len(order), generator=generator).to(disparity.device)
    beside = (NEAREST + (FARTHEST - NEAREST) * draws[0]).round().long() * torch.where(draws[1] < 0.5, -1, 1)
    wrong = (match + beside).clamp(0, width - 1)
    return torch.stack([image, row, column, match], 1), torch.stack([image, row, column, wrong], 1)


def pairs(left: torch.Tensor, right: torch.Tensor, at: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the features (N, F) of the left and the right pixels of matches (N, 4)."""
    image, row, own, other = at.unbind(1)
    return left[image, :, row, own], right[image, :, row, other]


def hinge(good: torch.Tensor, bad: torch.Tensor) -> torch.Tensor:
    """Return the mean of max(0, margin + s- - s+); 0 of none."""
    return (MARGIN + bad - good).clamp(min=0).sum() / max(len(good), 1)


def binary_cross_entropy(good: torch.Tensor, bad: torch.Tensor) -> torch.Tensor:
    """Return the mean cross-entropy of logits of true and of wrong matches; 0 of none."""
    return (functional.softplus(-good) + functional.softplus(bad)).sum() / max(2 * len(good), 1)


def seen(scores: torch.Tensor) -> torch.Tensor:
    """Return scores (B, levels, H, W) with 0 where the match would lie left of the right image."""
    columns = torch.arange(scores.shape[3], device=scores.device)
    levels = torch.arange(scores.shape[1], device=scores.device)[:, None, None]
    return scores * (columns >= levels)
