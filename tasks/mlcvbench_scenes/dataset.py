"""Splits of rendered scenes as plain arrays, from which each task kind builds its data set.

    settings = SceneSettings.of(params, data_seed)     # params: level, size, train ...
    frames = left_frames(settings, "train")            # LeftFrames: images and their whole ground truth
    pairs = stereo_frames(settings, "test")            # StereoFrames: `pairs.left` is `left_frames` of the same split
    scene = scene_of(settings, "test", 7)              # the Scene of the eighth sample, to render it otherwise
    names = scene_ids(settings, "test")                # ids of the samples, which are their groups too

Each split has its own scene numbers, so that splits never share a scene; scene 7 of a split is the same whatever the
counts are. Frames are drawn in blocks and kept in the cache, each once: detection, segmentation and mono depth read the
same left frames, and stereo adds what only the right camera sees. A split of 0 scenes does not exist: `settings.splits`
names those that do.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlcvbench.errors import RequestError
from mlcvbench_scenes.cached import Arrays, kept
from mlcvbench_scenes.compose import compose, level_of
from mlcvbench_scenes.render import render, render_stereo
from mlcvbench_scenes.scene import Scene
from mlcvbench_scenes.truth import Instances

FIRST_NUMBER = {"train": 0, "val": 1_000_000, "test": 2_000_000}
"""Number of each split's first scene."""
BLOCK = 64
"""Scenes per cached block; a larger split adds blocks to those of a smaller one."""


@dataclasses.dataclass(frozen=True)
class SceneSettings:
    """Which scenes: `level` of difficulty, `size` (height, width) in pixels, scenes per split, and the seed.

    `half_size`: least and greatest half size of the solids in metres, None: the level's. `cameras`: a name in
    `CAMERAS`.
    """

    level: str
    size: tuple[int, int]
    counts: Mapping[str, int]
    seed: int
    half_size: tuple[float, float] | None = None
    cameras: str = "alike"

    @classmethod
    def of(cls, params: Mapping[str, Any], data_seed: int) -> SceneSettings:
        """Read `level`, `size`, `train`, `val`, `test`, `half_size` and `cameras` from a data set's parameters.

        A count left out is 0. RequestError when the test split is empty, a split requests more scenes than there are
        numbers, or the least half size is not the smaller one.
        """
        counts = {name: int(params.get(name) or 0) for name in FIRST_NUMBER}
        if counts["test"] < 1:
            raise RequestError(f"data.test={counts['test']}: wanted at least one scene to test on.")
        for name, count in counts.items():
            if not 0 <= count <= FIRST_NUMBER["val"]:
                raise RequestError(f"data.{name}={count}: wanted 0 to {FIRST_NUMBER['val']} scenes.")
        height, width = params.get("size") or (128, 128)
        half_size = params.get("half_size")
        if half_size is not None and half_size[0] > half_size[1]:
            least, most = half_size
            raise RequestError(f"data.half_size=[{least:g},{most:g}]: wanted the least half size first, in metres.")
        return cls(
            level=str(params.get("level") or "medium"),
            size=(int(height), int(width)),
            counts=counts,
            seed=int(data_seed),
            half_size=None if half_size is None else (float(half_size[0]), float(half_size[1])),
            cameras=str(params.get("cameras") or "alike"),
        )

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that hold at least one scene."""
        return tuple(name for name, count in self.counts.items() if count)

    def scene(self, number: int) -> Scene:
        """Return the scene of a number."""
        level = level_of(self.level)
        if self.half_size is not None:
            level = dataclasses.replace(level, size=self.half_size)
        return compose(self.seed, number, level, size=self.size, cameras=self.cameras)

    def drawn(self) -> dict[str, Any]:
        """Return what a scene of a given number depends on, as values that JSON can write."""
        return {
            "level": self.level,
            "size": list(self.size),
            "seed": self.seed,
            "half_size": self.half_size,
            "cameras": self.cameras,
        }


@dataclasses.dataclass(frozen=True)
class LeftFrames:
    """N frames of the left camera.

    - `ids`: unicode (N,), unique over all splits.
    - `image`: uint8 (N, H, W, 3).
    - `depth`: float32 (N, H, W), metres along the optical axis.
    - `semantic`: uint8 (N, H, W), indices into `CLASSES`.
    - `surface`: uint8 (N, H, W): 0 ground, 1 wall, 2 + i solid i of its scene.
    - `intrinsics`, `pose`: float64 (N, 3, 3) and (N, 4, 4), camera to world.
    - `instances`: the solids in view of each frame.
    """

    ids: NDArray[np.str_]
    image: NDArray[np.uint8]
    depth: NDArray[np.float32]
    semantic: NDArray[np.uint8]
    surface: NDArray[np.uint8]
    intrinsics: NDArray[np.float64]
    pose: NDArray[np.float64]
    instances: tuple[Instances, ...]

    def masks(self, place: int) -> NDArray[np.bool_]:
        """Return the masks of one frame's instances, bool (n, H, W)."""
        return self.instances[place].masks(self.surface[place])


@dataclasses.dataclass(frozen=True)
class StereoFrames:
    """N rectified pairs: a point at column x of the left image is at column x - disparity of the right one.

    - `left`: the left frames, with ids, depth and labels.
    - `right`: uint8 (N, H, W, 3).
    - `disparity`, `right_disparity`: float32 (N, H, W), pixels, of either image.
    - `occluded`, `right_occluded`: bool (N, H, W), pixels whose point the other camera does not see.
    - `baseline`: float64 (N,), metres.
    """

    left: LeftFrames
    right: NDArray[np.uint8]
    disparity: NDArray[np.float32]
    occluded: NDArray[np.bool_]
    right_disparity: NDArray[np.float32]
    right_occluded: NDArray[np.bool_]
    baseline: NDArray[np.float64]


def scene_of(settings: SceneSettings, split: str, place: int) -> Scene:
    """Return the scene of sample `place` of a split."""
    return settings.scene(FIRST_NUMBER[split] + place)


def scene_ids(settings: SceneSettings, split: str) -> NDArray[np.str_]:
    """Return the ids of a split's samples, such as `test-00007`."""
    return np.array([f"{split}-{place:05d}" for place in range(settings.counts[split])])


def left_frames(settings: SceneSettings, split: str) -> LeftFrames:
    """Return the frames of a split's left camera, drawn when the cache has none.

    UnknownNameError and RequestError as `compose` raises them; DataError and StoreError of the cache.
    """
    kinds = [field.name for field in dataclasses.fields(Instances)]

    def draw(scenes: Sequence[Scene]) -> Arrays:
        frames = [render(scene) for scene in scenes]
        columns = {name: np.stack([getattr(f, name) for f in frames]) for name in _PIXELS}
        columns["intrinsics"] = np.stack([frame.camera.intrinsics for frame in frames])
        columns["pose"] = np.stack([frame.camera.pose for frame in frames])
        columns["count"] = np.array([len(frame.instances.label) for frame in frames])
        return columns | {
            f"instance_{name}": np.concatenate([getattr(frame.instances, name) for frame in frames]) for name in kinds
        }

    drawn = in_blocks("left", settings, split, draw)
    cuts = np.cumsum(drawn.pop("count"))[:-1]
    columns = [np.split(drawn.pop(f"instance_{name}"), cuts) for name in kinds]
    instances = tuple(Instances(*row) for row in zip(*columns, strict=True))
    return LeftFrames(ids=scene_ids(settings, split), instances=instances, **drawn)


def stereo_frames(settings: SceneSettings, split: str) -> StereoFrames:
    """Return the rectified pairs of a split; errors as for `left_frames`."""

    def draw(scenes: Sequence[Scene]) -> Arrays:
        pairs = [render_stereo(scene) for scene in scenes]
        columns = {name: np.stack([getattr(pair, name) for pair in pairs]) for name in _RIGHT_PIXELS}
        columns["right"] = np.stack([pair.right.image for pair in pairs])
        columns["baseline"] = np.array([pair.rig.baseline for pair in pairs])
        return columns

    return StereoFrames(left=left_frames(settings, split), **in_blocks("stereo", settings, split, draw))


def baselines(settings: SceneSettings, split: str) -> NDArray[np.float64]:
    """Return the baselines of `stereo_frames`, float64 (N,) metres, without drawing the pairs."""
    return np.array([scene_of(settings, split, place).rig.baseline for place in range(settings.counts[split])])


_PIXELS = ("image", "depth", "semantic", "surface")
_RIGHT_PIXELS = ("disparity", "occluded", "right_disparity", "right_occluded")


def in_blocks(
    what: str, settings: SceneSettings, split: str, draw: Callable[[Sequence[Scene]], Arrays]
) -> dict[str, Any]:
    """Return the columns of a split, joined from blocks in the cache; `draw` makes those of some scenes.

    `what` names, in the cache, all that `draw` does beyond the scenes' settings.
    """
    parts = []
    for first in range(0, settings.counts[split], BLOCK):
        places = range(first, min(first + BLOCK, settings.counts[split]))
        numbers = [FIRST_NUMBER[split] + places.start, FIRST_NUMBER[split] + places.stop]
        params = {**settings.drawn(), "numbers": numbers}
        parts.append(
            kept(f"{what}-frames", params, lambda own=places: draw([scene_of(settings, split, at) for at in own]))  # type: ignore[misc]
        )
    # a column's blocks go as it is joined, so that memory never holds all of a large split twice
    return {name: np.concatenate([part.pop(name) for part in parts]) for name in list(parts[0])}
