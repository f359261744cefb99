"""Fine-tuning a network of the libraries: weights of a checkpoint with other classes, a slow or frozen backbone."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from support.fitting import context, digits, problem, scores_of
from support.runs import config_for

from mlcvbench.errors import RecordError, RequestError
from mlcvbench.plan.planning import plan
from mlcvbench.running import stages

DIGIT = np.zeros((1, 8, 8))


def of_timm(name: str, **settings):
    from mlcvbench_hub.timm_models import TimmClassifier

    return TimmClassifier(problem(DIGIT), name, **{"size": 32, **settings})


def of_torchvision(name: str, **settings):
    from mlcvbench_hub.torchvision_models import TorchvisionClassifier

    return TorchvisionClassifier(problem(DIGIT), name, **{"size": 32, **settings})


def checkpoint(model, path: Path, classes: int = 1000) -> dict[str, torch.Tensor]:
    """Store the library's own network with that many classes, all its weights unlike those of a fresh one."""
    torch.manual_seed(7)
    state = {name: tensor.clone() for name, tensor in model.bare(classes).state_dict().items()}
    torch.save({f"module.{name}": tensor for name, tensor in state.items()}, path)
    return state


@pytest.mark.parametrize(
    ("make", "name", "head"),
    [(of_timm, "test_resnet", "fc"), (of_torchvision, "shufflenet_v2_x0_5", "fc")],
)
def test_a_checkpoint_of_other_classes_gives_all_but_its_classifier(make, name: str, head: str, tmp_path: Path):
    state = checkpoint(make(name), tmp_path / "imagenet.pth")
    names = [name for name in state if not name.endswith("num_batches_tracked")]
    model = make(name, backbone_weights=str(tmp_path / "imagenet.pth"), freeze=4)

    report = model.fit(digits()[0].take(range(32)), None, context(epochs=1, batch=16))

    assert [notice.text for notice in report.notices] == [
        f"imagenet.pth: 2 of its {len(names)} tensors are left out, since there is no place for them here: "
        f"{head}.bias, {head}.weight. Learned from scratch: {head}.weight, {head}.bias."
    ]
    own = model.stored_module().state_dict()
    kept = [name for name in state if not name.startswith(f"{head}.")]
    assert all(torch.equal(own[name], state[name]) for name in kept)
    assert own[f"{head}.weight"].shape[0] == 10


def test_a_checkpoint_of_the_same_classes_is_taken_whole_and_fine_tuned(tmp_path: Path):
    state = checkpoint(of_timm("test_resnet"), tmp_path / "digits.pth", classes=10)
    model = of_timm("test_resnet", backbone_weights=str(tmp_path / "digits.pth"))

    report = model.fit(digits()[0].take(range(32)), None, context(epochs=1, batch=16, lr=1e-9))

    assert report.notices == ()
    assert report.epochs == 1
    own = model.stored_module().state_dict()
    assert torch.allclose(own["fc.weight"], state["fc.weight"], atol=1e-6)


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path):
    checkpoint(of_torchvision("shufflenet_v2_x0_5"), tmp_path / "other.pth")
    model = of_timm("test_resnet", backbone_weights=str(tmp_path / "other.pth"))

    with pytest.raises(RecordError, match=r"^other\.pth: tensor '.*': wanted shape .*, got .*; it has 0 of the 7"):
        model.fit(digits()[0].take(range(32)), None, context(epochs=1, batch=16))


def test_fitted_weights_of_other_classes_are_told_what_they_are_good_for(tmp_path: Path):
    checkpoint(of_timm("test_resnet"), tmp_path / "imagenet.pth")

    with pytest.raises(RecordError) as caught:
        of_timm("test_resnet").load(tmp_path / "imagenet.pth")

    assert str(caught.value).startswith("imagenet.pth: tensor 'fc.weight': wanted shape (10, ")
    assert str(caught.value).endswith(
        ", so it is of other classes; to fit a new classifier on it, set model.backbone_weights=imagenet.pth instead "
        "of weights."
    )


def test_fitted_weights_of_another_network_are_refused_as_ever(tmp_path: Path):
    torch.save({"stem.conv1.weight": torch.ones(2)}, tmp_path / "a.pth")

    with pytest.raises(RecordError, match=r"got \(2,\)\.$|got nothing\.$"):
        of_timm("test_resnet").load(tmp_path / "a.pth")


@pytest.mark.parametrize(
    ("make", "name", "frozen"),
    [
        (of_torchvision, "resnet18", {1: 157_504, 4: 11_176_512}),
        (of_timm, "mobilenetv3_small_050", {}),
    ],
)
def test_more_stages_freeze_more_and_are_counted(make, name: str, frozen: dict[int, int]):
    counts = [make(name, size=64, freeze=stages).parameters() for stages in range(5)]

    assert counts[0].frozen == 0
    assert all(later.frozen > earlier.frozen for earlier, later in pairwise(counts))
    assert len({count.frozen + count.trainable for count in counts}) == 1
    assert counts[4].trainable > 0
    for count, wanted in frozen.items():
        assert counts[count].frozen == wanted


def test_frozen_stages_keep_their_numbers_and_the_rest_learns():
    model = of_torchvision("resnet18", freeze=2)
    fresh: dict[str, torch.Tensor] = {}

    def begin(module):
        fresh.update({name: tensor.clone() for name, tensor in model.stored_module().state_dict().items()})
        return ()

    model.begin = begin
    model.fit(digits()[0].take(range(32)), None, context(epochs=1, batch=16))

    own = model.stored_module().state_dict()
    still = {name for name in own if torch.equal(own[name], fresh[name])}
    early = {name for name in own if name.startswith(("conv1.", "bn1.", "layer1.", "layer2."))}
    assert early <= still
    assert not {name for name in still - early if name.endswith(("weight", "running_mean"))}


def test_a_frozen_network_is_counted_alike_when_it_is_loaded(tmp_path: Path):
    model, again = (of_timm("test_resnet", freeze=4) for _ in range(2))
    model.save(tmp_path)

    again.load(tmp_path)

    assert again.parameters() == model.parameters()
    images = np.zeros((2, 8, 8), np.uint8)
    assert np.array_equal(scores_of(again, images), scores_of(model, images))


def test_the_backbone_learns_at_its_own_rate_and_holds_all_but_the_classifier():
    from mlcvbench_training.frozen import backbone_of

    module = of_torchvision("resnet18").build()
    backbone = backbone_of(module)

    assert sum(own.numel() for own in backbone.parameters()) == 11_176_512
    model = of_timm("test_resnet")
    model.fit(digits()[0].take(range(32)), None, context(epochs=1, batch=16, backbone_lr=0.1))


def test_auxiliary_classifiers_are_no_backbone():
    from mlcvbench_training.frozen import backbone_of

    model = of_torchvision("googlenet", auxiliary=True, freeze=4)
    model.module = model.build()
    with model.training_form(model.module) as module:
        inside = {id(own) for own in backbone_of(module).parameters()}
        heads = [name for name, own in module.named_parameters() if id(own) not in inside]

    assert {name.split("network.")[1].split(".")[0] for name in heads} == {"aux1", "aux2", "fc"}


def test_a_transformer_can_be_frozen_whole_alone():
    assert of_timm("test_vit", size=64, freeze=4).parameters().trainable == 64 * 10 + 10

    with pytest.raises(RequestError) as caught:
        of_timm("test_vit", size=64, freeze=2).build()

    assert str(caught.value) == (
        "timm:test_vit: model.freeze=2: it has no map at stride 4 for images of 64 pixels per side; model.freeze=4 "
        "freezes all but its classifier."
    )


def test_a_run_says_what_was_left_out_and_so_does_the_next_from_the_cache(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("MLCVBENCH_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "imagenet.pth"
    checkpoint(of_timm("test_resnet"), file)
    words = [
        "task=digits",
        "model=timm:test_resnet",
        "model.size=32",
        f"model.backbone_weights={file}",
        "model.freeze=1",
    ]
    words += ["fit.epochs=1", "fit.backbone_lr=0.1", "time=off", "limit=20"]

    for cached in (False, True):
        (tmp_path / str(cached)).mkdir()
        record = stages.execute(config_for(*words), tmp_path / str(cached))

        assert (record.status, record.fit.cached) == ("ok", cached)
        assert record.notices[0].code == "weights-left-out"
        assert record.parameters.frozen > 0


def test_published_and_local_weights_are_not_both_given():
    with pytest.raises(RequestError, match=r"model\.backbone_weights"):
        plan(
            [
                "task=digits",
                "model=timm:test_resnet",
                "model.pretrained=true",
                f"model.backbone_weights={Path(__file__)}",
            ]
        )
