"""What a protocol needs from the data, and which data it does not apply to."""

from __future__ import annotations

from collections.abc import Sequence

from mlcvbench.contract import LoadedData, Targets
from mlcvbench.errors import DataError
from mlcvbench_detection.coco.entries import FEDERATED
from mlcvbench_detection.protocols import LVIS_PROTOCOLS, scores_masks


def refuse_protocol(data: LoadedData, protocol: str, known: Sequence[str]) -> None:
    """Refuse a protocol that needs what the data lack, or that does not apply to them.

    DataError names what is missing and the applicable ones of the `known` protocols.
    """
    targets = data.splits["test"].targets()
    problem = _problem(targets, protocol)
    if problem is None:
        return
    hint = " (data.masks=true reads them)" if "masks" in problem and data.problem.extra.get("masks") is False else ""
    fitting = [other for other in known if _problem(targets, other) is None]
    raise DataError(f"data set {data.name!r} {problem}{hint}; protocols for it are {', '.join(fitting)}.")


def is_federated(targets: Targets) -> bool:
    """Return whether the data say which classes were annotated in each image."""
    return "negative" in targets


def _problem(targets: Targets, protocol: str) -> str | None:
    """Return why a protocol does not fit the data, None when it does."""
    federated = protocol in LVIS_PROTOCOLS
    if federated and not is_federated(targets):
        return f"has no {' and '.join(FEDERATED)}, which protocol {protocol!r} needs"
    if not federated and is_federated(targets):
        return (
            f"is federated ({', '.join(FEDERATED)}): each image was checked for some of the classes only, so that "
            f"protocol {protocol!r} does not hold: say task=lvis"
        )
    if scores_masks(protocol) and "masks" not in targets:
        return f"has no masks, which protocol {protocol!r} needs"
    return None
