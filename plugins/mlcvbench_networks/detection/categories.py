"""The classes of published detectors, and where those of a data set are among them, by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from mlcvbench.contract import Notice
from mlcvbench.errors import RecordError

NO_CLASS = ("__background__", "no person", "N/A")
"""What torchvision calls numbers that are no class: the ids of COCO have gaps."""
OTHER_NAMES = {"aeroplane": "airplane", "motorbike": "motorcycle", "sofa": "couch", "tvmonitor": "tv"}
"""PASCAL VOC's and darknet's words for classes of COCO."""
OTHER_CLASSES = "weights-of-other-classes"
SHOWN = 6
NEVER = -1e4
"""The logit of a class that is never found."""


class Known(NamedTuple):
    """Where the classes of a data set are among those of given weights.

    `places`: for each class of the data set its number there, -1 for one that they do not know. `labels`: for each
    number there the class of the data set, -1 for none. `notices`: what must be said about it.
    """

    places: list[int]
    labels: list[int]
    notices: tuple[Notice, ...] = ()

    @classmethod
    def all_of(cls, classes: int) -> Known:
        """Return what is known of weights of the data set's own classes."""
        return cls(list(range(classes)), list(range(classes)))


def coco_categories() -> list[str]:
    """Return COCO's 80 classes at the places of their ids, 0 to 90, with `NO_CLASS` at those that are none."""
    from torchvision.models.detection import RetinaNet_ResNet50_FPN_Weights

    return list(RetinaNet_ResNet50_FPN_Weights.COCO_V1.meta["categories"])


def known_classes(classes: Sequence[str], categories: Sequence[str], source: str) -> Known:
    """Return where the classes of a data set are among the `categories` of weights, which `source` names.

    Names count as they are, but for capitals, spaces and `OTHER_NAMES`. RecordError when none of them is known.
    """
    numbers = {_plain(name): number for number, name in enumerate(categories) if name not in NO_CLASS}
    unasked = dict(numbers)
    places = [unasked.pop(_plain(name), -1) for name in classes]  # of two names of one class the first has it
    lacking = [name for name, place in zip(classes, places, strict=True) if place < 0]
    if len(lacking) == len(classes):
        raise RecordError(
            f"{source}: knows none of the classes {_listed(lacking)}, but {len(numbers)} others: "
            f"{_listed([name for name in categories if name not in NO_CLASS])}."
        )
    labels = [places.index(number) if number in places else -1 for number in range(len(categories))]
    if not lacking and not unasked:
        return Known(places, labels)
    parts = []
    if lacking:
        parts.append(
            f"{len(lacking)} of the {len(classes)} classes are unknown to these weights, which never find them: "
            f"{_listed(lacking)}"
        )
    if unasked:
        parts.append(f"what they find of {len(unasked)} classes that the data set does not have is left out")
    return Known(places, labels, (Notice(OTHER_CLASSES, f"{source}: {'; '.join(parts)}.", len(lacking)),))


def outputs_of_classes(values: torch.Tensor, places: Sequence[int], anchors: int, ahead: int = 0) -> torch.Tensor:
    """Return the weight or bias of a last layer, (A (ahead + C), ...), for the classes at `places` alone.

    `ahead`: outputs of each anchor before its logits of the C classes, which stay. A class at -1 is never found.
    """
    each = values.reshape(anchors, -1, *values.shape[1:])
    chosen = each[:, [ahead + max(place, 0) for place in places]]
    chosen[:, [place < 0 for place in places]] = NEVER if values.ndim == 1 else 0.0
    return torch.cat((each[:, :ahead], chosen), dim=1).flatten(0, 1)


def _plain(name: str) -> str:
    """Return a class's name as it is compared.

    >>> _plain("TV monitor"), _plain("dining_table")
    ('tv', 'diningtable')
    """
    joined = "".join(character for character in name.lower() if character not in " _-")
    return OTHER_NAMES.get(joined, joined)


def _listed(names: Sequence[str]) -> str:
    further = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + further
