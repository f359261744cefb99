"""The state of a training between two epochs as one safetensors file, whole or absent: tensors, JSON in its header."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlcvbench.errors import RecordError
from mlcvbench.files.weights import check_weights_header

if TYPE_CHECKING:
    import torch

    from mlcvbench_training.loop import Training

FILE = "training.safetensors"
FACTS = "facts"


def save_training(run: Training, folder: Path) -> None:
    """Write everything that the next epoch depends on into `folder`, in place of the checkpoint before."""
    import torch

    device = run.examples.labels.device
    tensors = {
        **{f"module/{name}": value for name, value in run.module.state_dict().items()},
        **{f"rule/{name}": value for name, value in run.rule.state().items()},
        "random/order": run.generator.get_state(),
        "random/cpu": torch.get_rng_state(),
    }
    if device.type == "cuda":
        tensors["random/cuda"] = torch.cuda.get_rng_state(device)
    if run.average is not None:
        tensors |= {f"average/{index}": weight for index, weight in enumerate(run.average.weights)}
    if run.stopper is not None:
        tensors |= {f"best/{name}": value for name, value in run.stopper.best.items()}
    facts = {
        "identity": _identity(run),
        "epochs": run.epochs,
        "last": run.last,
        "step": run.step,
        "ended": run.ended,
        "out_of_time": run.out_of_time,
        "seconds": run.earlier + time.monotonic() - run.started,
        "history": run.history,
        "schedule": run.schedule.state(),
        "averaged": run.average.count if run.average is not None else 0,
        "stopper": run.stopper.state() if run.stopper is not None else None,
    }
    _write(folder, tensors, facts)


def resume_training(run: Training, folder: Path) -> None:
    """Go on from the checkpoint in `folder`, if there is one of this very training."""
    import torch

    found = _read(folder)
    if found is None or found[1].get("identity") != _identity(run):
        return
    tensors, facts = found
    parts: dict[str, dict[str, torch.Tensor]] = {}
    for key, tensor in tensors.items():
        part, _, name = key.partition("/")
        parts.setdefault(part, {})[name] = tensor
    run.module.load_state_dict(parts["module"])
    run.rule.restore(parts.get("rule", {}))
    run.generator.set_state(parts["random"]["order"])
    torch.set_rng_state(parts["random"]["cpu"])
    if "cuda" in parts["random"]:
        torch.cuda.set_rng_state(parts["random"]["cuda"], run.examples.labels.device)
    if run.average is not None:
        for index, weight in enumerate(run.average.weights):
            weight.copy_(parts["average"][str(index)])
        run.average.count = facts["averaged"]
    if run.stopper is not None:
        run.stopper.restore(facts["stopper"], parts.get("best", {}))
    run.epochs, run.step = facts["epochs"], facts["step"]
    if not run.halts:
        run.plan_for(facts["last"])
    run.schedule.restore(facts["schedule"])
    run.ended, run.out_of_time = facts["ended"], facts["out_of_time"]
    run.history, run.earlier = facts["history"], facts["seconds"]


def _identity(run: Training) -> dict[str, Any]:
    """Return what must be the same for a training to go on from a checkpoint."""
    settings = {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(run.asked).items()}
    shapes = [list(tensor.shape) for tensor in run.module.state_dict().values()]
    return {
        "settings": settings,
        "seed": run.ctx.seed,
        "samples": len(run.examples),
        "columns": list(run.history),
        "shapes": shapes,
    }


def _write(folder: Path, tensors: dict[str, torch.Tensor], facts: dict[str, Any]) -> None:
    """Write whole or not at all, whatever happens to this process.

    It is not flushed to the disk: after a power cut the file may be unreadable, and then the training begins anew.
    """
    from safetensors.torch import save_file

    pending = folder / f"{FILE}.{os.getpid()}"
    stored: dict[str, torch.Tensor] = {}
    places: set[int] = set()
    for name, tensor in tensors.items():
        plain = tensor.detach().cpu().contiguous()
        stored[name] = plain.clone() if plain.data_ptr() in places else plain  # the format has no tied weights
        places.add(plain.data_ptr())
    save_file(stored, str(pending), metadata={FACTS: json.dumps(facts)})
    pending.replace(folder / FILE)


def _read(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    """Return the tensors and facts in `folder`; None when there are none that can be read."""
    from safetensors import SafetensorError, safe_open

    path = folder / FILE
    if not path.is_file():
        return None
    try:
        check_weights_header(path)
        with safe_open(str(path), framework="pt") as file:
            facts = json.loads((file.metadata() or {})[FACTS])
            return {name: file.get_tensor(name) for name in file.keys()}, facts  # noqa: SIM118 - no mapping
    except (RecordError, SafetensorError, KeyError, ValueError):
        return None
