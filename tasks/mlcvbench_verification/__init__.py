"""Verification and identification: are two images of one person, and who is it? Hooks only; code loads on first use."""

from __future__ import annotations

from mlcvbench.hookspecs import hookimpl
from mlcvbench.specs import DatasetSpec, Param, TaskSpec


@hookimpl
def mlcvbench_tasks() -> list[TaskSpec]:
    """Return the task kind."""
    return [
        TaskSpec(
            name="verification",
            target="mlcvbench_verification.task:VerificationTask",
            summary="Say whether two images show the same person, or who of a gallery it is.",
            default="lfw",
            package="mlcvbench_verification",
        )
    ]


@hookimpl
def mlcvbench_datasets() -> list[DatasetSpec]:
    """Return the data sets: Labeled Faces in the Wild, and any folder of faces."""
    return [
        DatasetSpec(
            name="lfw",
            kinds=("verification",),
            target="mlcvbench_verification.lfw:load_lfw",
            summary="Labeled Faces in the Wild, view 2: 6,000 pairs in ten folds.",
            params=(
                Param("root", "path", required=True, help="folder with one folder a person (and pairs.txt)"),
                Param("pairs", "path", help="the list of pairs; default: pairs.txt below root"),
            ),
            reference="Huang et al., Labeled Faces in the Wild, UMass Amherst TR 07-49, 2007",
        ),
        DatasetSpec(
            name="face-folder",
            kinds=("verification",),
            target="mlcvbench_verification.face_folder:load_face_folder",
            summary="Images in one folder a person; all pairs, or those of a CSV.",
            params=(
                Param("root", "path", required=True, help="folder with one folder a person"),
                Param(
                    "pairs", "path", help="CSV of a,b and perhaps fold: image names such as ann/1; default: all pairs"
                ),
            ),
        ),
    ]
