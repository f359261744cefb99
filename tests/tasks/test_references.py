"""Every metric of every protocol is held to a reference by a test that exists; this page says which and where.

A new metric fails here until it has one. `given`: the test draws its inputs with hypothesis, ties and degenerate ones
among them.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from test_every_protocol import CASES, MAKE, TASKS

HERE = Path(__file__).parent


class Reference(NamedTuple):
    """Metrics of a task kind (a pattern), what they are held to, and the test: its file and name."""

    kind: str
    metrics: str
    against: str
    file: str
    test: str


SKLEARN, TORCHMETRICS, PYCOCOTOOLS, DEFINITION = "sklearn", "torchmetrics", "pycocotools", "definition"
HOTCOCO = "hotcoco"
_ALL_OF_COCO = r"(ap|ar)(1|10|50|75|100)?(_small|_medium|_large)?"
_MORE_OF_COCO = r"(ap|ar)(1|10|50|75|300|1000)?(_small|_medium|_large)?"
_ALL_OF_LVIS = r"(ap|ar)(50|75|300)?(_small|_medium|_large|_rare|_common|_frequent)?"
REFERENCES = (
    *(
        Reference("classification", "top1|macro_f1|top5|nll|ece", library, "test_classification_scoring.py", test)
        for library, test in (
            (TORCHMETRICS, "test_every_metric_equals_torchmetrics_and_scikit_learn_on_random_scores"),
            (SKLEARN, "test_every_metric_equals_torchmetrics_and_scikit_learn_on_random_scores"),
        )
    ),
    Reference(
        "classification",
        "top1|macro_f1|weighted_f1|balanced_accuracy",
        SKLEARN,
        "test_classification_scoring.py",
        "test_what_counts_decisions_equals_scikit_learn",
    ),
    Reference(
        "classification",
        "top1|top5",
        DEFINITION,
        "test_classification_scoring.py",
        "test_rank_and_prediction_equal_a_stable_sort_with_ties_to_the_lower_class",
    ),
    Reference(
        "classification",
        "nll|ece",
        DEFINITION,
        "test_classification_scoring.py",
        "test_loss_and_confidence_equal_a_float64_softmax",
    ),
    Reference(
        "detection",
        _ALL_OF_COCO,
        PYCOCOTOOLS,
        "test_detection_coco.py",
        "test_degenerate_scenes_agree_with_pycocotools",
    ),
    Reference(
        "detection", _ALL_OF_COCO, PYCOCOTOOLS, "test_detection_coco.py", "test_random_scenes_agree_with_pycocotools"
    ),
    Reference(
        "detection",
        f"mask_{_ALL_OF_COCO}",
        PYCOCOTOOLS,
        "test_detection_coco.py",
        "test_tied_overlapping_and_empty_masks_agree_with_pycocotools",
    ),
    Reference(
        "detection",
        _MORE_OF_COCO,
        PYCOCOTOOLS,
        "test_detection_coco.py",
        "test_scenes_with_more_detections_agree_with_pycocotools",
    ),
    Reference(
        "detection",
        f"mask_{_MORE_OF_COCO}",
        PYCOCOTOOLS,
        "test_detection_coco.py",
        "test_more_masks_agree_with_pycocotools",
    ),
    Reference(
        "detection",
        f"(mask_)?{_ALL_OF_LVIS}",
        HOTCOCO,
        "test_detection_lvis.py",
        "test_tied_and_degenerate_federated_scenes_agree_with_hotcoco",
    ),
    Reference(
        "detection",
        "voc_ap50(_11pt)?",
        DEFINITION,
        "test_detection_voc.py",
        "test_tied_touching_and_empty_boxes_agree_with_the_loop",
    ),
    Reference(
        "segmentation",
        "miou|pixel_accuracy|mean_accuracy|fwiou|iou_.*",
        DEFINITION,
        "test_segmentation_scoring.py",
        "test_metrics_equal_their_definition_pixel_by_pixel",
    ),
    Reference(
        "segmentation",
        "miou|pixel_accuracy|mean_accuracy|iou_.*",
        TORCHMETRICS,
        "test_segmentation_scoring.py",
        "test_metrics_equal_torchmetrics",
    ),
    Reference(
        "segmentation",
        "foreground_iou",
        DEFINITION,
        "test_segmentation_scoring.py",
        "test_foreground_is_all_classes_but_the_background_as_one",
    ),
    Reference(
        "segmentation",
        "boundary_f",
        DEFINITION,
        "test_segmentation_boundary.py",
        "test_the_metric_is_the_mean_over_images_and_then_over_classes",
    ),
    Reference(
        "verification",
        "auc|eer|tar_at_far_1e-[1-4]",
        SKLEARN,
        "test_verification_roc.py",
        "test_numbers_equal_scikit_learn",
    ),
    Reference(
        "verification",
        "tar_at_far_1e-[1-6]",
        SKLEARN,
        "test_verification_roc.py",
        "test_the_lowest_rates_equal_scikit_learn_over_a_million_pairs_with_ties",
    ),
    Reference(
        "verification",
        "auc|eer|tar_at_far_1e-[1-6]",
        DEFINITION,
        "test_verification_roc.py",
        "test_numbers_equal_their_definition",
    ),
    Reference(
        "verification",
        "accuracy_10fold",
        DEFINITION,
        "test_verification_scoring.py",
        "test_fold_accuracy_equals_its_definition",
    ),
    Reference(
        "verification",
        "rank(1|5|10)",
        DEFINITION,
        "test_verification_scoring.py",
        "test_rank_k_is_the_share_of_probes_found_among_k",
    ),
    Reference(
        "verification", "rank(1|5|10)", SKLEARN, "test_verification_scoring.py", "test_rank_k_equals_scikit_learn"
    ),
    Reference(
        "depth",
        "density|epe|bad_(0_5|1|2|3)|d1",
        DEFINITION,
        "test_depth_scoring.py",
        "test_stereo_metrics_equal_their_definition",
    ),
    Reference(
        "depth",
        "abs_rel|sq_rel|rmse|rmse_log|silog|log10|delta[123]",
        DEFINITION,
        "test_depth_scoring.py",
        "test_depth_errors_equal_the_usual_code",
    ),
)


class Found(NamedTuple):
    """A test: whether hypothesis draws its inputs, and the text of its file."""

    given: bool
    text: str


@cache
def found_in(kind: str, file: str) -> dict[str, Found]:
    """Return the tests of a file by name."""
    source = (HERE / kind / file).read_text(encoding="utf-8")
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    return {
        node.name: Found(any("given" in ast.unparse(decorator) for decorator in node.decorator_list), source)
        for node in functions
    }


@cache
def metrics_of(kind: str, protocol: str) -> tuple[str, ...]:
    return tuple(metric.name for metric in TASKS[kind].scorer(protocol, MAKE[kind](protocol).problem).metrics)


@pytest.mark.parametrize(("kind", "protocol"), CASES)
def test_every_metric_of_a_protocol_has_a_reference_and_one_with_drawn_inputs(kind: str, protocol: str) -> None:
    for name in metrics_of(kind, protocol):
        own = [one for one in REFERENCES if one.kind == kind and re.fullmatch(one.metrics, name)]

        assert own, f"{kind} metric {name!r} of {protocol!r} is held to no reference"
        assert any(found_in(one.kind, one.file)[one.test].given for one in own), f"{name!r}: no drawn inputs"


@pytest.mark.parametrize("reference", REFERENCES, ids=lambda one: f"{one.kind}-{one.against}-{one.test}")
def test_every_reference_is_a_test_that_uses_it_and_names_metrics_that_exist(reference: Reference) -> None:
    found = found_in(reference.kind, reference.file)
    names = {name for kind, protocol in CASES if kind == reference.kind for name in metrics_of(kind, protocol)}

    assert reference.test in found
    assert reference.against == DEFINITION or reference.against in found[reference.test].text
    assert any(re.fullmatch(reference.metrics, name) for name in names)
