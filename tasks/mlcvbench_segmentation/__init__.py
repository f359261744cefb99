"""Semantic segmentation: a class for every pixel. Hooks only; the code behind the targets is imported on first use."""

from __future__ import annotations

from mlcvbench.hookspecs import hookimpl
from mlcvbench.specs import DatasetSpec, Param, TaskSpec


@hookimpl
def mlcvbench_tasks() -> list[TaskSpec]:
    """Return the task kind."""
    return [
        TaskSpec(
            name="segmentation",
            target="mlcvbench_segmentation.task:SegmentationTask",
            summary="Name the class of every pixel.",
            default="label-folder",
            package="mlcvbench_segmentation",
        )
    ]


@hookimpl
def mlcvbench_datasets() -> list[DatasetSpec]:
    """Return the data sets: folders of label images, and the layout of PASCAL VOC."""
    return [
        DatasetSpec(
            name="label-folder",
            kinds=("segmentation",),
            target="mlcvbench_segmentation.folder:load_label_folder",
            summary="Images in images/ and label images in labels/ by equal names, also below train/, val/ and test/.",
            params=(
                Param("root", "path", required=True, help="folder that holds images/ and labels/"),
                Param("classes", "path", help="text file, one class name a line; default: classes.txt below root"),
                Param("ignore", "int", default=255, low=-1, high=65535, help="value that is not scored; -1 = none"),
                Param("label_map", "path", help="CSV of value,class: what the values of the files mean"),
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
            ),
            reference="Everingham et al., The Pascal Visual Object Classes Challenge, IJCV 2010",
        ),
    ]
