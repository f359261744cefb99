"""Networks of timm and torchvision by name: the library's own numbers, its own checkpoints, nothing fetched unasked."""

from __future__ import annotations

import pickle
import re

import numpy as np
import pytest
from support.fitting import digits, images_batch, problem, report_of, scores_of

from mlcvbench.contract import InputSpec, Problem
from mlcvbench.errors import DataError, RecordError, RequestError, UnknownNameError
from mlcvbench.plan.planning import plan
from mlcvbench.registry import get_registry

DIGIT = np.zeros((1, 8, 8))
IMAGENET = Problem("classification", tuple(map(str, range(1000))), {"image": InputSpec((224, 224, 3))})


def of_timm(*args, **settings):
    """Return a network of timm, which takes seconds to import."""
    from mlcvbench_hub.timm_models import TimmClassifier

    return TimmClassifier(*args, **settings)


def of_torchvision(*args, **settings):
    """Return a network of torchvision, which takes seconds to import."""
    from mlcvbench_hub.torchvision_models import TorchvisionClassifier

    return TorchvisionClassifier(*args, **settings)


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
        ((of_torchvision, "resnet18"), 11_689_512),
        ((of_torchvision, "squeezenet1_1"), 1_235_496),
        ((of_timm, "mobilenetv1_100"), 4_231_976),
    ],
)
def test_parameters_are_the_librarys(made, count):
    cls, name = made

    assert parameters(cls(IMAGENET, name)) == count


@pytest.mark.parametrize("side", [64, 96])
def test_a_transformer_of_torchvision_is_built_for_the_size_that_is_asked_for(side):
    images = np.zeros((2, 16, 16), np.uint8)
    model = of_torchvision(problem(images), "vit_b_32", size=side)

    assert scores_of(model, images).shape == (2, 10)
    assert model.stored_module().encoder.pos_embedding.shape == (1, 1 + (side // 32) ** 2, 768)


def test_a_transformer_of_torchvision_is_made_for_the_size_of_its_weights():
    assert of_torchvision(IMAGENET, "vit_h_14").size == 518


def test_sizes_are_those_the_network_was_made_for():
    assert of_torchvision(IMAGENET, "inception_v3").size == 299
    assert of_timm(IMAGENET, "test_vit").size == 160


def test_grey_images_of_another_size_are_classified():
    model = of_timm(problem(DIGIT), "test_resnet", size=32)

    scores = scores_of(model, np.zeros((3, 8, 8), np.uint8))

    assert scores.shape == (3, 10)


def test_a_transformer_learns_another_image_size():
    model = of_timm(problem(DIGIT), "test_vit", size=64)

    assert scores_of(model, np.zeros((2, 8, 8), np.uint8)).shape == (2, 10)


@pytest.mark.parametrize(
    ("cls", "name", "size", "said", "usual"),
    [
        (of_timm, "test_vit", 50, r"Input height \(50\) should be divisible by patch size \(16\)", 160),
        (of_torchvision, "squeezenet1_1", 16, r"Given input size: .* Output size is too small", 224),
        (of_torchvision, "inception_v3", 64, r"Calculated padded .* can't be greater than actual .*", 299),
    ],
)
def test_a_size_that_the_network_does_not_take_is_refused_with_what_its_library_says(cls, name, size, said, usual):
    library = "timm" if cls is of_timm else "torchvision"

    with pytest.raises(DataError) as caught:
        cls(problem(DIGIT), name, size=size).build()

    assert re.fullmatch(
        rf"{library}:{name}: the network does not take images of {size} pixels per side \({said}\); set another "
        rf"model\.size, or leave it out for the usual {usual}\.",
        str(caught.value),
    )


def test_a_network_that_was_tried_is_left_ready_for_training():
    module = of_timm(problem(DIGIT), "test_resnet", size=32).build()

    assert all(part.training for part in module.modules())
    assert all(int(one) == 0 for name, one in module.named_buffers() if name.endswith("num_batches_tracked"))


def test_images_of_unknown_size_are_brought_to_the_networks():
    unknown = Problem("classification", ("a", "b"), {"image": InputSpec((None, None, 3))})
    model = of_timm(unknown, "test_resnet", size=32)

    scores = [scores_of(model, np.zeros((2, height, 20, 3), np.uint8)) for height in (9, 50)]

    assert np.allclose(*scores, atol=1e-6)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "resnet18 model.auxiliary=true",
            "torchvision:resnet18 has no auxiliary classifiers; model.auxiliary is for googlenet and inception_v3.",
        ),
        (
            "inception_v3 model.auxiliary=true model.size=224",
            "torchvision:inception_v3 with model.auxiliary: wanted a model.size of at least 299, got 224; set "
            "model.size=299 or more, or leave model.auxiliary out.",
        ),
    ],
)
def test_auxiliary_classifiers_that_cannot_be_are_refused_before_anything_starts(words, message):
    with pytest.raises(RequestError) as caught:
        plan(f"task=digits model=torchvision:{words}".split())

    assert str(caught.value) == message


def test_auxiliary_classifiers_that_can_be_are_planned():
    assert plan(["task=digits", "model=torchvision:inception_v3,torchvision:googlenet", "model.auxiliary=true"]).configs


def test_training_lowers_the_loss_and_repeats_itself():
    train, _ = digits()
    few = train.take(range(128))

    reports = [report_of(of_timm(problem(DIGIT), "test_resnet", size=32), few, epochs=2, batch=32) for _ in range(2)]

    assert reports[0].history == reports[1].history
    assert reports[0].history["loss"][1] < reports[0].history["loss"][0]


def test_what_was_trained_with_auxiliary_classifiers_is_stored_without(tmp_path):
    few = digits()[0].take(range(16))
    model, again = (of_torchvision(problem(DIGIT), "googlenet", size=32, auxiliary=True) for _ in range(2))

    report = report_of(model, few, epochs=1, batch=16)
    model.save(tmp_path)
    again.load(tmp_path)

    assert report.history["loss"][0] > 1.6 * 1.5  # three losses of about ln 10, two of weight 0.3
    assert parameters(model) == 5_610_154
    images = few.arrays()[0]["image"][:3]
    assert np.array_equal(scores_of(model, images), scores_of(again, images))


@pytest.mark.parametrize("form", ["safetensors", "pth"])
def test_a_checkpoint_of_the_library_is_taken(tmp_path, form):
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(1)
    model = of_timm(problem(DIGIT), "test_resnet", size=32)
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
        of_timm(problem(DIGIT), "test_resnet", size=32).load(path)


def test_predictions_are_scores_of_all_classes():
    model = of_torchvision(problem(DIGIT), "shufflenet_v2_x0_5", size=32)

    predictions = model.predict(images_batch(np.zeros((2, 8, 8), np.uint8)))

    assert predictions["scores"].dtype == np.float32
