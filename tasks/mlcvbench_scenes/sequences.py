"""Short sequences of a walking camera around the frames of a split, for self-supervised depth."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mlcvbench_scenes.cached import Arrays
from mlcvbench_scenes.camera import Rig
from mlcvbench_scenes.dataset import SceneSettings, in_blocks, scene_of
from mlcvbench_scenes.hashing import Draws
from mlcvbench_scenes.render import render
from mlcvbench_scenes.scene import Scene

ASIDE, UP, AHEAD = 0.10, 0.02, (0.06, 0.14)
"""Metres from one frame to the next, at most to either side and up or down, and least and most forward."""
TURN = 0.008
"""Half-angle tangent of the turn from frame to frame, at most: about one degree."""


@dataclasses.dataclass(frozen=True)
class Sequences:
    """N sequences of T frames; frame T // 2 is the split's own left frame.

    - `frames`: uint8 (N, T, H, W, 3).
    - `poses`: float64 (N, T, 4, 4), camera to world, metres.
    """

    frames: NDArray[np.uint8]
    poses: NDArray[np.float64]


def sequence_frames(settings: SceneSettings, split: str, length: int) -> Sequences:
    """Return `length` frames around each left frame of a split; the errors of `left_frames`."""

    def draw(scenes: Sequence[Scene]) -> Arrays:
        walks = [_walk(scene, length) for scene in scenes]
        images = [
            [render(scene, rig.left, moment=at - length // 2).image for at, rig in enumerate(walk)]
            for scene, walk in zip(scenes, walks, strict=True)
        ]
        return {"frames": np.array(images), "poses": np.array([[rig.left.pose for rig in walk] for walk in walks])}

    return Sequences(**in_blocks(f"sequence-{length}-frames", settings, split, draw))


def sequence_poses(settings: SceneSettings, split: str, length: int) -> NDArray[np.float64]:
    """Return the poses of `sequence_frames`, float64 (N, T, 4, 4), without drawing the frames."""
    scenes = (scene_of(settings, split, place) for place in range(settings.counts[split]))
    return np.array([[rig.left.pose for rig in _walk(scene, length)] for scene in scenes])


def _walk(scene: Scene, length: int) -> list[Rig]:
    """Return the rig at each moment: it moves and turns evenly, and is at its original pose in the middle frame."""
    draws = Draws("walk", scene.key)
    step = draws.uniform(-ASIDE, ASIDE), draws.uniform(-UP, UP), draws.uniform(*AHEAD)
    turn = draws.uniform(-TURN, TURN), draws.uniform(-TURN, TURN), 0.0
    rigs = []
    for moment in range(length):
        away = float(moment - length // 2)
        there = step[0] * away, step[1] * away, step[2] * away
        rigs.append(scene.rig.moved(there, (turn[0] * away, turn[1] * away, 0.0)))
    return rigs
