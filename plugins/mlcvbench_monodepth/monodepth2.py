"""Depth from one image, learned from what a moving camera sees: the neighbouring frames must make the middle one.

Godard, Mac Aodha, Firman and Brostow, "Digging into Self-Supervised Monocular Depth Estimation" (2019). As published,
for images of 192 x 640 pixels: `model.backbone=torchvision:resnet18 model.widths=[16,32,64,128,256]
model.decoder=published model.finest=0 model.scales=4`, 14,329,236 parameters, and 12,500,492 of the network of motion,
which is needed in training only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import nn
from torch.nn import functional

from mlcvbench.contract import Batch, FitContext, FitReport, Predictions, Problem, Split
from mlcvbench.errors import DataError
from mlcvbench_monodepth.cameras import check_supervision
from mlcvbench_monodepth.up_decoder import Decoding, UpDecoder
from mlcvbench_networks.backbone_base import Backbone
from mlcvbench_networks.backbones import backbone
from mlcvbench_networks.bases.dense_model import enlarged
from mlcvbench_networks.bases.depth_network import DepthNetwork
from mlcvbench_networks.bases.network_model import Losses
from mlcvbench_networks.initialisation import he_initialised
from mlcvbench_networks.stereo.losses import minimum_reprojection, photometric, smoothness
from mlcvbench_networks.stereo.warping import warp_by_pose

if TYPE_CHECKING:
    from mlcvbench_training.objective import Network
    from mlcvbench_training.samples import DenseSamples, SampleBatch

NEAREST, FARTHEST = 0.1, 100.0
"""Depths that outputs of 1 and 0 mean (section 4), in units of their own: only the motion's is known, and to nobody."""
SMOOTH = 1e-3
"""The weight of smoothness (section 4)."""
STEP = 0.01
"""What the motion's numbers are multiplied by: a camera moves little from frame to frame."""
POSE_WIDTH = 256


class Monodepth2(DepthNetwork):
    """depth = 1 / (a + b x) of a logistic output x; every scale is judged at the image's size (section 3.3).

    Depth is right up to a factor for each image: score it with `median-scale`. `automask`: pixels count only where the
    moved frames are nearer to the middle one than the frames as they are (equation 5). `minimum`: a pixel's error is
    the least over the frames (equation 4), otherwise their mean. Colours change before the losses too, for the frames
    of a sample change alike.
    """

    SAMPLES: ClassVar[Mapping[str, Any]] = {"inputs": ("image", "frames"), "facts": ("intrinsics",)}

    def __init__(  # noqa: PLR0913 - the settings
        self,
        problem: Problem,
        backbone: str = "small",
        widths: Sequence[int] = (16, 16, 32, 64, 96),
        finest: int = 1,
        decoder: str = "normed",
        scales: int = 1,
        *,
        automask: bool = True,
        minimum: bool = True,
        **further: Any,
    ) -> None:
        given: dict[str, Any] = {"widths": widths, "finest": finest, "decoder": decoder, "scales": scales}
        super().__init__(problem, backbone=backbone, automask=automask, minimum=minimum, **given, **further)
        self.motion_backbone, self.automask, self.minimum = backbone, automask, minimum
        self.decoding = Decoding(tuple(widths), finest, scales, normed=decoder == "normed")

    def network(self) -> nn.Module:
        body = self.new_backbone()
        body.add_half()
        return DisparityNetwork(body, self.decoding)

    def beside_of(self, samples: DenseSamples) -> nn.Module | None:
        return MotionNetwork(backbone(self.motion_backbone, 3, images=2))

    def fit(self, train_split: Split, val: Split | None, ctx: FitContext) -> FitReport:
        check_supervision(self.problem, "monodepth2", "sequence")
        return super().fit(train_split, val, ctx)

    def loss(self, network: Network, batch: SampleBatch, generator: torch.Generator) -> Losses:
        frames, motion = batch.inputs["frames"], self.beside
        assert motion is not None
        count = frames.shape[1]
        if count < 2:
            raise DataError(f"monodepth2: wanted sequences of at least 2 frames, got {count}; set data.frames=3.")
        middle = count // 2
        target, others = frames[:, middle], [place for place in range(count) if place != middle]
        sources = torch.cat([frames[:, place] for place in others])  # (S B, C, H, W)
        moved = torch.cat([_motion(motion, frames, middle, place) for place in others])
        cameras = upright(batch.facts["intrinsics"]).repeat(len(others), 1, 1)
        wanted = target.repeat(len(others), 1, 1, 1)
        unmoved = photometric(sources, wanted).chunk(len(others)) if self.automask else ()
        unlike = smooth = torch.zeros((), device=target.device)
        outputs = network(target)
        for output in outputs:
            depth = depth_of(enlarged(output, batch.frame)).repeat(len(others), 1, 1, 1)
            seen = warp_by_pose(sources, depth, cameras, moved)
            errors, inside = photometric(seen.image, wanted).chunk(len(others)), seen.inside.chunk(len(others))
            unlike = unlike + self._least(errors, inside, unmoved)
            image = functional.interpolate(target, output.shape[2:], mode="area")
            smooth = smooth + smoothness(output, image)
        unlike, smooth = unlike / len(outputs), smooth / len(outputs)
        return {"loss": unlike + SMOOTH * smooth, "appearance": unlike, "smoothness": smooth}

    def _least(
        self, errors: Sequence[torch.Tensor], inside: Sequence[torch.Tensor], unmoved: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        if self.minimum:
            return minimum_reprojection(errors, inside, unmoved)
        mean = [torch.stack(list(maps)).mean(0) for maps in (errors, unmoved) if maps]
        return minimum_reprojection(mean[:1], [torch.stack(list(inside)).all(0)], mean[1:])

    def postprocess(self, outputs: torch.Tensor, batch: Batch) -> Predictions:
        return {"depth": self.cropped(depth_of(outputs)[:, 0], batch)}


class DisparityNetwork(nn.Module):
    """Logistic outputs (B, 1, h, w), one map a scale in training; afterwards the finest alone."""

    def __init__(self, body: Backbone, decoding: Decoding) -> None:
        super().__init__()
        self.backbone, self.decoder = body, UpDecoder(body.channels, decoding)
        if decoding.normed:
            he_initialised(self.decoder)
            for head in self.decoder.heads:
                assert isinstance(head, nn.Conv2d)
                nn.init.normal_(head.weight, std=0.01)  # else whole parts begin where a logistic has no slope

    def forward(self, images: torch.Tensor) -> Any:
        told = [maps.sigmoid() for maps in self.decoder(self.backbone(images), all_scales=self.training)]
        return told if self.training else told[0]


class MotionNetwork(nn.Module):
    """How a camera moves between two frames: an encoder that sees both, four convolutions, the mean over places.

    Six numbers, three of an axis times an angle and three of a move (section 4, the paper's table of layers), of which
    as published there are two sets, for both orders of the pair, and the first is used.
    """

    def __init__(self, body: Backbone) -> None:
        super().__init__()
        self.backbone = body
        self.layers = nn.Sequential(
            nn.Conv2d(body.channels[-1], POSE_WIDTH, 1), nn.ReLU(inplace=True),
            nn.Conv2d(POSE_WIDTH, POSE_WIDTH, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(POSE_WIDTH, POSE_WIDTH, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(POSE_WIDTH, 12, 1),
        )  # fmt: skip

    def forward(self, earlier: torch.Tensor, later: torch.Tensor) -> torch.Tensor:
        """Map two frames (B, C, H, W) to motions (B, 4, 4), from the earlier camera's coordinates to the later's."""
        pair = torch.cat([frame.expand(-1, 3, -1, -1) for frame in (earlier, later)], 1)
        numbers = STEP * self.layers(self.backbone(pair)[-1]).float().mean((2, 3))[:, :6]
        return rigid(numbers[:, :3], numbers[:, 3:])


def depth_of(outputs: torch.Tensor) -> torch.Tensor:
    """Return the depth of logistic outputs: 1 / FARTHEST at 0 to 1 / NEAREST at 1 is its inverse."""
    return 1 / (1 / FARTHEST + (1 / NEAREST - 1 / FARTHEST) * outputs)


def rigid(turn: torch.Tensor, move: torch.Tensor) -> torch.Tensor:
    """Return the motions (B, 4, 4) that turn about an axis by its length in radians, then move: both (B, 3).

    Rodrigues' formula as the exponential of the axis's matrix, whose slope is right at no turn at all.
    """
    x, y, z = turn.unbind(1)
    none = torch.zeros_like(x)
    skew = torch.stack([none, -z, y, z, none, -x, -y, x, none], 1).reshape(-1, 3, 3)
    upper = torch.cat([torch.linalg.matrix_exp(skew), move[:, :, None]], 2)
    last = torch.tensor([0.0, 0.0, 0.0, 1.0], device=turn.device, dtype=turn.dtype).expand(len(turn), 1, 4)
    return torch.cat([upper, last], 1)


def upright(intrinsics: torch.Tensor) -> torch.Tensor:
    """Return intrinsics with a positive focal length across: those of a mirrored image say that its x is turned round.

    The network of motion sees the mirrored image alone, and what it says is of a camera that looks at a mirrored world.
    """
    sign = torch.ones_like(intrinsics[:, :1])
    sign[:, 0, 0] = torch.where(intrinsics[:, 0, 0] < 0, -1.0, 1.0)
    return intrinsics * sign


def _motion(motion: nn.Module, frames: torch.Tensor, middle: int, place: int) -> torch.Tensor:
    """Return the motion from the middle camera to that of another frame; the network sees frames in their order."""
    if place > middle:
        return motion(frames[:, middle], frames[:, place])  # type: ignore[no-any-return]
    back: torch.Tensor = torch.linalg.inv(motion(frames[:, place], frames[:, middle]))
    return back
