"""A fit of visual words: what k-means sees of the training images, what stays in memory, what settings do."""

from __future__ import annotations

import weakref

import cv2
import numpy as np
import pytest
from support.fitting import context, digits, fitted, percent_right, problem, split

from mlcvbench.contract import Device, FitContext
from mlcvbench.errors import DataError
from mlcvbench_bovw import model as words_model
from mlcvbench_bovw.codebook import learn_words
from mlcvbench_bovw.model import BagOfVisualWords, Vlad

DIGIT = np.zeros((1, 8, 8))


@pytest.fixture
def samples(monkeypatch):
    """Return a list that gets each sample (P, D) that k-means sees; at most 30 descriptors, of 15 images or more."""
    seen = []

    def learn(found, count, seed):
        seen.append(found)
        return learn_words(found, count, seed)

    monkeypatch.setattr(words_model, "MOST_DESCRIPTORS", 30)
    monkeypatch.setattr(words_model, "LEAST_IMAGES", 15)
    monkeypatch.setattr(words_model, "learn_words", learn)
    return seen


@pytest.fixture
def threads_of_opencv():
    before = cv2.getNumThreads()
    yield
    cv2.setNumThreads(before)


def numbered(counts):
    """Return a split of images 8x8 and a description of image i: `counts[i]` times a vector of i."""
    images = np.broadcast_to(np.arange(len(counts), dtype=np.uint8)[:, None, None], (len(counts), 8, 8))
    labels = np.arange(len(counts)) % 2

    def describe(image):
        return np.full((counts[image[0, 0]], 128), image[0, 0], np.float32)

    return split(images, labels), describe


def test_k_means_sees_a_sample_that_the_seed_draws_where_there_are_too_many_descriptors(samples):
    few = digits()[0].take(range(40))

    for seed in (0, 0, 1):
        fitted(Vlad(problem(DIGIT), words=4), few, seed)

    assert [len(found) for found in samples] == [30, 30, 30]
    assert np.array_equal(samples[0], samples[1])
    assert not np.array_equal(samples[0], samples[2])


def test_no_image_gives_k_means_more_than_its_share(samples, monkeypatch):
    train, describe = numbered([1000] + 39 * [50])
    model = Vlad(problem(DIGIT), words=4)
    monkeypatch.setattr(model, "describe", describe)

    model.fit(train, None, context())

    _, times = np.unique(samples[0][:, 0], return_counts=True)
    assert times.tolist() == 15 * [2]


def test_more_images_are_looked_at_where_each_has_few_patches(samples, monkeypatch):
    train, describe = numbered(40 * [1])
    model = Vlad(problem(DIGIT), words=4)
    monkeypatch.setattr(model, "describe", describe)

    model.fit(train, None, context())

    assert len(np.unique(samples[0][:, 0])) == 30


def test_k_means_sees_everything_where_that_is_little(monkeypatch):
    train, describe = numbered([3, 0, 7, 1, 12])
    model = Vlad(problem(DIGIT), words=4)
    seen = []
    monkeypatch.setattr(model, "describe", describe)
    monkeypatch.setattr(model, "learn", lambda found, seed: seen.append(found))

    model.fit(train, None, context())

    assert np.bincount(seen[0][:, 0].astype(int)).tolist() == [3, 0, 7, 1, 12]


@pytest.mark.parametrize("model_class", [BagOfVisualWords, Vlad])
def test_a_fit_does_not_keep_the_descriptors_of_all_images(samples, monkeypatch, model_class):
    train, describe = numbered(200 * [10])
    model = model_class(problem(DIGIT), words=4)
    alive, most = 0, 0

    def let_go(_):
        nonlocal alive
        alive -= 1

    def watched(image):
        nonlocal alive, most
        found = describe(image)
        weakrefs.append(weakref.ref(found, let_go))
        alive += 1
        most = max(most, alive)
        return found

    weakrefs = []
    monkeypatch.setattr(model, "describe", watched)

    model.fit(train, None, context())

    assert len(weakrefs) > 200
    assert most <= 3


def test_progress_rises_to_its_end_over_both_passes():
    few = digits()[0].take(range(150))
    seen = []

    Vlad(problem(DIGIT), words=4).fit(few, None, FitContext(0, Device(), progress=lambda *at: seen.append(at)))

    assert seen == [(64, 300), (128, 300), (150, 300), (214, 300), (278, 300), (300, 300)]


def test_the_width_of_soft_assignment_is_the_median_distance_over_the_whole_sample(monkeypatch):
    monkeypatch.setattr(words_model, "MOST_DISTANCES", 100)
    rng = np.random.default_rng(0)
    spread = np.repeat([0.0, 1.0, 1.0], 300)[:, None]  # what comes first lies at the word itself
    descriptors = (spread * rng.normal(0, 1, (900, 128))).astype(np.float32)
    model = BagOfVisualWords(problem(DIGIT), words=2, assignment="soft")

    model.learn(descriptors, seed=0)

    assert model.width == pytest.approx(np.sqrt(128), rel=0.15)


def test_a_smaller_inverse_penalty_gives_smaller_weights():
    few = digits()[0].take(range(120))

    loose, tight = (fitted(BagOfVisualWords(problem(DIGIT), words=20, inverse_penalty=c), few) for c in (100.0, 0.01))

    assert np.linalg.norm(tight.reader.weight) < 0.05 * np.linalg.norm(loose.reader.weight)
    assert percent_right(loose, few) > percent_right(tight, few)


def test_more_neighbours_than_training_images_are_refused_before_these_are_described(monkeypatch):
    model = Vlad(problem(DIGIT), words=4, classifier="knn", k=41)
    monkeypatch.setattr(model, "describe", None)

    with pytest.raises(DataError, match=r"^k=41 needs as many training images, got 40; set a smaller model\.k\.$"):
        fitted(model, digits()[0].take(range(40)))


def test_more_words_than_patches_of_the_training_images_are_refused():
    message = r"^words=500 needs as many patches to learn from, got 160; set a smaller model\.words\.$"
    with pytest.raises(DataError, match=message):
        fitted(BagOfVisualWords(problem(DIGIT)), digits()[0].take(range(20)))


@pytest.mark.parametrize("threads", [1, 2])
def test_opencv_takes_the_threads_of_the_run(threads_of_opencv, threads):
    Vlad(problem(DIGIT)).to(Device(threads=threads))

    assert cv2.getNumThreads() == threads
