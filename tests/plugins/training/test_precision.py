"""The precision of a training: what `auto` takes on which machine, and that the record says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.fitting import context
from torch import nn

from mlcvbench_training import precision
from mlcvbench_training.loop import Examples, train_network
from mlcvbench_training.precision import chosen_precision
from mlcvbench_training.settings import Settings

CPU = torch.device("cpu")
QUICK = Settings(epochs=1, batch=8)


@pytest.fixture
def processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that makes the processor one with these flags; None: a system that tells nothing."""

    def become(flags: str | None) -> None:
        path = tmp_path / "cpuinfo"
        if flags is not None:
            path.write_text(f"processor : 0\nflags : fpu {flags} sse\n")
        monkeypatch.setattr(precision, "CPU_FACTS", path)

    return become


@pytest.mark.parametrize(
    ("flags", "taken"),
    [("avx512_bf16", "bfloat16"), ("amx_tile amx_bf16", "bfloat16"), ("avx512f", "float32"), (None, "float32")],
)
def test_auto_is_bfloat16_where_the_processor_multiplies_it(processor, flags: str | None, taken: str):
    processor(flags)

    assert chosen_precision("auto", CPU) == taken
    assert chosen_precision("float32", CPU) == "float32"


def trained(settings: Settings) -> tuple[bytes, list[str]]:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    examples = Examples(torch.arange(256, dtype=torch.uint8).view(16, 1, 4, 4), torch.arange(16) % 2)
    report = train_network(module, examples, settings, context())
    weights = b"".join(tensor.detach().numpy().tobytes() for tensor in module.parameters())
    return weights, [notice.text for notice in report.notices]


@pytest.mark.parametrize(("flags", "taken"), [("amx_bf16", "bfloat16"), ("sse2", "float32")])
def test_the_report_says_which_one_was_taken(processor, flags: str, taken: str):
    processor(flags)

    weights, notices = trained(replace(QUICK, precision="auto"))

    assert notices == [f"fit.precision=auto took {taken} here; a machine that computes otherwise fits another model."]
    assert trained(replace(QUICK, precision=taken)) == (weights, [])
