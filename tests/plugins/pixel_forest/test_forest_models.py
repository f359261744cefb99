"""The two forests keep the contract, sample as they say, grow the same trees again and beat the floor."""

from __future__ import annotations

import numpy as np
import pytest
from support.fitting import context

from mlcvbench.contract import ArraySplit, Batch, Device, FitContext, InputSpec, Problem
from mlcvbench.errors import DataError, RecordError
from mlcvbench.files.arrays import read_arrays, write_arrays
from mlcvbench.registry import get_registry
from mlcvbench.running.scoring import tabulate
from mlcvbench.specs import load_target
from mlcvbench.specs.values import complete
from mlcvbench.testing import assert_conforms
from mlcvbench_pixel_forest.color_texture import multiply_adds
from mlcvbench_segmentation.bodies import load_bodies
from mlcvbench_segmentation.scenes import load_scenes
from mlcvbench_segmentation.task import SegmentationTask

QUICK = {"pixel_forest": {"trees": 3, "depth": 6}, "depth_forest": {"trees": 3, "depth": 8, "features": 40}}
COUNTS = {"size": (40, 48), "train": 6, "val": 0, "test": 3}


@pytest.fixture(scope="module")
def scenes():
    return load_scenes(COUNTS | {"level": "easy"}, 0)


@pytest.fixture(scope="module")
def bodies():
    return load_bodies(COUNTS | {"level": "easy"}, 0)


def build(name, problem, **params):
    spec = get_registry().model(name, "segmentation").spec
    return load_target(spec.target)(problem, **complete(spec.params, QUICK.get(name, {}) | params))


def fitted(name, data, seed=0, threads=1, **params):
    model = build(name, data.problem, **params)
    model.to(Device(threads=threads))
    model.fit(data.splits["train"], None, FitContext(seed, Device(threads=threads)))
    return model


def maps(model, data):
    return np.stack(model.predict(next(data.splits["test"].inputs(99)))["label_map"])


@pytest.fixture(params=["pixel_forest", "depth_forest"])
def case(request, scenes, bodies):
    return request.param, {"pixel_forest": scenes, "depth_forest": bodies}[request.param]


def test_the_forests_keep_the_contract(case):
    name, data = case

    assert_conforms(name, "segmentation", params=QUICK[name], data=data)


def test_the_floor_keeps_the_contract_on_images_and_on_depth(scenes, bodies):
    assert_conforms("majority", "segmentation", data=scenes)
    assert_conforms("majority", "segmentation", data=bodies)


def test_neither_trees_nor_answers_depend_on_the_threads(case):
    name, data = case

    one, two = fitted(name, data), fitted(name, data, threads=2)

    for array in one.forest.arrays:
        np.testing.assert_array_equal(one.forest.arrays[array], two.forest.arrays[array])
    np.testing.assert_array_equal(maps(one, data), maps(two, data))


def test_another_seed_grows_another_forest(case):
    name, data = case

    first, other = (fitted(name, data, seed=seed).forest.arrays["threshold"] for seed in (0, 1))

    assert not np.array_equal(first, other)


def test_a_spent_budget_leaves_the_trees_grown_so_far_which_are_the_first_ones(case):
    name, data = case
    model = build(name, data.problem, trees=5)

    report = model.fit(data.splits["train"], None, FitContext(0, Device(), budget=0.0))

    whole = fitted(name, data, trees=5)
    assert (report.history["trees"], report.cut_short) == ([1.0], True)
    nodes = len(model.forest.arrays["left"])
    np.testing.assert_array_equal(model.forest.arrays["left"], whole.forest.arrays["left"][:nodes])
    np.testing.assert_array_equal(model.forest.arrays["threshold"], whole.forest.arrays["threshold"][:nodes])


def test_progress_counts_trees(scenes):
    seen = []
    model = build("pixel_forest", scenes.problem, trees=3)
    step = FitContext(0, Device(), progress=lambda done, total: seen.append((done, total)))

    model.fit(scenes.splits["train"], None, step)

    assert seen == [(1, 3), (2, 3), (3, 3)]


def labelled(labels, kind="image"):
    labels = np.asarray(labels, np.uint8)
    images = np.zeros((*labels.shape, 3), np.uint8) if kind == "image" else np.ones(labels.shape, np.float32)
    return ArraySplit("train", {kind: images}, {"label_map": labels})


@pytest.mark.parametrize(("balance", "wanted"), [(0.0, [36, 4]), (0.5, [30, 10]), (1.0, [20, 20])])
def test_classes_are_sampled_as_they_come_or_equally_or_between(balance, wanted):
    problem = Problem("segmentation", ("a", "b", "c"), {"image": InputSpec((40, 25, 3))})
    label = np.zeros(1000, np.uint8)
    label[:100] = 1
    label = np.random.default_rng(0).permutation(label).reshape(40, 25)
    model = build("pixel_forest", problem, samples=40, balance=balance)

    chosen = model.sampled_places(np.zeros((40, 25, 3), np.uint8), label.reshape(-1), np.random.default_rng(0))

    assert np.bincount(label.reshape(-1)[chosen]).tolist() == wanted
    assert len(set(chosen.tolist())) == 40


def test_pixels_without_a_label_or_a_measurement_are_not_sampled():
    problem = Problem("segmentation", ("a", "b"), {"depth": InputSpec((2, 4), "float32")})
    depth = np.array([[1, 0, 1, 1], [0, 1, 1, 1]], np.float32)
    label = np.array([[0, 0, 255, 1], [1, 255, 0, 1]], np.uint8)
    model = build("depth_forest", problem, samples=1000)

    chosen = model.sampled_places(depth, label.reshape(-1), np.random.default_rng(0))

    assert chosen.tolist() == [0, 3, 6, 7]


def test_training_data_without_a_label_are_refused():
    problem = Problem("segmentation", ("a", "b"), {"image": InputSpec((4, 4, 3))})

    with pytest.raises(DataError) as caught:
        build("pixel_forest", problem).fit(labelled(np.full((2, 4, 4), 255)), None, context())

    assert str(caught.value) == "pixel_forest: split 'train' has no labelled pixel to learn from."


def test_pixels_without_a_measurement_get_the_first_class(bodies):
    model = fitted("depth_forest", bodies)
    depth = bodies.splits["test"].arrays()[0]["depth"]

    answers = maps(model, bodies)

    assert not answers[depth == 0].any()
    assert len(np.unique(answers[depth > 0])) > 5


def test_smoothing_joins_what_each_pixel_alone_would_not():
    problem = Problem("segmentation", ("a", "b"), {"image": InputSpec((9, 9, 3))})
    probabilities = np.full((9, 9, 2), (0.4, 0.6))
    probabilities[4, 4] = (0.7, 0.3)

    alone, smooth = (build("pixel_forest", problem, smooth=sigma).decide(probabilities) for sigma in (0.0, 1.0))

    assert (alone == 0).sum() == 1
    assert smooth.all()


def test_operations_are_filters_and_comparisons(scenes, bodies):
    image = next(scenes.splits["test"].inputs(1))
    model = fitted("pixel_forest", scenes)
    counted = model.operations(model.preprocess(image))
    columns = model.pixels(image.inputs["image"][0]).columns

    assert counted.macs == multiply_adds(40 * 48)
    assert counted.other_ops == {"comparisons": model.forest.comparisons(columns)}
    assert 0 < counted.other_ops["comparisons"] <= 40 * 48 * 3 * 6

    body = next(bodies.splits["test"].inputs(1))
    deep = fitted("depth_forest", bodies)
    counted = deep.operations(deep.preprocess(body))
    assert counted.macs is None
    assert counted.reason == "the method subtracts and compares depths; the search for joints is not counted"
    assert counted.other_ops["depth_differences"] == (body.inputs["depth"] > 0).sum() * len(deep.offsets)


def test_only_the_offsets_that_are_asked_for_are_kept(bodies):
    model = fitted("depth_forest", bodies, features=2000, trees=1, depth=3)

    inner = model.forest.arrays["leaf"] < 0
    assert len(model.offsets) == len(np.unique(model.forest.arrays["feature"][inner])) <= 7
    assert model.parameters().bytes == model.forest.nbytes + model.offsets.nbytes


def test_a_stored_forest_of_another_problem_is_refused(case, tmp_path):
    name, data = case
    fitted(name, data).save(tmp_path)
    other = build(name, Problem("segmentation", ("a", "b"), data.problem.inputs))

    with pytest.raises(RecordError) as caught:
        other.load(tmp_path)

    wanted = f"{name}.safetensors: wanted probabilities of 2 classes, got {len(data.problem.classes)}."
    assert str(caught.value) == wanted


def test_stored_offsets_that_are_none_are_refused(bodies, tmp_path):
    model = fitted("depth_forest", bodies)
    write_arrays(
        tmp_path / "depth_forest.safetensors", model.forest.arrays | {"offsets": np.full_like(model.offsets, np.inf)}
    )

    with pytest.raises(RecordError, match="wanted finite offsets"):
        build("depth_forest", bodies.problem).load(tmp_path)


def test_a_forest_grown_with_position_cannot_be_read_without(scenes, tmp_path):
    fitted("pixel_forest", scenes).save(tmp_path)
    path = tmp_path / "pixel_forest.safetensors"
    arrays = read_arrays(path, {})
    assert arrays["feature"].max() >= 34  # some node asks for the place

    with pytest.raises(RecordError, match="out of place"):
        build("pixel_forest", scenes.problem, position=False).load(tmp_path)


def test_images_of_grey_levels_are_answered():
    problem = Problem("segmentation", ("dark", "bright"), {"image": InputSpec((16, 16))})
    labels = np.zeros((2, 16, 16), np.uint8)
    labels[:, :, 8:] = 1
    images = np.where(labels == 1, 220, 30).astype(np.uint8)
    model = build("pixel_forest", problem)

    model.fit(ArraySplit("train", {"image": images}, {"label_map": labels}), None, context())

    np.testing.assert_array_equal(
        model.predict(Batch(np.array(["a"]), {"image": images[:1]}))["label_map"][0], labels[0]
    )


def score(name, data, protocol, **params):
    model = fitted(name, data, **params)
    task, test = SegmentationTask(), data.splits["test"]
    predictions = task.merge([task.check(model.predict(b), b.ids, data.problem) for b in test.inputs(8)])
    scorer = task.scorer(protocol, data.problem)
    return scorer.summarise(tabulate(scorer, predictions, test.targets(), len(test)))[scorer.primary().name]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "load", "protocol"),
    [
        ("pixel_forest", load_scenes, "miou/ignore255/absent-skip@1"),
        ("depth_forest", load_bodies, "class-accuracy/ignore255/absent-skip@1"),
    ],
)
def test_harder_levels_score_lower_and_the_floor_stands_below(name, load, protocol):
    counts = {"size": (64, 64), "train": 100, "val": 0, "test": 60}
    levels = [load(counts | {"level": level}, 0) for level in ("easy", "medium", "hard")]

    forest = [score(name, data, protocol, trees=6, depth=12) for data in levels]
    floor = [score("majority", data, protocol) for data in levels]

    assert forest[0] > forest[1] + 0.02 > forest[2] + 0.04
    assert floor[0] > floor[1] > floor[2]
    assert all(high > low + 0.1 for high, low in zip(forest, floor, strict=True))
