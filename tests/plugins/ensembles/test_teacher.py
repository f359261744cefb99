"""What a teacher is while it teaches."""

from __future__ import annotations

import numpy as np
from support.fitting import digits, fitted, problem

from mlcvbench_ensembles import distillation
from mlcvbench_ensembles.distillation import Distill
from mlcvbench_training.guidance import Teacher


def test_a_teacher_answers_in_evaluation_mode_and_learns_no_more(monkeypatch):
    import torch

    seen = []

    class Watched(Teacher):
        def loss(self, inputs: torch.Tensor, logits: torch.Tensor, hard: torch.Tensor) -> torch.Tensor:
            one, other = self.logits(inputs), self.logits(inputs)
            seen.append((torch.equal(one, other), one.requires_grad))
            return super().loss(inputs, logits, hard)

    monkeypatch.setattr(distillation, "Teacher", Watched)
    model = Distill(problem(np.zeros((1, 8, 8))), student="mlp,hidden=[8]", teacher="mlp,hidden=[16],dropout=0.9")

    fitted(model, digits()[0].take(range(64)), epochs=1, batch=32)

    assert seen == [(True, False)] * 2
