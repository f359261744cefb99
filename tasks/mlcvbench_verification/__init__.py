"""Verification and identification: do two images show the same person, and who is it? Hooks only; code loads on first
use.
"""

from __future__ import annotations

from mlcvbench.hookspecs import hookimpl
from mlcvbench.specs import SKIP, DatasetSpec, Param, TaskSpec
from mlcvbench_verification.fields import FIELDS


@hookimpl
def mlcvbench_tasks() -> list[TaskSpec]:
    """Return the task kind."""
    return [
        TaskSpec(
            name="verification",
            target="mlcvbench_verification.task:VerificationTask",
            summary="Say whether two images show the same person, or who of a gallery it is.",
            default="faces",
            package="mlcvbench_verification",
            fields=FIELDS,
            toys="mlcvbench_verification.toys:toys",
            reads=(
                (
                    ".npz",
                    "`embedding` (N, D), `distance` (cosine, l2, l1), and `ids` (N,) unless in order of the images",
                ),
                (".csv, .txt", "a value per line in the order of the pairs, or `a,b,value` with names of images"),
            ),
            reading=(
                Param(
                    "value",
                    "str",
                    choices=("distance", "similarity"),
                    help="what the values of pairs are, unless their header says so; not needed for embeddings",
                    alias="values",
                ),
            ),
        )
    ]


@hookimpl
def mlcvbench_datasets() -> list[DatasetSpec]:
    """Return the data sets: rendered faces, Labeled Faces in the Wild, and any folder of faces."""
    return [
        DatasetSpec(
            name="faces",
            kinds=("verification",),
            target="mlcvbench_verification.faces:load_faces",
            summary="Rendered faces, several photographs per person, and pairs in ten folds; no download.",
            params=(
                Param("level", "str", default="medium", choices=("easy", "medium", "hard"), help="how shots differ"),
                Param("size", "int", default=64, low=16, high=512, help="pixels per side"),
                Param("shots", "int", default=8, low=2, high=50, help="photographs of each person"),
                Param("train", "int", default=120, low=0, high=20_000, help="people to train on"),
                Param("val", "int", default=30, low=0, high=20_000, help="people to choose on"),
                Param("test", "int", default=300, low=20, high=2_000, help="people to test on"),
            ),
            reference="mlcvbench_scenes, the renderer of this bench",
        ),
        DatasetSpec(
            name="lfw",
            kinds=("verification",),
            target="mlcvbench_verification.lfw:load_lfw",
            summary="Labeled Faces in the Wild, view 2: 6,000 pairs in ten folds.",
            params=(
                Param(
                    "root",
                    "path",
                    required=True,
                    help="folder with one folder per person, images as .jpg, .png or others (and pairs.txt)",
                ),
                Param("pairs", "path", help="the list of pairs; default: pairs.txt below root"),
                SKIP,
            ),
            reference="Huang et al., Labeled Faces in the Wild, UMass Amherst TR 07-49, 2007",
        ),
        DatasetSpec(
            name="face-folder",
            kinds=("verification",),
            target="mlcvbench_verification.face_folder:load_face_folder",
            summary="Images in one folder per person; all pairs, or those of a CSV.",
            params=(
                Param("root", "path", required=True, help="folder with one folder per person"),
                Param(
                    "pairs",
                    "path",
                    help="CSV of a,b with image names such as ann/1, and under a header perhaps fold and label; "
                    "default: all pairs",
                ),
                SKIP,
            ),
        ),
    ]
