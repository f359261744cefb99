"""Networks of timm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import timm
from torch import nn

from mlcvbench_hub.prepared import HubClassifier, no_weights


def names() -> list[str]:
    """Return every network that timm knows."""
    return list(timm.list_models())


class TimmClassifier(HubClassifier):
    """A network of timm; its sizes and normalisation are those of its default configuration."""

    LIBRARY = "timm"

    def usual_size(self) -> int:
        return int(_setting(self.hub_name, "input_size", (3, 224, 224))[-1])

    def usual_classes(self) -> int:
        return int(_setting(self.hub_name, "num_classes", 1000))

    def normalisation(self) -> tuple[Sequence[float], Sequence[float]]:
        return (
            _setting(self.hub_name, "mean", (0.485, 0.456, 0.406)),
            _setting(self.hub_name, "std", (0.229, 0.224, 0.225)),
        )

    def bare(self, classes: int) -> nn.Module:
        try:
            network: nn.Module = timm.create_model(
                self.hub_name, pretrained=self.pretrained, num_classes=classes, **self._image_size()
            )
        except (OSError, RuntimeError, ValueError) as error:
            if not self.pretrained:
                raise
            raise no_weights(self._name, error) from error
        return network

    def heads(self, network: nn.Module) -> list[str]:
        library: Any = network
        found = library.get_classifier()
        classifiers = found if isinstance(found, tuple | list) else (found,)
        return [name for name, part in network.named_modules() if any(part is one for one in classifiers)]

    def _image_size(self) -> dict[str, Any]:
        """Return the argument by which transformers learn another image size; the others take any."""
        fixed = bool(_setting(self.hub_name, "fixed_input_size", False))
        return {"img_size": self.side} if fixed and self.side != self.usual_size() else {}


def _setting(name: str, key: str, default: Any) -> Any:
    configuration = timm.get_pretrained_cfg(name)
    value = getattr(configuration, key, None) if configuration is not None else None
    return default if value is None else value
