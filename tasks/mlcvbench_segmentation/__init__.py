"""Semantic segmentation: a class for every pixel. Hooks only; the code behind the targets is imported on first use."""

from __future__ import annotations

from mlcvbench.hookspecs import hookimpl
from mlcvbench.specs import SKIP, DatasetSpec, Param, TaskSpec
from mlcvbench_segmentation.fields import FIELDS

_LEVEL = Param("level", "str", default="medium", choices=("easy", "medium", "hard"), help="difficulty")


@hookimpl
def mlcvbench_tasks() -> list[TaskSpec]:
    """Return the task kind."""
    return [
        TaskSpec(
            name="segmentation",
            target="mlcvbench_segmentation.task:SegmentationTask",
            summary="Name the class of every pixel.",
            default="scenes-semantic",
            package="mlcvbench_segmentation",
            fields=FIELDS,
            toys="mlcvbench_segmentation.toys:toys",
            reads=(
                (
                    "folder of images",
                    "label images (PNG, TIFF, BMP, GIF) named like the labels: class numbers, a palette, or colours",
                ),
                ("folder of arrays", "`.npy`, or `.npz` with one array: integers (H, W), named like the labels"),
            ),
            reading=(
                Param(
                    "values",
                    "str",
                    choices=("indices", "labels", "colors"),
                    help="what files of predictions hold: 0 to C-1, values as in the label files, or their colours",
                ),
                Param("prediction_map", "path", help="CSV of value,class or r,g,b,class: what the files hold instead"),
            ),
        )
    ]


@hookimpl
def mlcvbench_datasets() -> list[DatasetSpec]:
    """Return the data sets: rendered scenes and bodies, folders of label images, and the layout of PASCAL VOC."""
    return [
        DatasetSpec(
            name="scenes",
            kinds=("segmentation",),
            target="mlcvbench_segmentation.scenes:load_scenes",
            summary="Rendered spheres, boxes, cylinders, cones and capsules on a ground before a wall; no download.",
            params=(
                _LEVEL,
                Param("size", "ints", default=(128, 128), low=32, high=1024, length=2, help="height and width, pixels"),
                Param("train", "int", default=240, low=0, high=20_000, help="scenes to train on"),
                Param("val", "int", default=60, low=0, high=20_000, help="scenes to choose on"),
                Param("test", "int", default=150, low=1, high=20_000, help="scenes to test on"),
                Param("border", "int", default=0, low=0, high=16, help="pixels this near to another label are ignored"),
            ),
            reference="mlcvbench_scenes, the renderer of this bench",
        ),
        DatasetSpec(
            name="bodies",
            kinds=("segmentation",),
            target="mlcvbench_segmentation.bodies:load_bodies",
            summary="Rendered people of capsules before a depth camera, with their body parts; no download.",
            provides=("depth",),
            params=(
                _LEVEL,
                Param("size", "ints", default=(96, 96), low=32, high=1024, length=2, help="height and width, pixels"),
                Param("train", "int", default=480, low=0, high=20_000, help="people to train on"),
                Param("val", "int", default=120, low=0, high=20_000, help="people to choose on"),
                Param("test", "int", default=200, low=1, high=20_000, help="people to test on"),
                Param(
                    "background",
                    "str",
                    default="removed",
                    choices=("removed", "kept"),
                    help="removed: only the person has depth and is scored; kept: background is a class",
                ),
            ),
            reference="mlcvbench_scenes, after Shotton et al., CVPR 2011",
        ),
        DatasetSpec(
            name="label-folder",
            kinds=("segmentation",),
            target="mlcvbench_segmentation.folder:load_label_folder",
            summary="Images in images/ and label images in labels/ by equal names, also below train/, val/ and test/.",
            params=(
                Param("root", "path", required=True, help="folder that holds images/ and labels/"),
                Param("classes", "path", help="text file, one class name per line; default: classes.txt below root"),
                Param("ignore", "int", default=255, low=-1, high=65535, help="value that is not scored; -1 = none"),
                Param("label_map", "path", help="CSV of value,class or r,g,b,class; default: label_map.csv below root"),
                SKIP,
            ),
        ),
        DatasetSpec(
            name="voc-segmentation",
            kinds=("segmentation",),
            target="mlcvbench_segmentation.voc:load_voc",
            summary="PASCAL VOC: 21 classes with background, palette PNG, 255 = not scored.",
            params=(
                Param("root", "path", required=True, help="folder of one year, such as VOCdevkit/VOC2012"),
                Param("split", "str", default="val", help="list below ImageSets/Segmentation that is the test split"),
                SKIP,
            ),
            reference="Everingham et al., The Pascal Visual Object Classes Challenge, IJCV 2010",
        ),
    ]
