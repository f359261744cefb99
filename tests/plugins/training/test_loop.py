"""The training loop: seeds, blocks, history, budget, divergence, augmentation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.fitting import context, split
from torch import nn

from mlcvbench.contract import Device, FitContext
from mlcvbench.errors import DataError
from mlcvbench_training.augmentation import shift
from mlcvbench_training.loop import DivergedError, Examples, accuracy, blocks, examples_of, train_network
from mlcvbench_training.seeding import seeded
from mlcvbench_training.settings import Settings

CPU = torch.device("cpu")
QUICK = Settings(optimizer="adam", lr=0.01, batch=8, epochs=3, weight_decay=0.0)


def examples(count: int = 33, side: int = 4) -> Examples:
    """Return images whose left or right half is bright, by label."""
    labels = torch.arange(count) % 2
    images = torch.zeros(count, 1, side, side, dtype=torch.uint8)
    images[labels == 0, :, :, : side // 2] = 200
    images[labels == 1, :, :, side // 2 :] = 200
    return Examples(images, labels)


def network(seed: int = 0, *extra: nn.Module) -> nn.Module:
    with seeded(seed, CPU):
        return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), *extra, nn.Linear(16, 2))


def state_bytes(module: nn.Module) -> bytes:
    return b"".join(tensor.numpy().tobytes() for tensor in module.state_dict().values())


def test_training_learns_and_reports_one_entry_an_epoch():
    module = network()
    progress: list[tuple[int, int]] = []
    ctx = FitContext(seed=0, device=Device(), progress=lambda done, total: progress.append((done, total)))

    report = train_network(module, examples(), QUICK, ctx, val=examples(10))

    assert report.epochs == 3
    assert {name: len(column) for name, column in report.history.items()} == dict.fromkeys(
        ("loss", "train_accuracy", "lr", "val_accuracy"), 3
    )
    assert report.history["loss"][-1] < report.history["loss"][0]
    assert report.history["val_accuracy"][-1] == 1.0
    assert progress == [(1, 3), (2, 3), (3, 3)]
    assert not module.training


def test_the_history_has_no_validation_column_without_validation_data():
    assert set(train_network(network(), examples(), QUICK, context()).history) == {"loss", "train_accuracy", "lr"}


@pytest.mark.parametrize("augmentation", ["none", "shift"])
def test_equal_seeds_give_equal_weights_and_others_do_not(augmentation):
    settings = Settings(batch=8, epochs=2, augmentation=augmentation)

    def trained(seed: int) -> bytes:
        module = network(seed, nn.Dropout(0.5))
        train_network(module, examples(), settings, context(seed))
        return state_bytes(module)

    assert trained(1) == trained(1)
    assert trained(1) != trained(2)


def test_training_leaves_the_global_generator_as_it_was():
    torch.manual_seed(5)
    before = torch.get_rng_state()

    train_network(network(3, nn.Dropout(0.5)), examples(), QUICK, context(3))

    assert torch.equal(torch.get_rng_state(), before)


def test_a_global_seed_does_not_change_what_is_trained():
    results = []
    for global_seed in (0, 1):
        torch.manual_seed(global_seed)
        module = network(3, nn.Dropout(0.5))
        train_network(module, examples(), QUICK, context(3))
        results.append(state_bytes(module))

    assert results[0] == results[1]


def test_a_last_block_of_one_sample_joins_its_neighbour():
    assert [(b.start, b.stop) for b in blocks(33, 8)] == [(0, 8), (8, 16), (16, 24), (24, 33)]
    assert [(b.start, b.stop) for b in blocks(34, 16)] == [(0, 16), (16, 32), (32, 34)]
    assert [(b.start, b.stop) for b in blocks(1, 8)] == [(0, 1)]
    assert [(b.start, b.stop) for b in blocks(2, 1)] == [(0, 1), (1, 2)]


def test_a_loss_that_is_not_finite_ends_the_training_with_one_clear_error():
    settings = Settings(optimizer="sgd", lr=1e30, batch=8, epochs=3, schedule="constant")

    with pytest.raises(DivergedError) as error:
        train_network(network(), examples(), settings, context())

    assert str(error.value) == (
        "training diverged: the loss is nan in epoch 1 of 3 with optimizer sgd, lr 1e+30; set a smaller fit.lr."
    )
    assert error.value.exit_code == 1


def test_a_spent_budget_ends_the_training_after_the_running_epoch():
    ctx = FitContext(seed=0, device=Device(), budget=1e-9)

    assert train_network(network(), examples(), QUICK, ctx).epochs == 1


def test_label_smoothing_is_the_textbook_loss():
    module = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    with torch.no_grad():
        module[1].weight.zero_()
        module[1].bias.copy_(torch.tensor([2.0, 1.0, 0.0]))
    one = Examples(torch.zeros(4, 1, 4, 4, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64))
    still = Settings(optimizer="sgd", lr=0.0, batch=4, epochs=1)

    plain = train_network(module, one, still, context())
    smooth = train_network(module, one, replace(still, label_smoothing=0.1), context())

    assert plain.history["loss"] == pytest.approx([0.407606], abs=1e-6)
    assert smooth.history["loss"] == pytest.approx([0.507606], abs=1e-6)


def test_accuracy_counts_the_largest_logit():
    module = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    with torch.no_grad():
        module[1].weight.zero_()
        module[1].bias.copy_(torch.tensor([1.0, 0.0]))

    assert accuracy(module, examples(10)) == 0.5


def test_shifted_images_are_windows_of_the_padded_image():
    image = torch.arange(28 * 28, dtype=torch.float32).reshape(1, 1, 28, 28)
    generator = torch.Generator().manual_seed(0)

    moved = shift(image.repeat(200, 2, 1, 1), generator)

    padded = nn.functional.pad(image, (2, 2, 2, 2), mode="replicate")[0, 0]
    windows = {padded[y : y + 28, x : x + 28].numpy().tobytes() for y in range(5) for x in range(5)}
    assert {picture[0].numpy().tobytes() for picture in moved} == windows
    assert torch.equal(moved[:, 0], moved[:, 1])


def test_splits_become_tensors_with_channels_first():
    colour = split(np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3), [0, 1])
    grey = split(np.zeros((2, 3, 4), np.uint8), [0, 1])

    assert examples_of(colour, CPU).images.shape == (2, 3, 3, 4)
    assert examples_of(colour, CPU).images[1, 2, 0, 1] == 36 + 5
    assert examples_of(grey, CPU).images.shape == (2, 1, 3, 4)


def test_nothing_to_train_on_and_images_of_several_sizes_are_refused():
    with pytest.raises(DataError) as empty:
        examples_of(split(np.zeros((0, 4, 4), np.uint8), []), CPU)
    with pytest.raises(DataError) as ragged:
        examples_of(split([np.zeros((2, 2), np.uint8), np.zeros((3, 2), np.uint8)], [0, 1]), CPU)

    assert str(empty.value) == "split 'train' has no samples, wanted at least 1 to train on."
    assert str(ragged.value) == (
        "split 'train': the image inputs differ in size, so they do not form one array; "
        "set data.size=[H,W] to resize them."
    )
