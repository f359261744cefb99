"""What a method built from other models requires of them, checked before anything starts. Does not import torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlcvbench.contract import TorchModel
from mlcvbench.errors import RequestError
from mlcvbench.registry.inner import inner_fit, parse_inner
from mlcvbench.specs import Chosen, load_target
from mlcvbench_training.settings import OPTIMIZERS


def check_base(chosen: Chosen) -> None:
    """RequestError for a base that is not a network whose outputs are logits."""
    check_network(chosen.params["base"], chosen.kind)


def check_network(text: str, kind: str) -> None:
    """RequestError for a model that is not a network whose outputs are logits. Its own check is called separately."""
    if not is_network(load_target(parse_inner(text, kind).spec.target)):
        raise no_network(text)


def is_network(made: type) -> bool:
    """Return whether a class is a torch model from images to class scores, like `TorchModel` itself."""
    stages = ("preprocess", "forward", "postprocess")
    return issubclass(made, TorchModel) and all(getattr(made, name) is getattr(TorchModel, name) for name in stages)


def no_network(text: str) -> RequestError:
    """Return the error for a model that is not such a network."""
    return RequestError(f"model {_name(text)!r} is not a network of class scores, so no method can be built from it.")


def check_loop(text: str, kind: str, fit: Mapping[str, Any], lack: str) -> None:
    """Refuse a model that these `fit.*` settings do not have trained by the shared loop; `lack` says what it lacks."""
    inner = parse_inner(text, kind)
    within = next((inner.params[param.name] for param in inner.spec.params if param.type == "model"), None)
    if within is not None:
        check_loop(within, kind, fit, lack)
        return
    settings = inner_fit(text, kind, fit) if "schedule" in {param.name for param in inner.spec.fit} else {}
    if settings.get("optimizer") not in OPTIMIZERS:
        how = f" with fit.optimizer={settings['optimizer']}" if settings else ""
        raise RequestError(f"model {_name(text)!r} is not trained by the shared loop{how}, so it {lack}.")


def _name(text: str) -> str:
    return text.partition(",")[0].strip()
