"""A small renderer with exact ground truth: the embedded data of detection, segmentation, depth and verification.

Same seed, same bytes, on any processor: only + - * / and square roots, floor and integer hashes are used.
"""

from mlcvbench_scenes.camera import Camera, Rig, looking
from mlcvbench_scenes.compose import CAMERAS, LEVELS, Cameras, Level, compose
from mlcvbench_scenes.render import Frame, StereoFrame, render, render_sequence, render_stereo
from mlcvbench_scenes.scene import CLASSES, Light, Plane, Scene, Thing
from mlcvbench_scenes.shapes import Solid
from mlcvbench_scenes.textures import Texture
from mlcvbench_scenes.truth import Instances

__all__ = [
    "CAMERAS",
    "CLASSES",
    "LEVELS",
    "Camera",
    "Cameras",
    "Frame",
    "Instances",
    "Level",
    "Light",
    "Plane",
    "Rig",
    "Scene",
    "Solid",
    "StereoFrame",
    "Texture",
    "Thing",
    "compose",
    "looking",
    "render",
    "render_sequence",
    "render_stereo",
]
