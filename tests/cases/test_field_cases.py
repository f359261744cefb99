"""Every report of what goes wrong for people who do this job is held by a test: which one, case by case.

The tests make their inputs themselves. `Case.right` is what must come out: the right number, one clear line with exit
code 2, or the number with a notice.
"""

from __future__ import annotations

import ast
from functools import cache
from typing import NamedTuple

import pytest
from support.paths import ROOT


class Case(NamedTuple):
    """A report: its name, a public source where there is one, what must come out, and the tests that hold it."""

    name: str
    source: str
    right: str
    tests: tuple[str, ...]


CLASSIFICATION = "tests/tasks/classification/test_classification_"
SEGMENTATION = "tests/tasks/segmentation/test_segmentation_"
DETECTION = "tests/tasks/detection/test_detection_"
VERIFICATION = "tests/tasks/verification/test_verification_"
DEPTH = "tests/tasks/depth/test_depth_"
CASES = (
    Case(
        "attention on the CPU",
        "pytorch/pytorch#195460",
        "17,563,828,224 MACs for ViT-B/16 of torchvision; what is not counted is listed",
        (
            "tests/core/measure/test_operations.py::test_multi_head_attention_counts_its_attention",
            "tests/core/measure/test_formulas.py::test_every_kernel_of_attention_counts_the_same",
            "tests/core/measure/test_profile_command.py::test_attention_is_counted_and_the_rest_listed",
        ),
    ),
    Case(
        "class folders that are numbers sort as text",
        "",
        "refused until the order of the columns is said, by classes= or an array `classes`",
        (
            f"{CLASSIFICATION}class_order.py::test_columns_without_names_of_classes_that_are_numbers_are_refused",
            f"{CLASSIFICATION}class_order.py::test_the_order_of_the_columns_can_be_said",
        ),
    ),
    Case(
        "an npz whose names of samples are called filenames",
        "",
        "refused: the array is not known",
        (f"{CLASSIFICATION}predictions.py::test_an_npz_that_does_not_fit_is_refused",),
    ),
    Case(
        "probabilities printed with two decimals",
        "",
        "read as probabilities, and said so",
        (
            f"{CLASSIFICATION}values.py::test_probabilities_of_two_decimals_are_read_as_such_and_the_guess_is_said",
            f"{CLASSIFICATION}values.py::test_a_record_says_what_predictions_are",
        ),
    ),
    Case(
        "a function that gives probabilities is softmaxed again",
        "",
        "a notice, and values=probabilities gives what the file gives",
        (
            f"{CLASSIFICATION}values.py::test_the_scores_of_a_model_that_look_like_probabilities_are_pointed_at",
            f"{CLASSIFICATION}values.py::test_what_a_live_model_gives_is_interpreted_as_it_is_said",
        ),
    ),
    Case(
        "the stored command leaves out value=",
        "",
        "the command of the record, run again, gives the same number",
        ("tests/core/plan/test_reading_settings.py::test_the_stored_command_says_how_predictions_were_read",),
    ),
    Case(
        "calibration error of round probabilities",
        "",
        "ece 49.50 %: a bin begins with its lower edge",
        (f"{CLASSIFICATION}scoring.py::test_round_probabilities_fall_into_the_bins_that_begin_with_them",),
    ),
    Case(
        "a confidence of exactly 1",
        "Lightning-AI/torchmetrics#3510",
        "ece 22.50 %: it belongs to the last bin (Guo et al. 2017)",
        (f"{CLASSIFICATION}scoring.py::test_certainty_belongs_to_the_last_bin",),
    ),
    Case(
        "a pair list a,b,label",
        "",
        "auc 100 %: the label decides who is the same",
        (
            f"{VERIFICATION}pair_list.py::test_a_label_column_says_who_is_the_same",
            f"{VERIFICATION}score.py::test_a_labelled_list_is_scored_by_its_labels",
        ),
    ),
    Case(
        "own folds and own distances",
        "",
        "accuracy_10fold as the definition asks for it",
        (f"{VERIFICATION}score.py::test_given_values_in_own_folds_have_the_accuracy_that_was_asked_for",),
    ),
    Case(
        "a depth of inf",
        "",
        "scored as the cap",
        (f"{DEPTH}reading.py::test_predictions_of_inf_score_like_those_at_the_cap",),
    ),
    Case(
        "depth in another unit than the truth",
        "",
        "scale= of predictions, and a notice of the one factor",
        (
            f"{DEPTH}reading.py::test_scale_says_what_the_numbers_of_predictions_are_divided_by",
            f"{DEPTH}notices.py::test_one_factor_between_estimates_and_truth_is_named",
        ),
    ),
    Case(
        "relative inverse depth",
        "",
        "a protocol that fits scale and shift: abs_rel 0",
        (
            f"{DEPTH}reading.py::test_relative_inverse_depth_is_scored_by_a_protocol_that_fits_it",
            f"{DEPTH}notices.py::test_near_and_far_the_wrong_way_round_are_said_with_the_protocol_that_fits",
        ),
    ),
    Case(
        "a checkpoint named by a path setting changes",
        "",
        "another run",
        ("tests/core/plan/test_named_files.py::test_a_changed_checkpoint_is_run_again_by_the_command",),
    ),
    Case(
        "a published record shows the machine's absolute path",
        "",
        "the name of the file and its content",
        (
            "tests/core/plan/test_named_files.py::test_a_record_shows_a_file_by_its_name_and_content",
            "tests/core/plan/test_named_files.py::test_the_command_shows_no_path",
        ),
    ),
    Case(
        "a plugin that prints at import",
        "",
        "--json stays whole",
        ("tests/core/processes/test_stdout.py::test_what_a_plugin_prints_goes_to_standard_error",),
    ),
    Case(
        "LFW aligned to PNG",
        "",
        "found; what is missing is said with what is there",
        (
            f"{VERIFICATION}score.py::test_lfw_is_found_in_any_format_of_images",
            f"{VERIFICATION}score.py::test_an_image_of_lfw_that_is_not_there_is_said_with_what_is",
        ),
    ),
    Case(
        "8-bit disparities with a factor",
        "",
        "read when data.scale is said",
        (f"{DEPTH}reading.py::test_8_bit_truth_is_read_when_its_scale_is_said",),
    ),
    Case(
        "ImageNet's validation images in one folder",
        "",
        "a file of labels",
        (f"{CLASSIFICATION}image_folder.py::test_a_file_labels_images_in_any_folder",),
    ),
    Case(
        "imbalanced classes",
        "",
        "balanced accuracy as scikit-learn's",
        (f"{CLASSIFICATION}scoring.py::test_what_counts_decisions_equals_scikit_learn",),
    ),
    Case(
        "end-point errors as papers average them",
        "",
        "ids for means of images and for truth below a cap; the page says which is which",
        (
            f"{DEPTH}reading.py::test_images_are_pooled_or_averaged_and_truth_beyond_the_range_left_out_as_the_id_says",
            "tests/tasks/test_docs_examples.py::test_a_page_names_every_data_set_protocol_and_metric",
        ),
    ),
    Case(
        "disk full",
        "",
        "every line names the cause",
        (
            "tests/core/storage/test_durable.py::test_an_error_is_one_sentence_and_that_of_a_full_disk_says_how_to_go_on",
        ),
    ),
    Case(
        "KITTI's root above training/",
        "",
        "found",
        (f"{DEPTH}reading.py::test_kittis_root_is_the_folder_above_training_too",),
    ),
    Case(
        "a probability of 0 for the right class",
        "",
        "the floor of nll is documented",
        (f"{CLASSIFICATION}scoring.py::test_a_probability_of_zero_costs_at_most_the_documented_floor",),
    ),
    Case(
        "depth maps at the network's size",
        "",
        "refused by default, resize= of predictions",
        (f"{DEPTH}reading.py::test_predictions_at_the_networks_size_are_refused_by_default_and_resized_when_asked",),
    ),
    Case(
        "COCO's AP on VOC's data",
        "open-mmlab/mmdetection#6750",
        "the twelve numbers",
        (
            f"{DETECTION}joins.py::test_the_numbers_are_pycocotools_on_the_converted_file",
            f"{DETECTION}joins.py::test_perfect_boxes_are_perfect_from_the_command_line",
        ),
    ),
    Case(
        "masks of 0 and 255, predictions of 0 and 1",
        "open-mmlab/mmsegmentation#1609",
        "a notice, and the right number by a label map and values=indices",
        (
            f"{SEGMENTATION}notices.py::test_score_says_it_and_stores_it",
            f"{SEGMENTATION}coding.py::test_masks_of_0_and_255_are_scored_by_a_label_map_and_class_indices",
        ),
    ),
    Case(
        "labels from 1, predictions from 0",
        "open-mmlab/mmsegmentation#1509",
        "refused until it is said how predictions are coded",
        (f"{SEGMENTATION}coding.py::test_values_that_may_be_the_labels_or_class_indices_are_refused_until_it_is_said",),
    ),
    Case(
        "palettes that differ",
        "open-mmlab/mmsegmentation#3531",
        "refused, and the right number by values=colors",
        (f"{SEGMENTATION}colors.py::test_a_palette_other_than_the_labels_is_refused_until_it_is_said_what_decides",),
    ),
    Case(
        "labels in colours",
        "open-mmlab/mmsegmentation#1930",
        "read by a table of colours",
        (
            f"{SEGMENTATION}colors.py::test_colour_labels_are_read_by_a_table_of_colours",
            f"{SEGMENTATION}colors.py::test_colour_labels_without_a_table_are_refused_with_what_to_say",
        ),
    ),
    Case(
        "the area of a mask whose results also have boxes",
        "open-mmlab/mmdetection#4898",
        "that of the mask",
        (f"{DETECTION}coco.py::test_the_area_of_a_mask_is_the_masks_whatever_else_the_results_hold",),
    ),
    Case(
        "LVIS scored as if every class had been checked",
        "google-research/scenic#475",
        "refused by COCO's protocols, scored by LVIS's",
        (
            f"{DETECTION}lvis.py::test_a_federated_file_is_refused_by_protocols_that_want_every_class_checked",
            f"{DETECTION}lvis.py::test_the_floats_are_those_of_lvis_api",
        ),
    ),
    Case(
        "annotation ids from 0",
        "cocodataset/cocoapi#507",
        "a notice: an object of id 0 is never found",
        (f"{DETECTION}notices.py::test_id_0_cannot_be_found",),
    ),
    Case(
        "boxes as corners",
        "open-mmlab/mmdetection#6997",
        "a notice: they reach beyond their images, and as corners they do not",
        (f"{DETECTION}notices.py::test_corners",),
    ),
    Case(
        "more than 100 objects in an image",
        "cocodataset/cocoapi#222",
        "a notice, and a protocol that admits them",
        (
            f"{DETECTION}coco.py::test_150_objects_are_all_found_under_the_limit_that_admits_them",
            f"{DETECTION}notices.py::test_objects_and_detections_beyond_the_limit_are_counted",
        ),
    ),
    Case(
        "limit= of score",
        "pytorch/vision#7817",
        "the first samples out of predictions for all",
        (
            "tests/tasks/test_score_every_kind.py::test_the_first_samples_are_scored_out_of_predictions_for_all",
            f"{DETECTION}forms.py::test_whole_and_cut_results_give_the_number_of_the_first_images",
        ),
    ),
    Case(
        "NaN in results",
        "voxel51/fiftyone#1309",
        "one clear line whatever the size of the file",
        (f"{DETECTION}forms.py::test_numbers_that_json_has_not_are_named_in_small_and_large_files",),
    ),
    Case(
        "label maps as .jpg, .npy or with a suffix",
        "milesial/Pytorch-UNet#363",
        "arrays are read; JPEG and other names are said to lie there",
        (
            "tests/core/files/test_missing_files.py::test_what_lies_in_the_folder_is_named",
            f"{SEGMENTATION}coding.py::test_arrays_of_labels_are_read_like_images",
        ),
    ),
    Case(
        "a folder copied from a Mac",
        "Abe404/root_painter#173",
        "files that begin with a dot are no samples",
        (f"{SEGMENTATION}coding.py::test_files_that_begin_with_a_dot_are_no_samples",),
    ),
    Case(
        "images named by their files",
        "ultralytics/ultralytics#21557",
        "matched by file name when all are, and said so",
        (
            f"{DETECTION}forms.py::test_names_of_files_are_taken_when_all_are_and_it_is_said",
            f"{DETECTION}forms.py::test_ids_of_the_annotation_file_may_be_text_as_pycocotools_takes_them",
        ),
    ),
    Case(
        "a folder of YOLO's text files",
        "ultralytics/ultralytics#17807",
        "read",
        (f"{DETECTION}forms.py::test_a_folder_is_read_and_the_order_of_classes_said",),
    ),
)


@cache
def functions(file: str) -> frozenset[str]:
    """Return the names of all functions in a file of tests."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_is_held_by_tests_that_exist(case: Case) -> None:
    assert case.tests
    for test in case.tests:
        file, _, name = test.partition("::")
        assert name in functions(file), f"{test} does not exist; name the test that holds {case.name!r}"


def test_every_case_is_listed_once() -> None:
    assert len(CASES) == len({case.name for case in CASES}) == 41
