"""The classes of published segmenters, those of PASCAL VOC, and their logits for the classes of a data set, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from mlcvbench.contract import Notice
from mlcvbench.errors import RecordError
from mlcvbench_networks.detection.categories import known_classes, outputs_of_classes


def voc_categories() -> list[str]:
    """Return the 21 classes of PASCAL VOC in the order of torchvision's segmenters; the first is the background."""
    from torchvision.models.segmentation import FCN_ResNet50_Weights

    names = FCN_ResNet50_Weights.DEFAULT.meta["categories"]
    return ["background" if name == "__background__" else name for name in names]


def classes_of_voc(
    state: Mapping[str, torch.Tensor], layers: Sequence[str], classes: Sequence[str], source: str
) -> tuple[dict[str, torch.Tensor], tuple[Notice, ...]]:
    """Return a checkpoint whose last `layers` have the logits of these classes alone, and what must be said of that.

    A pixel has the best of the classes that both know. Logits that are not those of VOC but as many as there are
    classes stay; RecordError for another number of them.
    """
    found, categories = dict(state), voc_categories()
    outputs = len(state[f"{layers[0]}.bias"])
    if outputs != len(categories):
        if outputs != len(classes):
            raise RecordError(f"{source}: wanted logits of {len(categories)} or {len(classes)} classes, got {outputs}.")
        return found, ()
    known = known_classes(classes, categories, source)
    for name in (f"{layer}.{part}" for layer in layers for part in ("weight", "bias")):
        if name in found:
            found[name] = outputs_of_classes(found[name], known.places, 1)
    return found, known.notices
