"""The cascade of stored weights goes to OpenCV's XML from the command line."""

from __future__ import annotations

import numpy as np
import pytest
from support.cascades import random_cascade

from mlcvbench.errors import RecordError, RequestError
from mlcvbench.files.arrays import write_arrays
from mlcvbench_viola_jones.cascade import empty_cascade
from mlcvbench_viola_jones.export import main
from mlcvbench_viola_jones.opencv_xml import read_xml_cascade
from mlcvbench_viola_jones.state import arrays_of


def test_the_cascade_of_a_class_is_written(tmp_path):
    cascades = [random_cascade(2, 3), empty_cascade(24, 24), random_cascade(5, seed=1)]
    weights, file = tmp_path / "viola_jones.safetensors", tmp_path / "face.xml"
    write_arrays(weights, arrays_of(cascades) | {"shapes": np.ones((3, 2))})

    main([str(weights), str(file), "2"])
    third = read_xml_cascade(file)
    main([str(weights), str(file)])

    np.testing.assert_array_equal(third.thresholds, cascades[2].thresholds)
    np.testing.assert_array_equal(read_xml_cascade(file).thresholds, cascades[0].thresholds)
    for words, error, said in (
        ([str(weights), str(file), "1"], RecordError, "viola_jones.safetensors: has no cascade of class 1."),
        ([str(weights), str(file), "3"], RecordError, "viola_jones.safetensors: has no cascade of class 3."),
        ([str(tmp_path / "no"), str(file)], RecordError, "no: there is no such file among the stored weights."),
        ([str(weights)], RequestError, "wanted WEIGHTS FILE [CLASS], the class as a number from 0."),
    ):
        with pytest.raises(error) as caught:
            main(words)
        assert str(caught.value) == said
