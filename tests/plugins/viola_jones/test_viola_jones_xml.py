"""OpenCV's cascade files: written and read to the bit; what is damaged, hostile or something else is refused."""

from __future__ import annotations

import numpy as np
import pytest
from support.cascades import random_cascade
from support.mutations import assert_one_line_about, mutations

from mlcvbench.errors import DataError, MlcvbenchError
from mlcvbench_viola_jones import opencv_xml
from mlcvbench_viola_jones.opencv_xml import read_xml_cascade, write_xml

FILE = """<?xml version="1.0"?>
<!-- as haarcascade_frontalface_default.xml begins -->
<opencv_storage>
<cascade type_id="opencv-cascade-classifier"><stageType>BOOST</stageType>
  <featureType>HAAR</featureType>
  <height>24</height>
  <width>20</width>
  <stageNum>1</stageNum>
  <stages>
    <_>
      <maxWeakCount>2</maxWeakCount>
      <stageThreshold>-5.0425500869750977e+00</stageThreshold>
      <weakClassifiers>
        <_>
          <internalNodes>
            0 -1 1 -3.1511999666690826e-02</internalNodes>
          <leafValues>
            2.0875380039215088e+00 -2.2172100543975830e+00</leafValues></_>
        <_>
          <internalNodes>
            0 -1 0 1.2396000325679779e-02</internalNodes>
          <leafValues>
            -1.8633940219879150e+00 1.3272049427032471e+00</leafValues></_></weakClassifiers></_></stages>
  <features>
    <_>
      <rects>
        <_>
          6 4 12 9 -1.</_>
        <_>
          6 7 12 3 3.</_></rects></_>
    <_>
      <rects>
        <_>
          0 4 18 12 -1.</_>
        <_>
          0 4 9 6 2.</_>
        <_>
          9 10 9 6 2.</_></rects>
      <tilted>0</tilted></_></features></cascade>
</opencv_storage>
"""
BOMB = '<!DOCTYPE b [<!ENTITY a "aa"><!ENTITY c "&a;&a;">]><opencv_storage>&c;</opencv_storage>'


def error_of(folder, text):
    path = folder / "cascade.xml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as error:
        read_xml_cascade(path)
    assert_one_line_about(error.value, path)
    return str(error.value).removeprefix(str(path))


def test_what_is_written_is_read_back_to_the_bit(tmp_path):
    cascade = random_cascade(3, 1, 8)

    write_xml(cascade, tmp_path / "cascade.xml")
    copy = read_xml_cascade(tmp_path / "cascade.xml")

    assert (copy.width, copy.height) == (24, 24)
    for name in ("thresholds", "left", "right", "ends", "limits"):
        np.testing.assert_array_equal(getattr(copy, name), getattr(cascade, name))
    np.testing.assert_array_equal(copy.features.boxes * (copy.features.weights != 0)[..., None], copy.features.boxes)
    np.testing.assert_array_equal(copy.features.weights, cascade.features.weights)


def test_a_file_as_opencv_ships_them_is_read(tmp_path):
    path = tmp_path / "cascade.xml"
    path.write_text(FILE, encoding="utf-8")

    cascade = read_xml_cascade(path)

    assert (cascade.width, cascade.height, cascade.ends.tolist()) == (20, 24, [2])
    assert cascade.features.boxes[1].tolist() == [[6, 4, 12, 9], [6, 7, 12, 3], [0, 0, 0, 0]]
    assert cascade.features.weights.tolist() == [[-1, 2, 2], [-1, 3, 0]]
    assert cascade.limits.tolist() == [np.float32(-5.0425500869750977)]
    assert cascade.left.tolist() == [np.float32(2.0875380039215088), np.float32(-1.863394021987915)]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("<opencv_storage>", f"{BOMB[:-38]}<opencv_storage>", ": has a document type or an entity"),
        ("opencv_storage", "storage", ": wanted <opencv_storage> with a <cascade>, got <storage>."),
        ("BOOST", "TREE", ", <stageType>: wanted BOOST, got 'TREE'."),
        ("HAAR", "LBP", ", <featureType>: wanted HAAR, got 'LBP'."),
        ("<width>20", "<width>100000", ", <width>: wanted 4 to 256 pixels, got 100000."),
        ("<width>20", "<width>20.5", ", <width>: wanted 4 to 256 pixels, got 20.5."),
        ("<width>20", "<width>many", ", <width>: wanted 1 numbers, got 'many'."),
        ("stages>", "steps>", ": wanted at least one stage in <stages>, got none."),
        ("stageThreshold>", "limit>", ", stage 0, <stageThreshold>: wanted 1 numbers, got ''."),
        ("-5.0425500869750977e+00", "nan", ", stage 0, <stageThreshold>: wanted 1 numbers, got 'nan'."),
        ("-5.0425500869750977e+00", "1e99", ", stage 0, <stageThreshold>: wanted 1 numbers, got '1e99'."),
        ("weakClassifiers>", "weak>", ", stage 0: wanted 1 to 100000 stumps in all stages, got 0."),
        ("0 -1 0 ", "0 -1 2 ", ", stage 0, stump 1, <internalNodes>: wanted a feature from 0 to 1, got 2."),
        ("0 -1 0 ", "1 2 0 0.5 0 -1 1 ", ", stage 0, stump 1, <internalNodes>: wanted 4 numbers, got '1 2 0 0.5"),
        ("0 -1 0 ", "1 0 0 ", ", stage 0, stump 1, <internalNodes>: wanted the leaves 0 and -1 of a stump, got 1 0."),
        ("<tilted>0", "<tilted>1", ", feature 1: is tilted; wanted upright features."),
        ("6 4 12 9 ", "9 4 12 9 ", ", feature 0: wanted a rectangle inside 20 x 24 pixels, got 9 4 12 9."),
        ("6 4 12 9 ", "-1 4 12 9 ", ", feature 0: wanted a rectangle inside 20 x 24 pixels, got -1 4 12 9."),
        ("rects>", "boxes>", ", feature 0: wanted 1 to 3 rectangles in <rects>, got 0."),
        ("features>", "things>", ": wanted 1 to 100000 features in <features>, got 0."),
    ],
)
def test_what_is_no_cascade_of_upright_stumps_is_refused(tmp_path, old, new, says):
    assert error_of(tmp_path, FILE.replace(old, new)).startswith(says)


def test_a_file_over_the_limit_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(opencv_xml, "MOST_BYTES", 100)

    assert error_of(tmp_path, FILE) == f": has {len(FILE)} bytes; the most for a cascade in OpenCV's XML is 100."


def test_damage_is_read_or_refused_in_one_line(tmp_path):
    path = tmp_path / "cascade.xml"
    for _, damaged in mutations(FILE.encode(), 20):
        path.write_bytes(damaged)
        try:
            read_xml_cascade(path)
        except MlcvbenchError as error:
            assert_one_line_about(error, path)
