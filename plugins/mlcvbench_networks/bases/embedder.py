"""An embedder: a network whose outputs are near each other for images of one person and far for others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import nn

from mlcvbench.contract import Batch, Predictions
from mlcvbench.errors import DataError, RequestError
from mlcvbench_networks.bases.network_model import NetworkModel, SampleObjective
from mlcvbench_networks.embedding.batches import identity_batches

if TYPE_CHECKING:
    from mlcvbench_training.objective import Chosen
    from mlcvbench_training.samples import DenseSamples, SampleBatch
    from mlcvbench_training.settings import NetworkSettings


class Embedder(NetworkModel):
    """Embed images. A method writes `network`, whose outputs are (B, D), and `loss`.

    `batch.labels` of a loss are identities 0 .. n - 1 of the training data. `DISTANCE`: how two embeddings are
    compared. `TOGETHER`: samples of one identity in a batch, for losses of pairs; 0 draws samples one by one (a
    setting may decide: then `__init__` sets it). A network whose last layer fixes the size of images cannot be shown
    several: its spec has `network_fit_params(FIT, without=("sizes",))`.
    """

    SAMPLES: ClassVar[Mapping[str, Any]] = {"labels": "identity"}
    MULTIPLE: ClassVar[int] = 1
    DISTANCE: ClassVar[str] = "cosine"
    TOGETHER: int = 4

    def head(self, identities: int) -> nn.Module | None:
        """Return what is learned beside the network, such as the class weights of ArcFace; it becomes `self.beside`."""
        return None

    def beside_of(self, samples: DenseSamples) -> nn.Module | None:
        return self.head(len(identities_of(samples)))

    def objective(self, samples: DenseSamples, settings: NetworkSettings) -> SampleObjective:
        return IdentityObjective(self, samples, settings)

    def postprocess(self, outputs: torch.Tensor, batch: Batch) -> Predictions:
        return {"embedding": outputs.float().cpu().numpy(), "distance": self.DISTANCE}


class IdentityObjective(SampleObjective):
    """A loss of embeddings; where it is one of pairs, batches hold several identities with several samples of each.

    Schroff et al., "FaceNet" (2015), section 3.2.
    """

    model: Embedder

    def __init__(self, model: Embedder, samples: DenseSamples, settings: NetworkSettings) -> None:
        super().__init__(model, samples, settings)
        self.identities, self.numbers = identities_of(samples), labels_of(samples).cpu().numpy()
        if model.TOGETHER and len(self.identities) < 2:
            raise DataError("all training samples are of one identity, wanted at least 2 to learn from pairs.")
        if model.TOGETHER and settings.optimizer == "online_gd":
            raise RequestError("fit.optimizer=online_gd: its steps see one sample, which has no pairs; take sgd.")
        if settings.batch < 2 * model.TOGETHER:
            raise RequestError(
                f"fit.batch={settings.batch}: wanted 2 identities with {model.TOGETHER} samples each, or more; set "
                f"fit.batch={2 * model.TOGETHER} or more."
            )

    def batches(self, size: int, generator: torch.Generator) -> Sequence[torch.Tensor]:
        if not self.model.TOGETHER:
            return super().batches(size, generator)
        chosen = identity_batches(self.numbers, size, self.model.TOGETHER, generator)
        return [one.to(self.device) for one in chosen]

    def steps(self, size: int) -> int:
        return len(self.batches(size, torch.Generator()))

    def read(self, chosen: Sequence[Chosen]) -> Iterator[SampleBatch]:
        for batch in super().read(chosen):
            assert batch.labels is not None
            yield replace(batch, labels=torch.searchsorted(self.identities, batch.labels))


def identities_of(samples: DenseSamples) -> torch.Tensor:
    """Return the different identities in order; the place of each is its number."""
    return torch.unique(labels_of(samples))  # type: ignore[no-any-return]


def labels_of(samples: DenseSamples) -> torch.Tensor:
    """Return the identity of each sample, int64 (N,)."""
    if samples.labels is None:
        raise TypeError("an embedder's samples have labels: SAMPLES names their column.")
    return samples.labels
