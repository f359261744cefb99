"""Depth from one image or from a stereo pair. Hooks only; the code behind the targets is imported on first use."""

from __future__ import annotations

from mlcvbench.hookspecs import hookimpl
from mlcvbench.specs import SKIP, DatasetSpec, Param, TaskSpec
from mlcvbench_depth.fields import FIELDS

_ROOT = Param("root", "path", required=True, help="folder with the images and the ground truth")
_SUPERVISION = (
    Param(
        "supervision",
        "str",
        default="depth",
        choices=("depth", "stereo", "sequence", "none"),
        help="what training sees beside the image: its depth, the right image, or a sequence",
    ),
    Param("frames", "int", default=3, low=2, high=9, help="frames of a training sequence"),
)


def _scenes(train: int, val: int, test: int) -> tuple[Param, ...]:
    """Return the settings of rendered scenes with these default counts."""
    return (
        Param("level", "str", default="medium", choices=("easy", "medium", "hard"), help="difficulty"),
        Param("size", "ints", default=(128, 128), low=32, high=1024, length=2, help="height and width, pixels"),
        Param("train", "int", default=train, low=0, high=20_000, help="scenes to train on"),
        Param("val", "int", default=val, low=0, high=20_000, help="scenes to choose on"),
        Param("test", "int", default=test, low=1, high=20_000, help="scenes to test on"),
    )


_SCALE = "divisor of PNG values of the ground truth; not set: 16-bit files, divided by 256"


@hookimpl
def mlcvbench_tasks() -> list[TaskSpec]:
    """Return the task kind."""
    return [
        TaskSpec(
            name="depth",
            target="mlcvbench_depth.task:DepthTask",
            summary="Measure how far every pixel is: disparity of a stereo pair, or depth from one image.",
            default="scenes-stereo",
            package="mlcvbench_depth",
            fields=FIELDS,
            toys="mlcvbench_depth.toys:toys",
            reads=(("folder", "one map per image, named like the sample: .pfm, 16-bit .png, .npz, .npy"),),
            reading=(
                Param(
                    "scale",
                    "float",
                    low=1e-6,
                    help="what numbers in the files are divided by to give metres or pixels; when not set, 16-bit PNGs "
                    "are read by data.scale (depth) or 256 (disparity), and other files as they are",
                ),
                Param(
                    "resize",
                    "str",
                    choices=("bilinear", "nearest"),
                    help="how maps of another size are brought to the truth's; disparities also grow with the width",
                ),
            ),
        )
    ]


@hookimpl
def mlcvbench_datasets() -> list[DatasetSpec]:
    """Return the data sets: rendered scenes, one real pair, and folders of PFM, 16-bit PNG or npz truth."""
    disparities = Param("disparities", "int", default=64, low=16, high=1024, help="search range given to the methods")
    return [
        DatasetSpec(
            name="scenes-stereo",
            kinds=("depth",),
            target="mlcvbench_depth.scenes:load_scenes_stereo",
            summary="Rendered solids seen by a calibrated pair of cameras, with exact disparity; no download.",
            provides=("left", "right"),
            params=(
                *_scenes(240, 60, 150),
                Param(
                    "disparities", "int", low=16, high=1024, help="search range given to the methods; a quarter width"
                ),
            ),
            reference="mlcvbench_scenes, the renderer of this bench",
        ),
        DatasetSpec(
            name="scenes-mono",
            kinds=("depth",),
            target="mlcvbench_depth.scenes:load_scenes_mono",
            summary="Rendered solids seen by one camera, with exact depth; pairs or sequences to learn from.",
            params=(*_scenes(240, 60, 150), *_SUPERVISION),
            reference="mlcvbench_scenes, the renderer of this bench",
        ),
        DatasetSpec(
            name="scenes-mono-varied",
            kinds=("depth",),
            target="mlcvbench_depth.scenes:load_scenes_mono_varied",
            summary="As scenes-mono, from cameras whose height, pitch and focal length differ; no download.",
            params=(*_scenes(1500, 150, 500), *_SUPERVISION),
            reference="mlcvbench_scenes, the renderer of this bench",
        ),
        DatasetSpec(
            name="motorcycle",
            kinds=("depth",),
            target="mlcvbench_depth.motorcycle:load_motorcycle",
            summary="The Middlebury 2014 motorcycle at a quarter of its size (scikit-image): one real stereo pair.",
            provides=("left", "right"),
            params=(disparities,),
            reference="Scharstein et al., High-resolution stereo datasets with subpixel-accurate truth, GCPR 2014",
            licence="CC0-1.0",
        ),
        DatasetSpec(
            name="stereo-folder",
            kinds=("depth",),
            target="mlcvbench_depth.folders:load_stereo_folder",
            summary="left/, right/ and disparity/ (PFM, 16-bit PNG, npz), masks in occlusion/; or KITTI's folders.",
            provides=("left", "right"),
            params=(_ROOT, Param("scale", "float", low=1e-3, help=_SCALE), disparities, SKIP),
        ),
        DatasetSpec(
            name="depth-folder",
            kinds=("depth",),
            target="mlcvbench_depth.folders:load_depth_folder",
            summary="Images in images/ and truth in metres in depth/ by equal names: PFM, 16-bit PNG, npz or npy.",
            provides=("image",),
            params=(_ROOT, Param("scale", "float", low=1e-3, help=f"{_SCALE}, giving metres"), SKIP),
        ),
    ]
