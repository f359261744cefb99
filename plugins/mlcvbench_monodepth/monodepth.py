"""Depth from one image, learned from pairs without any depth: each view must be made from the other.

Godard, Mac Aodha and Brostow, "Unsupervised Monocular Depth Estimation with Left-Right Consistency" (2017). As
published, for images of 256 x 512 pixels: `model.backbone=monodepth model.widths=[16,32,64,128,256,512,512]
model.decoder=published model.finest=0`, 31,600,072 parameters; or `model.backbone=torchvision:resnet50`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mlcvbench.contract import Batch, FitContext, FitReport, Predictions, Problem, Split
from mlcvbench.errors import RequestError
from mlcvbench_monodepth.cameras import check_supervision, fact_of, focal_lengths
from mlcvbench_monodepth.up_decoder import Decoding, UpDecoder
from mlcvbench_networks.arithmetic import mean_over
from mlcvbench_networks.backbone_base import Backbone
from mlcvbench_networks.bases.depth_network import DepthNetwork
from mlcvbench_networks.bases.network_model import Losses
from mlcvbench_networks.initialisation import he_initialised, prior_bias
from mlcvbench_networks.stereo.losses import left_right, photometric, smoothness
from mlcvbench_networks.stereo.warping import warp_by_disparity
from mlcvbench_training.affine import Affine, uniform

if TYPE_CHECKING:
    from mlcvbench_training.objective import Network
    from mlcvbench_training.samples import SampleBatch
    from mlcvbench_training.settings import NetworkSettings

LARGEST = 0.3
"""Disparities end at this share of the image's width (section 3.3)."""
START = 0.05
"""The share of the width that every disparity has before training."""
SCALES = 4
PUBLISHED = "monodepth"
"""The name of the paper's own encoder."""
KERNELS, WIDTHS = (7, 5, 3, 3, 3, 3, 3), (32, 64, 128, 256, 512, 512, 512)
"""Of its levels (the paper's table of layers)."""
APPEARANCE, SMOOTH, CONSISTENT = 1.0, 0.1, 1.0
"""Weights of the three terms (section 4); that of smoothness is halved with each coarser scale."""
EDGE = 0.05
"""The part of the width at either border for which one of the two passes of `flips` is taken alone (section 4)."""
ADVICE = "train and test with data.supervision=stereo"


class Monodepth(DepthNetwork):
    """The left image alone tells the disparities of both views at four scales; depth is focal length x baseline / d.

    Disparities are shares of the width, in the terms of the loss too, so that its weights mean the same at every scale
    and size. `flips`: the image is also shown mirrored, and both answers are joined (post-processing, section 4).
    """

    SAMPLES: ClassVar[Mapping[str, Any]] = {"inputs": ("image", "right")}

    def __init__(
        self,
        problem: Problem,
        backbone: str = "small",
        widths: Sequence[int] = (16, 16, 32, 64, 96),
        finest: int = 1,
        decoder: str = "normed",
        *,
        flips: bool = False,
        **further: Any,
    ) -> None:
        given: dict[str, Any] = {"widths": widths, "finest": finest, "decoder": decoder, "flips": flips}
        super().__init__(problem, backbone=backbone, **given, **further)
        self.published, self.flips = backbone == PUBLISHED, flips
        if len(widths) != (levels := len(WIDTHS) if self.published else 5):
            raise RequestError(f"monodepth: model.widths: wanted {levels} for this backbone, got {len(widths)}.")
        self.decoding = Decoding(
            tuple(widths), finest, SCALES, outputs=2, normed=decoder == "normed", feeds=True, late=False
        )

    def network(self) -> nn.Module:
        body = PublishedEncoder(self.channels) if self.published else self.new_backbone()
        if not self.published:
            body.add_half()
        return TwoViews(body, self.decoding)

    def fit(self, train_split: Split, val: Split | None, ctx: FitContext) -> FitReport:
        check_supervision(self.problem, "monodepth", "stereo")
        return super().fit(train_split, val, ctx)

    def loss(self, network: Network, batch: SampleBatch, generator: torch.Generator) -> Losses:
        left, right = batch.inputs["image"], batch.inputs["right"]
        terms = [torch.zeros((), device=left.device) for _ in range(3)]
        for scale, told in enumerate(network(left)):
            for place, term in enumerate(self._terms(told, left, right)):
                terms[place] = terms[place] + (term / 2**scale if place == 1 else term)
        alike, smooth, consistent = terms
        total = APPEARANCE * alike + SMOOTH * smooth + CONSISTENT * consistent
        return {"loss": total, "appearance": alike, "smoothness": smooth, "consistency": consistent}

    def _terms(self, told: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return appearance, smoothness and consistency of both views (equations 2 to 4) at the scale of a map."""
        size, width = told.shape[2:], told.shape[3]
        views = [functional.interpolate(view, size, mode="area") for view in (left, right)]
        of_left, of_right = told[:, :1], told[:, 1:]
        made = warp_by_disparity(views[1], width * of_left), warp_by_disparity(views[0], -width * of_right)
        alike = sum(mean_over(photometric(w.image, view), w.inside) for w, view in zip(made, views, strict=True))
        smooth = sum(
            smoothness(own, view, normalised=False) for own, view in zip((of_left, of_right), views, strict=True)
        )
        return torch.as_tensor(alike), torch.as_tensor(smooth), left_right(width * of_left, width * of_right) / width

    def augment(self, batch: SampleBatch, settings: NetworkSettings, generator: torch.Generator) -> SampleBatch:
        """Mirror pairs too, by `fit.flip`: the mirrored right image is then the left one, and the other way round."""
        batch = super().augment(batch, replace(settings, flip=0.0), generator)
        if not settings.flip:
            return batch
        left, right = batch.inputs["image"], batch.inputs["right"]
        mirrored = (uniform(len(batch), generator) < settings.flip).to(left.device)[:, None, None, None]
        every = Affine.draw(len(batch), batch.own_sizes(), generator, flip=1.0)
        swapped = {
            "image": torch.where(mirrored, every.images(right), left),
            "right": torch.where(mirrored, every.images(left), right),
        }
        return replace(batch, inputs={**batch.inputs, **swapped})

    def preprocess(self, batch: Batch) -> Any:
        """Return images as the base does; with `flips` the mirrored ones after them."""
        seen = super().preprocess(batch)
        if not self.flips:
            return seen
        turned = {"image": _mirrored(batch.inputs["image"])}
        return torch.cat([seen, super().preprocess(replace(batch, inputs=turned))])

    def postprocess(self, outputs: torch.Tensor, batch: Batch) -> Predictions:
        if not len(batch):
            return {"depth": []}
        found = self.cropped(outputs[: len(batch), 0], batch)
        if self.flips:
            found = _joined(found, _mirrored(self.cropped(outputs[len(batch) :, 0], batch)))
        focal = focal_lengths(fact_of(batch, "intrinsics", "monodepth", ADVICE)).flatten().numpy()
        baseline = fact_of(batch, "baseline", "monodepth", ADVICE).numpy()
        metres = focal * baseline / outputs.shape[3]
        parts = [np.float32(one) / share for one, share in zip(metres, found, strict=True)]
        return {"depth": np.stack(parts) if isinstance(found, np.ndarray) else parts}


class TwoViews(nn.Module):
    """Disparities of the left and the right view as shares of the width, (B, 2, h, w) a scale in training.

    Afterwards the finest one alone is told.
    """

    def __init__(self, body: Backbone, decoding: Decoding) -> None:
        super().__init__()
        self.backbone, self.decoder = body, ShareDecoder(body.channels, decoding)
        if decoding.normed:
            he_initialised(self.decoder)
        for head in self.decoder.heads:
            assert isinstance(head, nn.Conv2d)
            assert head.bias is not None
            nn.init.zeros_(head.weight)
            nn.init.constant_(head.bias, prior_bias(START / LARGEST))

    def forward(self, images: torch.Tensor) -> Any:
        told = self.decoder(self.backbone(images), all_scales=self.training)
        return told if self.training else told[0]


class ShareDecoder(UpDecoder):
    """A decoder of disparities as shares of the width; a finer level is told those of the coarser one."""

    def tell(self, outputs: torch.Tensor) -> torch.Tensor:
        return LARGEST * outputs.sigmoid()


class PublishedEncoder(Backbone):
    """Seven levels of two convolutions, the first of stride 2, each followed by ELU; maps at strides 2 to 128."""

    channels = WIDTHS

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(inside, outside, kernel, 2, kernel // 2),
                nn.ELU(inplace=True),
                nn.Conv2d(outside, outside, kernel, 1, kernel // 2),
                nn.ELU(inplace=True),
            )
            for (inside, outside), kernel in zip(pairwise((channels, *WIDTHS)), KERNELS, strict=True)
        )

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        maps = [images]
        for level in self.levels:
            maps.append(level(maps[-1]))
        return maps[1:]


def _mirrored(column: Any) -> Any:
    """Return images or maps (B, H, W, ..) mirrored left to right; a list where sizes differ."""
    if isinstance(column, np.ndarray):
        return np.ascontiguousarray(column[:, :, ::-1])
    return [np.ascontiguousarray(one[:, ::-1]) for one in column]


def _joined(found: Any, mirrored: Any) -> Any:
    """Return the mean of disparities (H, W) and those that the mirrored images gave, but at the borders one of them.

    At the left border the left view shows what the right one does not, so that the mirrored image's is taken, in which
    that is at the other side; at the right border the plain one.
    """
    joined = []
    for plain, turned in zip(found, mirrored, strict=True):
        edge, both = int(EDGE * plain.shape[1]), (plain + turned) / 2
        both[:, :edge] = turned[:, :edge]
        both[:, plain.shape[1] - edge :] = plain[:, plain.shape[1] - edge :]
        joined.append(both)
    return np.stack(joined) if isinstance(found, np.ndarray) else joined
