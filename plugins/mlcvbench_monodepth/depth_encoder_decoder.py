"""An encoder that classifies images and a decoder with skips, learned from depth.

Laina et al., "Deeper Depth Prediction with Fully Convolutional Residual Networks" (2016), for an encoder of residual
blocks and the reverse Huber; the decoder is that of Godard et al. (2019). At full size `model.backbone=
torchvision:resnet18 model.widths=[16,32,64,128,256] model.decoder=published model.finest=0`: 14,329,236 parameters less
those of the coarser outputs, 1,623, and with `torchvision:resnet50` 32,521,969 with 2,048 channels at stride 32.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from mlcvbench.contract import Batch, Predictions, Problem
from mlcvbench_monodepth.cameras import REFERENCE, fact_of, focal_lengths
from mlcvbench_monodepth.up_decoder import Decoding, UpDecoder
from mlcvbench_networks.arithmetic import mean_over
from mlcvbench_networks.backbone_base import Backbone
from mlcvbench_networks.bases.depth_network import DepthNetwork
from mlcvbench_networks.bases.network_model import Losses
from mlcvbench_networks.initialisation import he_initialised
from mlcvbench_networks.stereo.losses import berhu, silog
from mlcvbench_networks.stereo.scale_and_shift import scale_and_shift_invariant

if TYPE_CHECKING:
    from mlcvbench_training.objective import Network
    from mlcvbench_training.samples import SampleBatch

START = 4.0
"""Metres that are told of every pixel before training."""
NEAREST = 1e-3
"""Metres of the least truth that counts as known."""
RELATIVE = "ssi"
"""The loss that learns inverse depth up to scale and shift; all others learn metres."""


class DepthEncoderDecoder(DepthNetwork):
    """log Z from the decoder's finest map, brought to the image's size as metres.

    `loss`: `log_l1` |log p - log t|; `l1` |p - t| and `berhu` in metres; `silog`; `ssi`, with which what is told is
    inverse depth up to scale and shift, for protocols `scale-shift-inverse`.
    `focal`: whether metres are in proportion to the focal length that the data tell, for what is seen is size / Z
    (Facil et al., "CAM-Convs", 2019; Yin et al., "Metric3D", 2023, section 3.2).
    """

    def __init__(
        self,
        problem: Problem,
        widths: Sequence[int] = (16, 16, 32, 64, 96),
        finest: int = 1,
        decoder: str = "normed",
        loss: str = "log_l1",
        *,
        focal: bool = False,
        **backbone: Any,
    ) -> None:
        super().__init__(problem, widths=widths, finest=finest, decoder=decoder, loss=loss, focal=focal, **backbone)
        self.decoding = Decoding(tuple(widths), finest, normed=decoder == "normed")
        self.kind, self.focal = loss, focal

    @property
    def relative(self) -> bool:
        """Whether what is told is inverse depth up to scale and shift."""
        return self.kind == RELATIVE

    def network(self) -> nn.Module:
        body = self.new_backbone()
        body.add_half()
        return EncoderDecoder(body, self.decoding, relative=self.relative)

    def columns_wanted(self) -> Mapping[str, Any]:
        return {**super().columns_wanted(), **({"facts": ("intrinsics",)} if self.focal else {})}

    def loss(self, network: Network, batch: SampleBatch, generator: torch.Generator) -> Losses:
        found, truth = self.answers(network, batch), batch.maps["depth"][:, None]
        known = truth > NEAREST
        if self.focal:
            found = found * self._factor(batch.facts["intrinsics"])
        return LOSSES[self.kind](found, truth, known)

    def postprocess(self, outputs: torch.Tensor, batch: Batch) -> Predictions:
        if self.focal and len(batch):
            intrinsics = fact_of(batch, "intrinsics", "depth_encoder_decoder", "set model.focal=false")
            outputs = outputs * self._factor(intrinsics).to(outputs)
        return super().postprocess(outputs, batch)

    def _factor(self, intrinsics: torch.Tensor) -> torch.Tensor:
        """Return what is multiplied with what the network tells, (B, 1, 1, 1)."""
        factor = focal_lengths(intrinsics) / REFERENCE
        return 1 / factor if self.relative else factor


class EncoderDecoder(nn.Module):
    """Metres, e^x; or inverse depth up to scale and shift, log(1 + e^x), which as a prediction must be positive."""

    def __init__(self, body: Backbone, decoding: Decoding, *, relative: bool) -> None:
        super().__init__()
        self.backbone, self.decoder, self.relative = body, UpDecoder(body.channels, decoding), relative
        if decoding.normed:
            he_initialised(self.decoder)
        (head,) = self.decoder.heads
        assert isinstance(head, nn.Conv2d)
        assert head.bias is not None
        if not relative:  # of relative depth a constant says nothing, and its gradient is 0
            nn.init.zeros_(head.weight)  # else the first depths are powers of ten
        nn.init.constant_(head.bias, 0.0 if relative else math.log(START))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        (told,) = self.decoder(self.backbone(images))
        told = told.float() if told.itemsize < 4 else told
        return nn.functional.softplus(told) if self.relative else told.exp()


def _log_l1(found: torch.Tensor, truth: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    return mean_over((found / truth.where(known, 1.0)).log().abs(), known)


def _l1(found: torch.Tensor, truth: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    return mean_over((found - truth).abs(), known)


def _relative(found: torch.Tensor, truth: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    return scale_and_shift_invariant(found, 1 / truth.where(known, 1.0), known)


LOSSES: Mapping[str, Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "log_l1": _log_l1,
    "l1": _l1,
    "berhu": berhu,
    "silog": silog,
    RELATIVE: _relative,
}
