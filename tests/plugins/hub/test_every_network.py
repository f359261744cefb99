"""Every classifier of timm and torchvision is built as a run builds it, answers one image and is counted.

The count is made twice by ways that share no formula of attention: on the processor, whose kernel is fused, and on
tensors without data, where attention falls apart into matrix products. A sample of families is part of the suite;
`-m campaign` does all of them (hours). Networks beyond `REAL_PARAMETERS` or `REAL_MACS` are counted without data only,
and those beyond `LAYERS_MACS` have their layers left alone; smaller ones of the same classes have not.
"""

from __future__ import annotations

import copy
import json
import os
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

from mlcvbench.contract import Batch, InputSpec, Problem
from mlcvbench.measure.layers.record import layers_of
from mlcvbench.measure.operations import count, count_module
from mlcvbench.registry import get_registry
from mlcvbench.specs import load_target

CLASSES = 10
REAL_PARAMETERS, REAL_MACS = 250_000_000, 30_000_000_000
LAYERS_MACS = 8_000_000_000
PARTS = 97
CANNOT: dict[str, str] = {}
"""Networks that cannot be built or run at all, with what the library says."""
FAMILIES = [
    "timm:cait_xxs24_224",
    "timm:convnext_atto",
    "timm:gcvit_xxtiny",
    "timm:lambda_resnet26t",
    "timm:lamhalobotnet50ts_256",
    "timm:levit_128s",
    "timm:mobilevitv2_050",
    "timm:pit_ti_224",
    "timm:pvt_v2_b0",
    "timm:tinynet_e",
    "timm:vit_tiny_patch16_224",
    "timm:xcit_nano_12_p16_224",
    "torchvision:regnet_x_400mf",
    "torchvision:vit_h_14",
]


class Outcome(NamedTuple):
    """`macs` of one image; `real`: it was computed, not only counted; `fault`: what went wrong, empty if nothing."""

    macs: int | None = None
    real: bool = False
    fault: str = ""


def every_name() -> list[str]:
    specs = [get_registry().model(f"{library}:resnet18", "classification").spec for library in ("timm", "torchvision")]
    return [f"{spec.prefix}{name}" for spec in specs for name in load_target(spec.names)()]


def model_of(full: str) -> Any:
    spec = get_registry().model(full, "classification").spec
    made = load_target(spec.target)
    name = full.removeprefix(spec.prefix)
    side = made(problem(8), name=name).usual_size()
    return made(problem(side), name=name)


def problem(side: int) -> Problem:
    return Problem("classification", tuple(map(str, range(CLASSES))), {"image": InputSpec((side, side, 3))})


def counted_without_data(module: nn.Module, side: int) -> int:
    """Return the MACs of a copy whose tensors have shapes only."""
    memo: dict[int, Any] = {}
    for tensor in [*module.parameters(), *module.buffers()]:
        empty = torch.empty_like(tensor, device="meta")
        memo[id(tensor)] = nn.Parameter(empty, False) if isinstance(tensor, nn.Parameter) else empty
    info = count_module(copy.deepcopy(module, memo), torch.empty(1, 3, side, side, device="meta"))
    assert info.macs is not None, info.reason
    return info.macs


def tried(full: str) -> Outcome:
    """Build a network, let it answer and count it; the fault names what is not as it must be."""
    model = model_of(full)
    hollow = model_of(full)
    with torch.device("meta"):
        try:
            module = hollow.build()
            parameters = sum(tensor.numel() for tensor in module.parameters())
            macs = counted_without_data(module, hollow.side)
        except (NotImplementedError, RuntimeError):  # it is built by numbers that are there with data only
            parameters, macs = 0, None
    if parameters > REAL_PARAMETERS or (macs or 0) > REAL_MACS:
        return Outcome(macs, fault="" if macs else "nothing was counted")
    images = np.random.default_rng(0).integers(0, 256, (1, model.side, model.side, 3), np.uint8)
    batch = Batch(np.array(["a"]), {"image": images})
    scores = model.predict(batch)["scores"]
    info = count(model, batch)
    if macs is None:
        macs = counted_without_data(model.module, model.side)
    if scores.shape != (1, CLASSES) or not np.isfinite(scores).all():
        return Outcome(info.macs, True, f"it answers {scores.shape}, {scores.ravel()[:3]}")
    if info.macs is None or info.coverage is None or not 0.9 < info.coverage < 1:
        return Outcome(info.macs, True, f"{info.reason}; coverage {info.coverage}, {info.uncounted}")
    if info.macs != macs:
        return Outcome(info.macs, True, f"{info.macs} MACs computed, {macs} without data")
    layers = layers_of(model, batch, info) if info.macs <= LAYERS_MACS else None
    if layers is not None and (layers.reason or sum(layers.macs) != info.macs):
        return Outcome(info.macs, True, f"layers: {layers.reason}")
    return Outcome(info.macs, True)


def fault_of(full: str) -> str:
    """Return what goes wrong with a network, and note it in the file that MLCVBENCH_NETWORKS names."""
    start = time.monotonic()
    try:
        outcome = tried(full)
    except Exception as error:  # noqa: BLE001 - every network is to be tried, whatever one does
        outcome = Outcome(fault=f"{type(error).__name__}: {error}")
    if log := os.environ.get("MLCVBENCH_NETWORKS"):
        with Path(log).open("a") as file:
            file.write(json.dumps({"name": full, **outcome._asdict(), "seconds": time.monotonic() - start}) + "\n")
    return outcome.fault


@pytest.mark.parametrize("full", FAMILIES)
def test_a_network_of_each_family_is_built_answers_and_is_counted(full: str) -> None:
    assert fault_of(full) == ""


@pytest.mark.campaign
@pytest.mark.timeout(7200)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("part", range(PARTS))
def test_every_network_is_built_answers_and_is_counted(part: int) -> None:
    faults = {full: fault for full in every_name()[part::PARTS] if (fault := fault_of(full))}

    assert faults == {full: fault for full, fault in CANNOT.items() if full in faults}
