"""From a scene to pictures and their ground truth, one step after another."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mlcvbench_scenes.camera import Camera, Rig
from mlcvbench_scenes.hashing import mix
from mlcvbench_scenes.scene import Scene
from mlcvbench_scenes.sensor import expose
from mlcvbench_scenes.shading import radiance
from mlcvbench_scenes.truth import Instances, disparity_of, find_instances, occlusion, semantic_labels
from mlcvbench_scenes.visibility import View, look


@dataclasses.dataclass(frozen=True)
class Frame:
    """What one camera sees.

    - `camera`: its intrinsics and pose.
    - `image`: uint8 (H, W, 3).
    - `depth`: float32 (H, W), metres along the optical axis, at pixel centres; inf where nothing is met,
      which only a camera that looks back from the wall can see.
    - `surface`: uint8 (H, W): 0 ground, 1 wall, 2 + i is `scene.things[i]`, 255 nothing.
    - `semantic`: uint8 (H, W), indices into `CLASSES`; 255 where nothing is met.
    - `instances`: the solids in view.
    """

    camera: Camera
    image: NDArray[np.uint8]
    depth: NDArray[np.float32]
    surface: NDArray[np.uint8]
    semantic: NDArray[np.uint8]
    instances: Instances

    @property
    def masks(self) -> NDArray[np.bool_]:
        """One mask per instance, bool (N, H, W)."""
        return self.instances.masks(self.surface)


@dataclasses.dataclass(frozen=True)
class StereoFrame:
    """What both cameras see; a point at column x of the left image is at column x - disparity of the right one.

    - `disparity`: float32 (H, W), pixels, of the left image.
    - `occluded`: bool (H, W), pixels of the left image whose point the right camera does not see.
    - `right_disparity`, `right_occluded`: the same for the right image, whose points are at column x + disparity.
    """

    left: Frame
    right: Frame
    rig: Rig
    disparity: NDArray[np.float32]
    occluded: NDArray[np.bool_]
    right_disparity: NDArray[np.float32]
    right_occluded: NDArray[np.bool_]


def render(scene: Scene, camera: Camera | None = None, *, antialias: bool = True, moment: int = 0) -> Frame:
    """Return one view of a scene; without a camera, the left one of the rig it was composed for.

    `antialias` and `moment` as for `render_stereo`.
    """
    with np.errstate(all="ignore"):  # rays that miss divide by zero and are dropped by comparisons
        return _frames(scene, [camera or scene.rig.left], antialias, str(moment))[0][0]


def render_stereo(scene: Scene, rig: Rig | None = None, *, antialias: bool = True, moment: int = 0) -> StereoFrame:
    """Return a scene as seen by a rig, its own by default.

    - `antialias`: four rays per pixel for colour instead of one; depth and labels always belong to pixel centres.
    - `moment`: names the noise of one of several exposures.
    """
    rig = rig or scene.rig
    with np.errstate(all="ignore"):
        frames, views = _frames(scene, [rig.left, rig.right], antialias, str(moment))
        return StereoFrame(
            left=frames[0],
            right=frames[1],
            rig=rig,
            disparity=disparity_of(views[0].depth, rig.left.focal, rig.baseline),
            occluded=occlusion(scene, views[0], rig, from_left=True),
            right_disparity=disparity_of(views[1].depth, rig.left.focal, rig.baseline),
            right_occluded=occlusion(scene, views[1], rig, from_left=False),
        )


def render_sequence(scene: Scene, rigs: Sequence[Rig], *, antialias: bool = True) -> list[StereoFrame]:
    """Return what a moving rig sees, one stereo frame per pose; the noise differs from frame to frame."""
    return [render_stereo(scene, rig, antialias=antialias, moment=moment) for moment, rig in enumerate(rigs)]


def _frames(scene: Scene, cameras: list[Camera], antialias: bool, moment: str) -> tuple[list[Frame], list[View]]:
    views = [look(scene, camera, 1, np.float64) for camera in cameras]
    samples = 2 if antialias else 1
    seen = [look(scene, camera, 2, np.float32) for camera in cameras] if antialias else views
    lights = radiance(scene, seen, samples)
    frames = []
    for eye, (view, light) in enumerate(zip(views, lights, strict=True)):
        frames.append(
            Frame(
                camera=view.camera,
                image=expose(light, samples, scene.noise, mix(scene.key, "noise", moment, eye)),
                depth=view.depth.astype(np.float32),
                surface=view.surface,
                semantic=semantic_labels(scene, view.surface),
                instances=find_instances(scene, view),
            )
        )
    return frames, views
