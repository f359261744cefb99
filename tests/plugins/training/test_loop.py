"""The training loop: seeds, blocks, history, budget, divergence, augmentation."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.fitting import context, split
from torch import nn

from mlcvbench.contract import Device, FitContext
from mlcvbench.errors import DataError, RequestError
from mlcvbench_training import training
from mlcvbench_training.guidance import GuidedContext
from mlcvbench_training.loop import Examples, evaluate, examples_of, train_network
from mlcvbench_training.losses import loss_of
from mlcvbench_training.objective import blocks
from mlcvbench_training.refusals import DivergedError
from mlcvbench_training.seeding import seeded
from mlcvbench_training.settings import Settings

CROSS_ENTROPY = loss_of(Settings(), "sum")
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
        ("loss", "train_accuracy", "lr", "val_loss", "val_accuracy"), 3
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

    report = train_network(network(), examples(), QUICK, ctx)

    assert (report.epochs, report.cut_short) == (1, True)
    assert not train_network(network(), examples(), QUICK, context()).cut_short


def timed(monkeypatch: pytest.MonkeyPatch, seconds: float, once: float) -> nn.Module:
    """Return a network whose epochs of 32 images take so many seconds, the first one `once` more."""
    clock, module = [0.0], network()
    monkeypatch.setattr(training.time, "monotonic", lambda: clock[0])

    def pass_time(*_: object) -> None:
        clock[0] += seconds / 4 + (once if clock[0] == 0.0 else 0.0)

    module.register_forward_pre_hook(pass_time)
    return module


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine", "warmup+linear"])
def test_a_budget_too_small_for_all_epochs_ends_at_the_low_rate_of_the_schedule(monkeypatch, schedule: str):
    settings = replace(QUICK, epochs=50, schedule=schedule)
    ctx = FitContext(seed=0, device=Device(), budget=9.5)

    report = train_network(timed(monkeypatch, 1.0, once=2.0), examples(32), settings, ctx)

    assert (report.epochs, report.cut_short) == (7, True)  # 4 s for two epochs, and five more
    assert report.history["lr"][-1] < 0.15 * max(report.history["lr"])


def test_a_budget_that_all_epochs_fit_into_changes_nothing(monkeypatch):
    plain, timed_one = network(), timed(monkeypatch, 1.0, once=2.0)

    report = train_network(timed_one, examples(32), QUICK, FitContext(seed=0, device=Device(), budget=6.5))
    train_network(plain, examples(32), QUICK, FitContext(seed=0, device=Device()))

    assert (report.epochs, report.cut_short) == (3, False)
    assert state_bytes(plain) == state_bytes(timed_one)


def test_epochs_that_grow_longer_than_planned_still_end_within_the_budget(monkeypatch):
    clock, module = [0.0], network()
    monkeypatch.setattr(training.time, "monotonic", lambda: clock[0])

    def pass_more_time(*_: object) -> None:
        clock[0] = 1.05 * clock[0] + 0.1

    module.register_forward_pre_hook(pass_more_time)
    report = train_network(
        module, examples(32), replace(QUICK, epochs=50), FitContext(seed=0, device=Device(), budget=9.0)
    )

    assert report.cut_short
    assert report.epochs > 2


def test_a_budget_that_is_spent_with_the_last_epoch_cuts_nothing_short():
    ctx = FitContext(seed=0, device=Device(), budget=1e-9)

    assert not train_network(network(), examples(), replace(QUICK, epochs=1), ctx).cut_short


def test_passes_in_bfloat16_learn_the_same_and_leave_float32_weights():
    plain, half = network(), network()

    report = train_network(plain, examples(), QUICK, context(), val=examples(10))
    other = train_network(half, examples(), replace(QUICK, precision="bfloat16"), context(), val=examples(10))

    assert {parameter.dtype for parameter in half.parameters()} == {torch.float32}
    assert state_bytes(half) != state_bytes(plain)
    assert other.history["val_accuracy"][-1] == report.history["val_accuracy"][-1] == 1.0
    assert other.history["loss"] == pytest.approx(report.history["loss"], rel=0.1)


def test_what_a_network_computes_in_bfloat16_is_its_passes_alone():
    seen: list[torch.dtype] = []
    module = network()
    module[0].register_forward_hook(lambda _, given, made: seen.append(made.dtype))
    settings = replace(QUICK, epochs=1, precision="bfloat16")

    train_network(module, examples(32), settings, context(), val=examples(10))

    assert seen == [torch.bfloat16] * 4 + [torch.float32]  # four steps, and the validation data


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


def test_evaluation_gives_the_mean_loss_and_counts_the_largest_logit():
    module = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    with torch.no_grad():
        module[1].weight.zero_()
        module[1].bias.copy_(torch.tensor([1.0, 0.0]))

    loss, accuracy = evaluate(module, examples(10), CROSS_ENTROPY)

    assert accuracy == 0.5
    assert loss == pytest.approx((np.log(1 + np.exp(-1)) + np.log(1 + np.exp(1))) / 2, rel=1e-5)


def linear(count: int = 20) -> tuple[nn.Module, Examples]:
    with seeded(0, CPU):
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 2)), examples(count)


@pytest.mark.parametrize("batch", [20, 7])
def test_gradient_descent_makes_one_step_an_epoch_with_the_gradient_of_the_mean_loss(batch):
    module, data = linear()
    reference = copy.deepcopy(module)
    for _ in range(3):
        reference.zero_grad()
        nn.functional.cross_entropy(reference(data.images / 255.0), data.labels).backward()
        with torch.no_grad():
            for parameter in reference.parameters():
                parameter.sub_(0.5 * parameter.grad)

    settings = Settings(optimizer="gd", lr=0.5, batch=batch, epochs=3, schedule="constant", weight_decay=0.0)
    train_network(module, data, settings, context())

    assert torch.allclose(module[1].weight, reference[1].weight, atol=1e-6)


def test_online_descent_steps_after_every_image_of_a_fresh_order():
    module, data = linear(5)
    reference = copy.deepcopy(module)
    order = torch.Generator().manual_seed(3)
    for _ in range(2):
        for index in torch.randperm(5, generator=order).tolist():
            reference.zero_grad()
            loss = nn.functional.cross_entropy(reference(data.images[[index]] / 255.0), data.labels[[index]])
            loss.backward()
            with torch.no_grad():
                for parameter in reference.parameters():
                    parameter.sub_(0.1 * parameter.grad)

    settings = Settings(optimizer="online_gd", lr=0.1, epochs=2, schedule="constant", weight_decay=0.0)
    train_network(module, data, settings, context(3))

    assert torch.allclose(module[1].weight, reference[1].weight, atol=1e-6)


def test_batch_norm_refuses_single_images_with_the_setting_to_change():
    with pytest.raises(RequestError) as error:
        train_network(network(), examples(), replace(QUICK, optimizer="online_gd"), context())

    assert str(error.value) == (
        "batch norm needs at least 2 images a step, got 1; set a larger fit.batch or fit.optimizer=sgd."
    )


def test_the_lr_of_the_history_follows_the_schedule():
    settings = replace(QUICK, lr=0.1, epochs=4, schedule="step", milestones=(0.5,), gamma=0.5)

    assert train_network(network(), examples(), settings, context()).history["lr"] == pytest.approx(
        [0.1, 0.1, 0.05, 0.05]
    )


def test_what_chooses_on_validation_data_asks_for_them():
    for settings, name in (
        (replace(QUICK, early_stopping=True), "early_stopping=true"),
        (replace(QUICK, schedule="warmup+plateau"), "schedule=warmup+plateau"),
    ):
        with pytest.raises(RequestError) as error:
            train_network(network(), examples(), settings, context())
        assert str(error.value) == f"fit.{name} chooses on validation data, and there are none."


def test_early_stopping_ends_after_patience_and_puts_the_best_weights_back():
    module, data = linear()
    settings = Settings(
        optimizer="sgd", lr=0.5, epochs=30, schedule="constant", weight_decay=0.0, early_stopping=True, patience=2
    )

    report = train_network(module, data, settings, context(), val=data)

    best = int(np.argmax(report.history["val_accuracy"]))
    assert report.epochs == best + 1 + 2
    again, _ = linear()
    shorter = train_network(again, data, replace(settings, early_stopping=False, epochs=best + 1), context(), val=data)
    assert torch.equal(module[1].weight, again[1].weight)
    assert shorter.history["val_accuracy"] == report.history["val_accuracy"][: best + 1]


def test_a_gain_must_be_larger_than_min_gain():
    settings = replace(QUICK, epochs=9, early_stopping=True, patience=1, min_gain=1.0)

    assert train_network(network(), examples(), settings, context(), val=examples(10)).epochs == 2


def test_a_moving_average_is_kept_and_validated():
    settings = Settings(optimizer="sgd", lr=0.3, batch=20, epochs=3, schedule="constant", weight_decay=0.0)
    module, data = linear()
    places = [module[1].weight.detach().clone()]
    for epochs in (1, 2, 3):
        other, _ = linear()
        train_network(other, data, replace(settings, epochs=epochs), context())
        places.append(other[1].weight.detach().clone())
    mean = places[0]
    for number, place in enumerate(places[1:]):
        share = min(0.15, (1 + number) / (10 + number))  # warm: 0.1, then 0.15 (2/11 is more)
        mean = share * mean + (1 - share) * place

    report = train_network(module, data, replace(settings, average="ema", ema_decay=0.15), context(), val=data)

    assert torch.allclose(module[1].weight, mean, atol=1e-6)
    assert report.history["val_loss"][-1] == pytest.approx(evaluate(module, data, CROSS_ENTROPY)[0])


def test_a_moving_average_has_the_running_statistics_of_the_network_that_was_trained():
    settings = replace(QUICK, average="ema", ema_decay=0.9)
    averaged, plain = network(), network()

    train_network(averaged, examples(), settings, context())
    train_network(plain, examples(), replace(settings, average="none"), context())

    assert all(torch.equal(*pair) for pair in zip(averaged.buffers(), plain.buffers(), strict=True))
    assert not torch.equal(averaged[0].weight, plain[0].weight)


def test_stochastic_weight_averaging_is_the_mean_of_the_last_epochs_with_fresh_norms():
    settings = Settings(optimizer="sgd", lr=0.1, batch=11, epochs=8, schedule="constant", average="swa")
    module, data = network(), examples()
    weights = []
    for epochs in (7, 8):
        other = network()
        train_network(other, data, replace(settings, epochs=epochs, average="none"), context())
        weights.append(other[0].weight.detach())

    train_network(module, data, settings, context())

    assert torch.allclose(module[0].weight, (weights[0] + weights[1]) / 2, atol=1e-6)
    features = module[0](data.images / 255.0)
    orders = torch.Generator().manual_seed(context().seed)
    *_, order = [torch.randperm(33, generator=orders) for _ in range(8 + 1)]  # one an epoch, and one for the norms
    means = torch.stack([features[order[block]].mean((0, 2, 3)) for block in blocks(33, 11)]).mean(0)
    spreads = torch.stack([features[order[block]].var((0, 2, 3)) for block in blocks(33, 11)]).mean(0)
    assert torch.allclose(module[1].running_mean, means, atol=1e-5)
    assert torch.allclose(module[1].running_var, spreads, atol=1e-5)


def test_the_fresh_norms_of_images_stored_class_by_class_are_those_of_any_batch():
    """Of batches of one class the variance within is too small: that between the classes is missing."""
    settings = Settings(optimizer="sgd", lr=0.01, batch=16, epochs=2, schedule="constant", average="swa", swa_start=0.0)
    shades = torch.arange(64).div(16, rounding_mode="floor") * 60  # 4 classes of 16, each of one brightness
    images = shades.to(torch.uint8).view(64, 1, 1, 1).expand(64, 1, 4, 4).contiguous()
    module = network()

    train_network(module, Examples(images, torch.arange(64) % 2), settings, context())

    spread = module[0](images / 255.0).var((0, 2, 3))
    assert (module[1].running_var > 0.8 * spread).all()


def test_averaging_after_a_cyclic_schedule_takes_the_ends_of_cycles():
    settings = Settings(
        optimizer="sgd", lr=0.1, batch=20, epochs=6, schedule="cyclic", cycles=3, average="swa", swa_start=0.5
    )
    module, data = linear()
    weights = []
    for until in (4, 6):
        other, _ = linear()
        plain = replace(settings, average="none")
        train_network(other, data, plain, GuidedContext(seed=0, device=Device(), until=until))
        weights.append(other[1].weight.detach())

    train_network(module, data, settings, context())

    assert torch.allclose(module[1].weight, (weights[0] + weights[1]) / 2, atol=1e-6)


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
        "read them in batches, which hold lists."
    )
