"""Object detection and instance segmentation. Hooks only; the code behind the targets is imported on first use."""

from __future__ import annotations

from mlcvbench import DatasetSpec, Param, TaskSpec, hookimpl
from mlcvbench.specs import SKIP
from mlcvbench_detection.fields import FIELDS

LEVEL = Param("level", "str", default="medium", choices=("easy", "medium", "hard"), help="difficulty")
MASKS = Param("masks", "bool", default=False, help="provide masks too, for instance segmentation")


def _size(side: int) -> Param:
    return Param("size", "ints", default=(side, side), low=32, high=1024, length=2, help="height and width, pixels")


def _counts(train: int, val: int, test: int, what: str) -> tuple[Param, ...]:
    return (
        Param("train", "int", default=train, low=0, high=20_000, help=f"{what} to train on"),
        Param("val", "int", default=val, low=0, high=20_000, help=f"{what} to choose on"),
        Param("test", "int", default=test, low=1, high=20_000, help=f"{what} to test on"),
    )


@hookimpl
def mlcvbench_tasks() -> list[TaskSpec]:
    """Return the task kind."""
    return [
        TaskSpec(
            name="detection",
            target="mlcvbench_detection.task:DetectionTask",
            summary="Find the objects of an image: boxes, classes, scores, and masks on request.",
            default="scenes",
            package="mlcvbench_detection",
            fields=FIELDS,
            toys="mlcvbench_detection.toys:toys",
            reads=(
                (".json", "COCO results, a list of {image_id, category_id, score, bbox or segmentation}; .gz, .zip"),
                ("comp4_det_test_CLASS.txt", "a folder of VOC's development kit: image score xmin ymin xmax ymax"),
                ("IMAGE.txt", "a folder of YOLO's: class cx cy w h confidence, relative to the image"),
            ),
        )
    ]


@hookimpl
def mlcvbench_datasets() -> list[DatasetSpec]:
    """Return the rendered scenes and the published formats: COCO annotations and VOC folders."""
    kinds = ("detection",)
    return [
        DatasetSpec(
            name="scenes",
            kinds=kinds,
            target="mlcvbench_detection.scenes:load_scenes",
            summary="Rendered spheres, boxes, cylinders, cones and capsules, with boxes and masks; no download.",
            params=(
                LEVEL,
                _size(128),
                *_counts(240, 60, 150, "scenes"),
                MASKS,
            ),
            reference="mlcvbench_scenes, the renderer of this bench",
        ),
        DatasetSpec(
            name="scenes-256",
            kinds=kinds,
            target="mlcvbench_detection.scenes:load_scenes_256",
            summary="Rendered solids from small to large in larger pictures, with boxes and masks; no download.",
            params=(
                LEVEL,
                _size(256),
                Param(
                    "half_size",
                    "floats",
                    default=(0.15, 0.9),
                    low=0.05,
                    high=1.0,
                    length=2,
                    help="least and greatest half size of the solids, metres",
                ),
                *_counts(1500, 150, 500, "scenes"),
                MASKS,
            ),
            reference="mlcvbench_scenes, the renderer of this bench",
        ),
        DatasetSpec(
            name="face-scenes",
            kinds=kinds,
            target="mlcvbench_detection.face_scenes:load_face_scenes",
            summary="Rendered scenes with people's heads in them, small and large; no download.",
            params=(
                LEVEL,
                _size(160),
                Param("sides", "ints", default=(28, 90), low=16, high=1024, length=2, help="least and greatest head"),
                Param("most", "int", default=4, low=0, high=20, help="heads of a picture, from none"),
                *_counts(240, 60, 150, "pictures"),
            ),
            reference="mlcvbench_scenes, the renderer of this bench",
        ),
        DatasetSpec(
            name="coco",
            kinds=kinds,
            target="mlcvbench_detection.coco.annotations:load_coco",
            summary="Any COCO annotation file, with its images or, to score stored predictions, without.",
            params=(
                Param(
                    "annotations", "path", required=True, help="annotation file of the test images, instances_*.json"
                ),
                Param("images", "path", help="folder of the test images; not needed to score stored predictions"),
                Param("train", "path", help="annotation file of the training images"),
                Param("train_images", "path", help="folder of the training images"),
                Param("masks", "bool", default=False, help="read the masks too, for instance segmentation"),
                SKIP,
            ),
            reference="Lin et al., Microsoft COCO: Common Objects in Context, ECCV 2014",
        ),
        DatasetSpec(
            name="voc",
            kinds=kinds,
            target="mlcvbench_detection.voc.annotations:load_voc",
            summary="PASCAL VOC folders: Annotations/*.xml, ImageSets/Main/*.txt and, to run models, JPEGImages.",
            params=(
                Param("root", "path", required=True, help="folder of one year, such as VOCdevkit/VOC2007"),
                Param(
                    "split", "str", default="test", help="list in ImageSets/Main that is tested, such as test or val"
                ),
                Param("train", "str", help="list to train on, such as trainval"),
                Param("classes", "str", default="voc", choices=("voc", "all"), help="the 20 of VOC, or all that occur"),
                SKIP,
            ),
            reference="Everingham et al., The PASCAL Visual Object Classes Challenge, IJCV 2010",
        ),
    ]
