"""What an embedder is: identities by number, batches of pairs, a head that is learned beside it and not kept."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from mlcvbench.contract import ArraySplit, Batch, Device, FitContext, FitReport, InputSpec, Problem
from mlcvbench.errors import DataError, RequestError
from mlcvbench_networks.bases.embedder import Embedder
from mlcvbench_networks.embedding.arcface import ArcFace
from mlcvbench_networks.embedding.losses import contrastive
from mlcvbench_training import training

PEOPLE = (7, 3, 7_000_000_000, 41)
EACH = 6
Stop = Callable[[int, int], None]


class Plain(Embedder):
    """Projects pixels, and notes what its loss is shown."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.shown: list[torch.Tensor] = []

    def network(self) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(64 * self.channels, 5))

    def loss(self, network: Any, batch: Any, generator: torch.Generator) -> torch.Tensor:
        self.shown.append(batch.labels)
        return contrastive(network(batch.inputs["image"]), batch.labels)


class Angular(Plain):
    """With class weights, and samples one by one."""

    TOGETHER = 0

    def head(self, identities: int) -> nn.Module:
        self.asked = identities
        return ArcFace(5, identities, scale=8.0)

    def loss(self, network: Any, batch: Any, generator: torch.Generator) -> torch.Tensor:
        self.shown.append(batch.labels)
        assert self.beside is not None
        loss: torch.Tensor = self.beside(network(batch.inputs["image"]), batch.labels)
        return loss


def photos(people: tuple[int, ...] = PEOPLE, *, grey: bool = False) -> ArraySplit:
    """Return `EACH` noisy images of each person, in an order that mixes them."""
    generator = np.random.default_rng(0)
    identity = generator.permutation(np.repeat(np.array(people, dtype=np.int64), EACH))
    shade = np.unique(identity, return_inverse=True)[1] * 40 + 20
    shape = (len(identity), 8, 8) if grey else (len(identity), 8, 8, 3)
    noise = generator.integers(0, 30, size=shape)
    images = (shade.reshape(-1, *[1] * (len(shape) - 1)) + noise).astype(np.uint8)
    return ArraySplit("train", {"image": images}, {"identity": identity})


def problem(*, grey: bool = False) -> Problem:
    return Problem("verification", (), {"image": InputSpec((8, 8) if grey else (8, 8, 3))})


def fitted(model: Plain, split: ArraySplit, folder: Path | None = None, stop: Stop | None = None, **settings: Any):
    further = {} if stop is None else {"progress": stop}
    chosen = {"epochs": 2, "batch": 8, **settings}
    report = model.fit(split, None, FitContext(seed=0, device=Device(), settings=chosen, checkpoints=folder, **further))
    return model, report


def test_a_loss_is_shown_identities_by_their_number_whatever_they_are_called():
    model, _ = fitted(Plain(problem()), photos())

    assert {int(label) for labels in model.shown for label in labels} == {0, 1, 2, 3}


def test_numbers_follow_the_order_of_identities():
    split = photos()
    model, _ = fitted(Angular(problem()), split, epochs=1)

    told = torch.cat(model.shown).bincount().tolist()
    assert told == [EACH] * 4
    seen = {}

    class Looking(Angular):
        def loss(self, network: Any, batch: Any, generator: torch.Generator) -> torch.Tensor:
            for image, label in zip(batch.inputs["image"], batch.labels, strict=True):
                seen[int(label)] = round(float(image.mean()) * 255) // 40
            return super().loss(network, batch, generator)

    fitted(Looking(problem()), split, epochs=1)
    assert seen == {0: 0, 1: 1, 2: 2, 3: 3}  # shades rise with the identity


def test_a_batch_of_a_loss_of_pairs_holds_several_identities_with_several_samples_each():
    model, _ = fitted(Plain(problem()), photos(), batch=8)

    for labels in model.shown:
        assert sorted(labels.unique(return_counts=True)[1].tolist()) == [4, 4]


def test_the_schedule_counts_as_many_steps_as_there_are_batches_of_pairs():
    model, report = fitted(Plain(problem()), photos(), batch=8, epochs=3, schedule="linear", lr=1.0, final=0.0)

    assert len(model.shown) == 3 * 4  # 6 samples are 2 groups of 4, so that 8 groups go in pairs
    assert report.history["lr"][-1] < 0.1


def test_a_model_of_single_samples_sees_each_once_an_epoch():
    model, _ = fitted(Angular(problem()), photos(), epochs=1, batch=10)

    assert [len(labels) for labels in model.shown] == [10, 10, 4]


def test_training_data_of_one_identity_have_no_pairs_that_teach():
    with pytest.raises(DataError, match=r"^all training samples are of one identity, wanted at least 2 to learn from"):
        fitted(Plain(problem()), photos((3,)))


def test_a_batch_without_room_for_two_identities_is_refused_with_what_to_set():
    with pytest.raises(RequestError, match=r"^fit\.batch=7: wanted 2 .* 4 samples each, .* set fit\.batch=8 or more"):
        fitted(Plain(problem()), photos(), batch=7)


def test_a_head_knows_how_many_identities_there_are_and_learns_but_is_not_kept(tmp_path: Path):
    model, _ = fitted(Angular(problem()), photos())

    assert model.asked == len(PEOPLE)
    assert model.beside is None
    assert model.parameters().trainable == 64 * 3 * 5 + 5
    model.save(tmp_path)
    again = Angular(problem())
    again.load(tmp_path)
    batch = next(photos().inputs(4))
    assert np.array_equal(model.predict(batch)["embedding"], again.predict(batch)["embedding"])


def test_the_heads_weights_are_moved_by_the_training():
    kept = []

    class Kept(Angular):
        def head(self, identities: int) -> nn.Module:
            kept.append(super().head(identities))
            kept.append(kept[0].weight.detach().clone())  # type: ignore[operator]
            return kept[0]

    fitted(Kept(problem()), photos())

    head, before = kept
    assert not torch.equal(head.weight, before)


@pytest.mark.parametrize("kind", [Plain, Angular])
def test_an_interrupted_fit_ends_with_the_same_bits_its_head_included(
    kind: type[Plain], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(training, "SAVING_SHARE", math.inf)

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    whole, wanted = fitted(kind(problem()), photos(), epochs=4)
    with pytest.raises(KeyboardInterrupt):
        fitted(kind(problem()), photos(), tmp_path, stop, epochs=4)
    resumed, report = fitted(kind(problem()), photos(), tmp_path, epochs=4)

    assert isinstance(report, FitReport)
    assert report.earlier_seconds > 0
    assert report.history["loss"] == wanted.history["loss"]  # which the head's weights decide, too
    assert torch.equal(resumed.module[1].weight, whole.module[1].weight)


@pytest.mark.parametrize(("kind", "distance"), [(Plain, "cosine"), (type("L2", (Plain,), {"DISTANCE": "l2"}), "l2")])
def test_predictions_say_how_embeddings_are_compared(kind: type[Plain], distance: str):
    model, _ = fitted(kind(problem()), photos(), epochs=1)

    predictions = model.predict(next(photos().inputs(3)))

    assert predictions["distance"] == distance
    assert predictions["embedding"].shape == (3, 5)
    assert predictions["embedding"].dtype == np.float32


def test_no_image_gives_no_embedding():
    model, _ = fitted(Plain(problem()), photos(), epochs=1)

    empty = Batch(np.array([], dtype=str), {"image": np.zeros((0, 8, 8, 3), np.uint8)})

    assert model.predict(empty)["embedding"].shape == (0, 5)


def test_grey_images_are_one_channel_in_fit_and_prediction():
    model, _ = fitted(Angular(problem(grey=True)), photos(grey=True))

    assert model.module[1].in_features == 64
    assert model.predict(next(photos(grey=True).inputs(3)))["embedding"].shape == (3, 5)


def test_an_optimizer_of_single_samples_is_refused_where_pairs_teach():
    with pytest.raises(RequestError, match=r"^fit\.optimizer=online_gd: its steps see one sample, .* take sgd\.$"):
        fitted(Plain(problem()), photos(), optimizer="online_gd")
    fitted(Angular(problem()), photos(), optimizer="online_gd", epochs=1)


class Pooled(Plain):
    """Takes images of any size."""

    def network(self) -> nn.Module:
        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(self.channels, 5))


def test_images_of_unequal_size_in_one_batch_have_one_distance_and_keep_their_places() -> None:
    model, generator = Pooled(problem()), np.random.default_rng(1)
    model.module = model.build()
    images = [generator.integers(0, 256, (side, side, 3), dtype=np.uint8) for side in (8, 40, 9, 70)]

    together = model.predict(Batch(np.array(list("abcd")), {"image": images}))

    alone = [model.predict(Batch(np.array(["a"]), {"image": [image]}))["embedding"][0] for image in images]
    assert together["distance"] == model.DISTANCE
    assert np.allclose(together["embedding"], alone, atol=1e-6)
