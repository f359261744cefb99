"""Networks of libraries, whose names are open-ended, keep the contract as named models do."""

from __future__ import annotations

import pytest

from mlcvbench.testing import assert_conforms


def test_a_classifier_keeps_the_contract():
    assert_conforms("timm:test_resnet", "classification")


@pytest.mark.slow
def test_a_segmenter_keeps_the_contract():
    assert_conforms("torchvision:lraspp_mobilenet_v3_large", "segmentation", params={"size": 32})


@pytest.mark.slow
def test_a_detector_keeps_the_contract():
    assert_conforms("torchvision:fasterrcnn_mobilenet_v3_large_320_fpn", "detection", params={"min_size": 32})
