"""Transfer learning: weights from the checkpoint of another network, and stages that do not learn."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mlcvbench.contract import Notice
from mlcvbench.contract.torch_model import WEIGHTS_FILE
from mlcvbench.errors import RecordError
from mlcvbench.files.weights import check_finite, read_weights
from mlcvbench_networks.backbone_base import STRIDES, Backbone
from mlcvbench_networks.backbone_params import STAGES

TRIAL = (64, 64)
"""Height and width in pixels of the image on which stages are told apart."""
WRAPPERS = re.compile(r"^(?:(?:module|model|backbone|body|_orig_mod|maps|features|trunk_output)\.)+")
"""What is put before the names of a network's tensors by those that hold it, and by what its library cuts it into."""
COUNTER = ".num_batches_tracked"
"""Of a batch norm; files of before torch 0.4.1 have none, and it decides nothing here."""
SHOWN = 4
LEFT_OUT = "weights-left-out"


def load_backbone(module: nn.Module, path: Path, heads: Sequence[str] = ()) -> tuple[Notice, ...]:
    """Have a network start from a checkpoint; see `take_weights`. A folder is that of a fitted state."""
    path = path / WEIGHTS_FILE if path.is_dir() else path
    return take_weights(module, read_weights(path), path.name, heads)


def take_weights(
    module: nn.Module, state: Mapping[str, torch.Tensor], source: str, heads: Sequence[str] = ()
) -> tuple[Notice, ...]:
    """Copy into a network those tensors of `state` that have the names of its own, whatever wraps these.

    `module.`, `model.`, `backbone.` and the like before a name count for nothing, nor does whether parts of it are
    joined by dots or underscores. Tensors below one of `heads` (names of modules) stay as they are where the state has
    none of their name and shape. The notice says which tensors of the state were left out. RecordError names the first
    tensor of the network, its heads aside, that the state, which `source` names, does not have in its shape, or that is
    not finite there: training would diverge, and say that the rate is too large.
    """
    state = {name: tensor for name, tensor in state.items() if not name.endswith(COUNTER)}
    named = _by_plain_name(state, source)
    wanted = {name: tensor for name, tensor in module.state_dict().items() if not name.endswith(COUNTER)}
    found = {name: name if name in state else named.get(_plain(name)) for name in wanted}
    taken, anew = dict[str, str](), list[str]()
    for name, tensor in wanted.items():
        place = found[name]
        if place is not None and state[place].shape == tensor.shape:
            taken[name] = place
        elif name.startswith(tuple(f"{head}." for head in heads)):
            anew.append(name)
    missing = next((name for name in wanted if name not in taken and name not in anew), None)
    if missing is not None:
        place = found[missing]
        got = "nothing" if place is None else tuple(state[place].shape)
        raise RecordError(
            f"{source}: tensor {missing!r}: wanted shape {tuple(wanted[missing].shape)}, got {got}; it has "
            f"{len(taken)} of the {len(wanted) - len(anew)} tensors of this backbone."
        )
    for name, place in taken.items():
        check_finite(state[place], wanted[name], f"{source}: tensor {place!r}")
    with torch.no_grad():
        for name, place in taken.items():
            wanted[name].copy_(state[place])  # what state_dict gives shares memory with the network
    return _said(source, sorted(state.keys() - set(taken.values())), len(state), anew)


def freeze_stages(
    parameters: Iterable[nn.Parameter], stages: int, maps_of: Callable[[], Sequence[torch.Tensor]]
) -> None:
    """Have the first stages of a backbone learn no more; `parameters` are all that it has.

    `maps_of`: computes C2 to C5, or the first of them, from any image. Frozen is what the first `stages` of them depend
    on, and where these are all, the whole backbone. Batch norms among it keep their statistics in training.
    """
    frozen = list(parameters)
    if stages < STAGES:
        with torch.inference_mode(False), torch.enable_grad():
            slopes = torch.autograd.grad([each.sum() for each in maps_of()[:stages]], frozen, allow_unused=True)
        frozen = [own for own, slope in zip(frozen, slopes, strict=True) if slope is not None]
    for parameter in frozen:
        parameter.requires_grad_(False)


def freeze_backbone(backbone: Backbone, stages: int, channels: int) -> None:
    """Have the first stages of a backbone for images of so many channels learn no more, see `freeze_stages`."""

    def maps() -> Sequence[torch.Tensor]:
        with answering(backbone):
            return backbone(torch.zeros(1, channels, *TRIAL))  # type: ignore[no-any-return]

    freeze_stages(backbone.parameters(), stages, maps)


def maps_inside(network: nn.Module, images: torch.Tensor) -> list[torch.Tensor]:
    """Return the last map at strides 4, 8 and 16 that a network computes from images, whatever becomes of it later.

    ValueError where there is none at one of them, as in a transformer.
    """
    outputs: list[torch.Tensor] = []

    def note(_: nn.Module, __: Any, output: Any) -> None:
        if isinstance(output, torch.Tensor) and output.ndim == 4:
            outputs.append(output)

    hooks = [part.register_forward_hook(note) for part in network.modules()]
    try:
        with answering(network):
            network(images)
    finally:
        for hook in hooks:
            hook.remove()
    maps, sizes = [], [tuple(one.shape[2:]) for one in outputs]
    for stride in STRIDES[:-1]:
        end = _first(sizes, _sizes_at(images, 2 * stride)) or len(sizes)  # a later pool may make maps of any size
        places = [place for place in range(end) if sizes[place] in _sizes_at(images, stride)]
        if not places:
            raise ValueError(f"no map at stride {stride}")
        maps.append(outputs[places[-1]])
    return maps


@contextmanager
def answering(module: nn.Module) -> Iterator[None]:
    """Have a module answer without learning from it, for the time of a block."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


def _sizes_at(images: torch.Tensor, stride: int) -> set[tuple[int, ...]]:
    """Return the sizes that a map at a stride may have, rounded up or down, but not that of a pooled one, 1 x 1."""
    height, width = images.shape[2:]
    sizes: set[tuple[int, ...]] = {(height // stride, width // stride), (-(-height // stride), -(-width // stride))}
    return sizes - {(1, 1)}


def _first(sizes: Sequence[tuple[int, ...]], wanted: set[tuple[int, ...]]) -> int | None:
    return next((place for place, size in enumerate(sizes) if size in wanted), None)


def _plain(name: str) -> str:
    """Return a tensor's name without what wraps it. Feature extractors of timm join its parts by underscores."""
    return WRAPPERS.sub("", name).replace(".", "_")


def _by_plain_name(names: Iterable[str], source: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in names:
        if (other := found.setdefault(_plain(name), name)) != name:
            raise RecordError(f"{source}: {other!r} and {name!r} would be the same tensor; keep those of one network.")
    return found


def _said(source: str, left_out: Sequence[str], count: int, anew: Sequence[str]) -> tuple[Notice, ...]:
    """Return the notice about what did not fit, if anything did not."""
    if not left_out and not anew:
        return ()
    text = f"{source}: {len(left_out)} of its {count} tensors are left out, since there is no place for them here"
    text += f": {_listed(left_out)}." if left_out else "."
    if anew:
        text += f" Learned from scratch: {_listed(anew)}."
    return (Notice(LEFT_OUT, text, len(left_out)),)


def _listed(names: Sequence[str]) -> str:
    further = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + further
