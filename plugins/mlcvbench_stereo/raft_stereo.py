"""RAFT-Stereo (Lipson, Teed and Deng 2021, "RAFT-Stereo: Multilevel Recurrent Field Transforms for Stereo Matching"):
an estimate at a quarter of the size, corrected again and again by what all pairs of a row say around it.

As published: `model.width=64`, 32 steps at test and 22 in training; 11,116,176 parameters, where 11.23 million are
published.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from mlcvbench.contract import Problem
from mlcvbench_networks.arithmetic import in_full, mean_over
from mlcvbench_networks.bases.network_model import Losses
from mlcvbench_networks.bases.stereo_network import StereoNetwork
from mlcvbench_networks.dense.upsampling import bilinear
from mlcvbench_networks.initialisation import he_initialised
from mlcvbench_stereo.raft_encoders import ContextEncoder, FeatureEncoder
from mlcvbench_stereo.row_pyramid import looked_up, row_pyramid

if TYPE_CHECKING:
    from mlcvbench_training.objective import Network
    from mlcvbench_training.samples import SampleBatch

QUARTER = 4
LEVELS, RADIUS = 4, 4
"""Of the pyramid of a row, and how far around an estimate it is looked at."""
FADING = 0.9
"""Weight of a step's loss as a share of that of the step after it (equation 7)."""
MASK_RATE = 0.25
"""The published program divides the logits of the upsampling by 4, which slows their learning down."""


class RAFTStereo(StereoNetwork):
    """`steps`: corrections in training and at test. It needs no range of disparities: it begins at 0."""

    MULTIPLE = 32
    CHOOSES = True  # each step looks around the estimate of the one before

    def __init__(self, problem: Problem, width: int = 16, sizes: int = 3, steps: int = 6) -> None:
        super().__init__(problem, width=width, sizes=sizes, steps=steps)
        self.width, self.sizes, self.steps = width, sizes, steps

    def network(self) -> nn.Module:
        return RAFTNetwork(self.channels, self.width, self.sizes, self.steps)

    def pass_through(self, module: nn.Module, inputs: Any) -> torch.Tensor:
        last: torch.Tensor = module(*inputs)[-1]
        return last

    def loss(self, network: Network, batch: SampleBatch, generator: torch.Generator) -> Losses:
        """Return the sum over steps of the L1 distance, each weighing .9 of the next one."""
        truth = batch.maps["disparity"][:, None]
        found = network(*(batch.inputs[name] for name in self.INPUTS))
        errors = [mean_over((one - truth).abs(), truth > 0) for one in found]
        weighted = [FADING**later * error for later, error in enumerate(reversed(errors))]
        return {"loss": torch.stack(weighted).sum(), "l1": errors[-1]}


class RAFTNetwork(nn.Module):
    """`forward` returns the disparities (B, 1, H, W) of each step in training, else of the last one."""

    def __init__(self, channels: int, width: int, sizes: int, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self.features = FeatureEncoder(channels, width)
        self.context = ContextEncoder(channels, width, sizes)
        wide = 2 * width
        self.gates = nn.ModuleList(nn.Conv2d(wide, 3 * wide, 3, padding=1) for _ in range(sizes))
        self.motion = MotionEncoder(width)
        self.update = nn.ModuleList(
            # below the finest size each sees the next finer state, and all but the coarsest the next coarser one
            GRU(wide, wide * (1 + (size < sizes - 1)))
            for size in range(sizes)
        )
        self.step = nn.Sequential(
            nn.Conv2d(wide, 2 * wide, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(2 * wide, 2, 3, padding=1)
        )
        self.mask = nn.Sequential(
            nn.Conv2d(wide, 2 * wide, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(2 * wide, 9 * QUARTER**2, 1),
        )
        he_initialised(self)

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> list[torch.Tensor]:
        left, right = 2 * left - 1, 2 * right - 1
        own, other = self.features(torch.cat([left, right])).chunk(2)
        pyramid = row_pyramid(own, other, LEVELS)
        begun = self.context(left)
        states = [state for state, _ in begun]
        told = [gates(context).chunk(3, 1) for gates, (_, context) in zip(self.gates, begun, strict=True)]
        columns = torch.arange(pyramid[0].shape[2], device=left.device, dtype=torch.float32)
        disparity = columns.new_zeros(pyramid[0].shape[:3])  # in pixels of a quarter of the size
        found = []
        for step in range(self.steps):
            disparity = disparity.detach()
            around = looked_up(pyramid, columns - disparity, RADIUS)
            states = self.updated(states, told, self.motion(around, disparity))
            disparity = disparity + in_full(self.step(states[0]))[:, 0]
            if self.training or step == self.steps - 1:
                found.append(upsampled(disparity[:, None], MASK_RATE * self.mask(states[0])))
        return found

    def updated(
        self, states: Sequence[torch.Tensor], told: Sequence[Sequence[torch.Tensor]], motion: torch.Tensor
    ) -> list[torch.Tensor]:
        """Return the next states, the coarsest changed first; each is told of its neighbours in size (section 3.3)."""
        states = list(states)
        for size in reversed(range(len(states))):
            beside = [motion if size == 0 else halved(states[size - 1])]
            if size < len(states) - 1:
                beside.append(bilinear(states[size + 1], (states[size].shape[2], states[size].shape[3])))
            states[size] = self.update[size](states[size], told[size], torch.cat([one.to(motion) for one in beside], 1))
        return states


class MotionEncoder(nn.Module):
    """What was found around the estimate and the estimate itself, as 2 F maps. Of motion, one of two numbers is 0."""

    def __init__(self, width: int) -> None:
        super().__init__()
        found = LEVELS * (2 * RADIUS + 1)
        self.around = nn.Sequential(
            nn.Conv2d(found, width, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(inplace=True),
        )
        self.moved = nn.Sequential(
            nn.Conv2d(2, width, 7, padding=3),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(inplace=True),
        )
        self.both = nn.Sequential(nn.Conv2d(2 * width, 2 * width - 2, 3, padding=1), nn.ReLU(inplace=True))

    def forward(self, around: torch.Tensor, disparity: torch.Tensor) -> torch.Tensor:
        motion = torch.stack([-disparity, torch.zeros_like(disparity)], 1)
        both = self.both(torch.cat([self.around(around), self.moved(motion)], 1))
        return torch.cat([both, motion.to(both)], 1)


class GRU(nn.Module):
    """A gated recurrent unit of convolutions 3x3 (Cho et al. 2014), whose gates the context shifts."""

    def __init__(self, state: int, inside: int) -> None:
        super().__init__()
        self.keep, self.reset, self.candidate = (nn.Conv2d(state + inside, state, 3, padding=1) for _ in range(3))

    def forward(self, state: torch.Tensor, told: Sequence[torch.Tensor], inside: torch.Tensor) -> torch.Tensor:
        keep, reset, candidate = told
        both = torch.cat([state, inside], 1)
        update = torch.sigmoid(self.keep(both) + keep)
        reset = torch.sigmoid(self.reset(both) + reset)
        new = torch.tanh(self.candidate(torch.cat([reset * state, inside], 1)) + candidate)
        return torch.lerp(state, new, update)


def halved(maps: torch.Tensor) -> torch.Tensor:
    """Return maps of half the size: means over 3x3 pixels around every second one."""
    return functional.avg_pool2d(maps, 3, 2, 1)


def upsampled(disparity: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """Return disparities (B, 1, 4 h, 4 w) in their pixels, of those (B, 1, h, w) in pixels of that map.

    Each is a mean of the 3x3 coarse ones around it, with weights of its own: the softmax of logits (B, 9 * 16, h, w)
    over the nine (section 3.4).
    """
    batch, _, height, width = disparity.shape
    weights = in_full(logits).view(batch, 9, QUARTER, QUARTER, height, width).softmax(1)
    around = functional.unfold(QUARTER * in_full(disparity), 3, padding=1).view(batch, 9, 1, 1, height, width)
    fine = (weights * around).sum(1)  # (B, 4, 4, h, w)
    return fine.permute(0, 3, 1, 4, 2).reshape(batch, 1, QUARTER * height, QUARTER * width)
