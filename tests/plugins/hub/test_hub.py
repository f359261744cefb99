"""Networks of timm and torchvision by name: the library's own numbers, its own checkpoints, nothing fetched unasked."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from support.fitting import digits, images_batch, problem, report_of, scores_of

from mlcvbench.contract import InputSpec, Problem
from mlcvbench.errors import RecordError, UnknownNameError
from mlcvbench.registry import get_registry
from mlcvbench_hub.timm_models import TimmClassifier
from mlcvbench_hub.torchvision_models import TorchvisionClassifier

DIGIT = np.zeros((1, 8, 8))
IMAGENET = Problem("classification", tuple(map(str, range(1000))), {"image": InputSpec((224, 224, 3))})


def parameters(model):
    return model.parameters().trainable


def test_any_name_of_the_libraries_is_a_model():
    registry = get_registry()

    entry = registry.model("timm:resnet10t", "classification")

    assert (entry.spec.name, entry.spec.prefix) == ("timm:resnet10t", "timm:")
    assert registry.model("torchvision:vgg11").spec.target == "mlcvbench_hub.torchvision_models:TorchvisionClassifier"


def test_a_misspelt_name_offers_the_nearest():
    with pytest.raises(UnknownNameError, match=r"^unknown torchvision:NAME model 'resnet19'\. Did you mean 'resnet18'"):
        get_registry().model("torchvision:resnet19")


@pytest.mark.parametrize(
    ("made", "count"),
    [
        ((TorchvisionClassifier, "resnet18"), 11_689_512),
        ((TorchvisionClassifier, "squeezenet1_1"), 1_235_496),
        ((TimmClassifier, "mobilenetv1_100"), 4_231_976),
    ],
)
def test_parameters_are_the_librarys(made, count):
    cls, name = made

    assert parameters(cls(IMAGENET, name)) == count


def test_sizes_are_those_the_network_was_made_for():
    assert TorchvisionClassifier(IMAGENET, "inception_v3").size == 299
    assert TimmClassifier(IMAGENET, "test_vit").size == 160


def test_grey_images_of_another_size_are_classified():
    model = TimmClassifier(problem(DIGIT), "test_resnet", size=32)

    scores = scores_of(model, np.zeros((3, 8, 8), np.uint8))

    assert scores.shape == (3, 10)


def test_a_transformer_learns_another_image_size():
    model = TimmClassifier(problem(DIGIT), "test_vit", size=64)

    assert scores_of(model, np.zeros((2, 8, 8), np.uint8)).shape == (2, 10)


def test_training_lowers_the_loss_and_repeats_itself():
    train, _ = digits()
    few = train.take(range(128))

    reports = [
        report_of(TimmClassifier(problem(DIGIT), "test_resnet", size=32), few, epochs=2, batch=32) for _ in range(2)
    ]

    assert reports[0].history == reports[1].history
    assert reports[0].history["loss"][1] < reports[0].history["loss"][0]


def test_what_was_trained_with_auxiliary_classifiers_is_stored_without(tmp_path):
    few = digits()[0].take(range(16))
    model, again = (TorchvisionClassifier(problem(DIGIT), "googlenet", size=32, auxiliary=True) for _ in range(2))

    report = report_of(model, few, epochs=1, batch=16)
    model.save(tmp_path)
    again.load(tmp_path)

    assert report.history["loss"][0] > 1.6 * 1.5  # three losses of about ln 10, two of weight 0.3
    assert parameters(model) == 5_610_154
    images = few.arrays()[0]["image"][:3]
    assert np.array_equal(scores_of(model, images), scores_of(again, images))


@pytest.mark.parametrize("form", ["safetensors", "pth"])
def test_a_checkpoint_of_the_library_is_taken(tmp_path, form):
    torch.manual_seed(1)
    model = TimmClassifier(problem(DIGIT), "test_resnet", size=32)
    state = {name: tensor.clone() for name, tensor in model.bare(10).state_dict().items()}
    path = tmp_path / f"weights.{form}"
    if form == "pth":
        torch.save({"state_dict": state}, path)
    else:
        save_file(state, str(path))

    model.load(path)

    assert all(torch.equal(tensor, state[name]) for name, tensor in model.stored_module().state_dict().items())


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(pickle.dumps({"a": print}))

    with pytest.raises(RecordError, match=r"^weights\.pth: not a checkpoint of tensors alone \("):
        TimmClassifier(problem(DIGIT), "test_resnet", size=32).load(path)


def test_predictions_are_scores_of_all_classes():
    model = TorchvisionClassifier(problem(DIGIT), "shufflenet_v2_x0_5", size=32)

    predictions = model.predict(images_batch(np.zeros((2, 8, 8), np.uint8)))

    assert predictions["scores"].dtype == np.float32
