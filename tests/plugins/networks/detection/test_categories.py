"""Classes of published weights by name: in any order, with COCO's gaps and VOC's words, and what is said of others."""

from __future__ import annotations

import pytest

from mlcvbench.errors import RecordError
from mlcvbench_networks.detection.categories import NO_CLASS, coco_categories, known_classes


def test_coco_has_80_classes_at_the_places_of_their_ids():
    names = coco_categories()

    assert len(names) == 91
    assert (names[1], names[44], names[90]) == ("person", "bottle", "toothbrush")
    assert sum(name not in NO_CLASS for name in names) == 80


def test_all_classes_of_coco_have_their_places_whatever_their_order():
    names = [name for name in coco_categories() if name not in NO_CLASS][::-1]

    known = known_classes(names, coco_categories(), "weights.pth")

    assert [coco_categories()[place] for place in known.places] == names
    assert [names[label] for label in known.labels if label >= 0] == names[::-1]
    assert known.labels[0] == known.labels[12] == -1
    assert known.notices == ()


@pytest.mark.parametrize(
    ("name", "id_"),
    [("aeroplane", 5), ("diningtable", 67), ("motorbike", 4), ("pottedplant", 64), ("sofa", 63), ("tvmonitor", 72)],
)
def test_vocs_words_are_understood(name, id_):
    assert known_classes([name], coco_categories(), "w").places == [id_]


def test_unknown_classes_and_those_left_out_are_said():
    known = known_classes(["cat", "axolotl", "Dog"], ["__background__", "dog", "cat", "cow"], "w.pth")

    assert (known.places, known.labels) == ([2, -1, 1], [-1, 2, 0, -1])
    (notice,) = known.notices
    assert (notice.code, notice.count) == ("weights-of-other-classes", 1)
    assert notice.text == (
        "w.pth: 1 of the 3 classes are unknown to these weights, which never find them: axolotl; what they find of 1 "
        "classes that the data set does not have is left out."
    )


def test_of_two_names_of_one_class_the_first_has_it():
    assert known_classes(["sofa", "couch"], coco_categories(), "w").places == [63, -1]


def test_weights_that_know_none_of_the_classes_are_refused():
    with pytest.raises(RecordError) as caught:
        known_classes(["axolotl"], ["__background__", "dog", "cat"], "w.pth")

    assert str(caught.value) == "w.pth: knows none of the classes axolotl, but 2 others: dog, cat."
