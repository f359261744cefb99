"""Visual words: places, descriptors, codebook and vectors against their definitions, and what they can tell apart."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from support.fitting import context, digits, fitted, images_batch, percent_right, problem, scores_of, split
from support.runs import config_for

from mlcvbench.errors import DataError, OverrideError
from mlcvbench_bovw.codebook import histogram, learn_words, normalised, rarity, residual_sums, vlad_vector
from mlcvbench_bovw.descriptors import describe, width_of
from mlcvbench_bovw.model import BagOfVisualWords, Vlad
from mlcvbench_bovw.patches import Sampling

DIGIT = np.zeros((1, 8, 8))
WORDS = np.array([[0.0, 0.0], [10.0, 0.0]], np.float32)


def textures(count, seed):
    """Return uint8 images (N, 24, 24) of stripes along x (class 0), along y (1) or diagonal (2) with random phase."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    y, x = np.mgrid[:24, :24]
    along = np.stack([x, y, (x + y) / np.sqrt(2)])[labels]
    waves = np.sin(along * 1.2 + rng.uniform(0, 6.28, (count, 1, 1)))
    return (127 + 90 * waves + rng.normal(0, 15, (count, 24, 24))).clip(0, 255).astype(np.uint8), labels


def spotted(seed=0):
    rng = np.random.default_rng(seed)
    return np.kron(rng.integers(0, 255, (6, 6)), np.ones((6, 6))).astype(np.uint8)


def test_a_grid_lies_symmetrically_and_is_looked_at_in_every_scale():
    places = Sampling(step=4, scales=(6.0, 10.0)).of(np.zeros((17, 13), np.uint8))

    assert len(places) == 2 * 4 * 3
    assert np.allclose(places[:, :2].mean(axis=0), [6, 8])
    assert set(places[:, 2]) == {6.0, 10.0}


@pytest.mark.parametrize("scaling", ["each", "random"])
@pytest.mark.parametrize("points", ["grid", "random", "harris", "dog"])
def test_places_follow_from_the_image_alone(points, scaling):
    image = spotted()
    sampling = Sampling(points=points, patches=20, scaling=scaling)

    first, second = sampling.of(image), sampling.of(image.copy())

    assert np.array_equal(first, second)
    assert len(first) > 0
    assert ((first[:, :2] >= -0.5) & (first[:, :2] < 36)).all()


def test_random_scales_take_one_side_a_point_anywhere_between_the_ends():
    grid = Sampling(step=1, scales=(6.0, 24.0)).of(spotted())

    drawn = Sampling(step=1, scales=(24.0, 6.0), scaling="random").of(spotted())

    assert np.array_equal(drawn[:, :2], grid[: len(grid) // 2, :2])
    assert 6.0 <= drawn[:, 2].min() < 6.2
    assert 23.5 < drawn[:, 2].max() <= 24.0
    assert np.median(drawn[:, 2]) == pytest.approx(12.0, rel=0.1)  # the geometric mean of the ends


@pytest.mark.parametrize("points", ["harris", "dog"])
def test_an_even_image_has_no_interest_points(points):
    assert len(Sampling(points=points).of(np.full((32, 32), 90, np.uint8))) == 0


def test_an_extremum_of_several_orientations_is_one_place():
    image = spotted()
    found = cv2.SIFT.create(contrastThreshold=0.02).detect(image, None)
    distinct = {(*point.pt, point.size) for point in found}

    places = Sampling(points="dog").of(image)
    strongest = Sampling(points="dog", patches=5).of(image)

    assert len(found) > len(distinct) == len(places) == len(np.unique(places, axis=0))
    assert np.array_equal(strongest, places[:5])


def test_sift_at_extrema_is_what_opencv_describes_upright_at_its_key_points():
    sift = cv2.SIFT.create(contrastThreshold=0.02)
    likeness = []
    for image in map(spotted, range(10)):
        places = Sampling(points="dog").of(image)
        ours = describe(image, image, places, "sift")
        octaves = {(*point.pt, point.size): point.octave for point in sift.detect(image, None)}
        upright = [cv2.KeyPoint(*place, 0.0, 0.0, octave) for place, octave in octaves.items()]
        _, theirs = sift.compute(image, upright)
        for place, vector in zip(octaves, theirs / np.linalg.norm(theirs, axis=1, keepdims=True), strict=True):
            (row,) = np.flatnonzero(np.isclose(places, [*place[:2], 6 * place[2]]).all(axis=1))
            likeness.append(ours[row] @ vector)

    assert np.mean(likeness) > 0.96  # 0.40 for patches of the key points' size, 0.82 for 9 times it
    assert np.min(likeness) > 0.75


def test_squares_of_extrema_may_reach_beyond_the_border():
    image = spotted()
    places = Sampling(points="dog").of(image)

    assert (places[:, :2].min(axis=1) < places[:, 2] / 2).any()
    for descriptor in ("sift", "rootsift", "patch", "color"):
        vectors = describe(image, image, places, descriptor)
        assert np.abs(vectors).sum(axis=1).min() > 0.1


@pytest.mark.parametrize("points", ["grid", "random", "harris", "dog"])
@pytest.mark.parametrize("side", [1, 2, 5, 8])
def test_small_images_are_described_too(points, side):
    image = spotted()[3 : 3 + side, 4 : 4 + side]

    vectors = describe(image, image, Sampling(points=points, patches=5).of(image), "sift")

    assert np.isfinite(vectors).all()
    assert vectors.shape[1] == 128


def test_harris_finds_the_corners_of_a_square():
    image = np.zeros((32, 32), np.uint8)
    image[10:22, 8:24] = 255

    places = Sampling(points="harris", scales=(8.0,)).of(image)[:4, :2]

    corners = np.array([[8, 10], [23, 10], [8, 21], [23, 21]])
    assert all(np.abs(places - corner).max(axis=1).min() <= 2 for corner in corners)


@pytest.mark.parametrize("descriptor", ["sift", "rootsift", "patch", "color"])
def test_descriptors_have_their_width_and_finite_numbers(descriptor):
    image = np.stack([spotted(0), spotted(1), spotted(2)], axis=-1)
    gray = image[..., 0]
    places = Sampling(step=6).of(gray)

    vectors = describe(image, gray, places, descriptor)

    assert vectors.shape == (len(places), width_of(descriptor))
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()


def test_sift_and_patches_do_not_see_brightness_and_contrast():
    dark = (spotted() // 4).astype(np.uint8)
    bright = dark * 3 + 40
    places = Sampling(step=8).of(dark)

    for descriptor, tolerance in (("sift", 0.1), ("rootsift", 0.1), ("patch", 0.05)):
        one, other = describe(dark, dark, places, descriptor), describe(bright, bright, places, descriptor)
        assert np.abs(one - other).max() < tolerance


def test_sift_has_length_1_where_opencvs_has_about_512():
    image = spotted()
    places = Sampling(step=8).of(image)

    assert np.linalg.norm(describe(image, image, places, "sift"), axis=1) == pytest.approx(1.0)


def test_colours_are_told_apart_where_grey_values_are_equal():
    red, green = np.zeros((2, 16, 16, 3), np.uint8)
    red[..., 0], green[..., 1] = 200, 102  # equal in grey
    places = Sampling(step=8, scales=(8.0,)).of(red[..., 0])
    greys = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (red, green)]

    patches = [describe(image, gray, places, "patch") for image, gray in zip((red, green), greys, strict=True)]
    colours = [describe(image, gray, places, "color") for image, gray in zip((red, green), greys, strict=True)]

    assert np.array_equal(*patches)
    assert np.abs(colours[0] - colours[1]).max() > 0.2


def test_a_colour_descriptor_is_the_mean_and_deviation_of_each_cell():
    image = np.zeros((16, 16, 3), np.uint8)
    image[:, 8:] = 255  # black beside white: L is 0 and 255, a and b are 128

    (vector,) = describe(image, image[..., 0], np.array([[7.5, 7.5, 16.0]], np.float32), "color")

    means = vector[:12].reshape(2, 2, 3)
    assert means[:, 0, 0] == pytest.approx(0.0, abs=0.01)
    assert means[:, 1, 0] == pytest.approx(1.0, abs=0.01)
    assert means[..., 1:] == pytest.approx(128 / 255, abs=0.01)
    assert vector[12:] == pytest.approx(0.0, abs=0.01)


def test_rootsift_is_the_root_of_l1_normalised_sift():
    image = spotted()
    places = Sampling(step=8).of(image)

    plain, root = describe(image, image, places, "sift"), describe(image, image, places, "rootsift")

    assert np.allclose(root**2, plain / np.abs(plain).sum(axis=1, keepdims=True), atol=1e-5)


def test_words_are_the_centres_of_clusters():
    rng = np.random.default_rng(0)
    descriptors = np.concatenate([rng.normal(c, 0.1, (200, 2)) for c in ((0, 0), (5, 5), (0, 9))]).astype(np.float32)

    words = learn_words(descriptors, 3, seed=0)

    assert np.allclose(words[np.lexsort(words.T)], [[0, 0], [5, 5], [0, 9]], atol=0.1)


def test_more_words_than_patches_are_refused():
    message = r"^words=3 needs as many patches to learn from, got 2; set a smaller model\.words\.$"
    with pytest.raises(DataError, match=message):
        learn_words(np.zeros((2, 4), np.float32), 3, seed=0)


def test_a_histogram_counts_the_nearest_words():
    descriptors = np.array([[1, 0], [9, 0], [8, 1]], np.float32)

    assert histogram(descriptors, WORDS).tolist() == [1, 2]
    assert histogram(np.zeros((0, 2), np.float32), WORDS).tolist() == [0, 0]


def test_soft_assignment_shares_by_distance_and_keeps_the_total():
    descriptors = np.array([[5, 0], [0, 0]], np.float32)

    shares = histogram(descriptors, WORDS, width=4.0)

    far = np.exp(-100 / 32) / (1 + np.exp(-100 / 32))
    assert np.allclose(shares, [0.5 + 1 - far, 0.5 + far], atol=1e-6)


def test_a_word_of_few_images_counts_for_more_and_one_of_all_for_nothing():
    counts = np.array([[4, 1, 0], [2, 0, 0], [1, 0, 0], [9, 3, 0]])

    assert rarity(counts) == pytest.approx([0.0, np.log(2), np.log(4)])


def test_weights_are_those_of_the_training_images():
    images, labels = textures(30, seed=0)
    model = fitted(BagOfVisualWords(problem(images, 3), words=8, weighting="tfidf", norm="l1"), split(images, labels))
    described = [model.describe(image) for image in images]
    counts = np.stack([histogram(one, model.words) for one in described])

    assert model.rarity == pytest.approx(np.log(30 / np.maximum((counts > 0).sum(axis=0), 1)))
    weighed = counts[0] * model.rarity
    assert model.encode(described[0]) == pytest.approx(weighed / weighed.sum(), rel=1e-5)


@pytest.mark.parametrize("norm", ["l1", "l2", "l1-sqrt"])
def test_twice_the_patches_give_the_same_vector(norm):
    counts = np.array([3.0, 0.0, 1.0])

    assert np.allclose(normalised(counts, norm), normalised(2 * counts, norm))
    assert normalised(np.zeros(3), norm).tolist() == [0, 0, 0]


def test_vlad_sums_the_residuals_of_each_word():
    descriptors = np.array([[1, 2], [3, -1], [-1, 3], [12, -2], [7, -2]], np.float32)

    sums = residual_sums(descriptors, WORDS)

    assert sums.tolist() == [[3, 4], [-1, -4]]  # three descriptors near the first word, two near the second
    assert sums.dtype == np.float32
    assert residual_sums(np.zeros((0, 2), np.float32), WORDS).tolist() == [[0, 0], [0, 0]]


def test_a_vlad_vector_has_parts_of_length_1_then_signed_roots_then_length_1():
    vector = vlad_vector(np.array([[3, 4], [-1, -4], [0, 0]], np.float32))

    parts = np.array([3 / 5, 4 / 5, -1 / np.sqrt(17), -4 / np.sqrt(17), 0, 0])
    rooted = np.sign(parts) * np.sqrt(np.abs(parts))
    assert vector == pytest.approx(rooted / np.sqrt(np.abs(parts).sum()))
    assert vlad_vector(np.zeros((2, 2), np.float32)).tolist() == [0, 0, 0, 0]


def test_the_vector_of_vlad_comes_from_sums_over_an_image():
    images, labels = textures(30, seed=0)
    model = fitted(Vlad(problem(images, 3), words=4), split(images, labels))
    described = model.describe(images[0])
    nearest = ((described[:, None] - model.words) ** 2).sum(axis=2).argmin(axis=1)
    sums = np.stack([(described[nearest == word] - model.words[word]).sum(axis=0) for word in range(4)])

    assert model.encode(described) == pytest.approx(vlad_vector(sums), abs=1e-5)


@pytest.mark.parametrize("model", [BagOfVisualWords, Vlad])
def test_textures_with_random_phase_are_told_apart_where_pixels_are_not(model):
    images, labels = textures(90, seed=0)
    unknown, truth = textures(60, seed=1)
    pixels = LogisticRegression(max_iter=200).fit(images.reshape(90, -1) / 255, labels)

    words = fitted(model(problem(images, 3), words=12), split(images, labels))

    assert percent_right(words, split(unknown, truth, "test")) > 90
    assert 100 * pixels.score(unknown.reshape(60, -1) / 255, truth) < 70


@pytest.mark.parametrize("model", [BagOfVisualWords, Vlad])
def test_words_come_from_the_training_split_and_the_seed_alone(model):
    train, _ = digits()
    few, val = train.take(range(80)), train.take(range(80, 120))
    hashes = []
    for seed, held_out in ((0, None), (0, val), (1, None)):
        one = model(problem(DIGIT), words=6)
        one.fit(few, held_out, context(seed))
        hashes.append(one.words.tobytes())

    assert hashes[0] == hashes[1] != hashes[2]


def test_a_vlad_of_64_words_of_sift_is_read_from_8192_numbers():
    train, _ = digits()
    model = fitted(Vlad(problem(DIGIT)), train.take(range(60)))

    assert model.reader.weight.shape == (10, 8192)


def test_settings_that_do_nothing_beside_others_are_refused():
    for words in ("model.points=dog model.scales=[9]", "model.step=4 model.points=harris", "model.k=3"):
        with pytest.raises(OverrideError, match=r"has no effect: it needs model\."):
            config_for("model=vlad", *words.split())
    with pytest.raises(OverrideError, match=r"has no effect: it needs model\.assignment=hard, got soft"):
        config_for("model=bovw", "model.assignment=soft", "model.weighting=tfidf")
    with pytest.raises(OverrideError, match=r"has no effect: it needs model\.classifier=linear, got knn"):
        config_for("model=bovw", "model.classifier=knn", "model.inverse_penalty=10")


def test_an_image_without_interest_points_is_classified_too():
    images, labels = textures(30, seed=0)
    model = fitted(BagOfVisualWords(problem(images, 3), words=8, points="harris"), split(images, labels))

    scores = scores_of(model, np.full((1, 24, 24), 128, np.uint8))

    assert np.isfinite(scores).all()


def test_training_images_without_a_single_patch_are_refused():
    even = np.full((6, 24, 24), 128, np.uint8)

    with pytest.raises(DataError, match=r"^no patch was found in any training image; set model\.points=grid\.$"):
        fitted(BagOfVisualWords(problem(even, 3), points="dog"), split(even, [0, 1, 2, 0, 1, 2]))


def test_operations_count_patches_times_words():
    images, labels = textures(30, seed=0)
    model = fitted(BagOfVisualWords(problem(images, 3), words=8, step=6, scales=(8.0,)), split(images, labels))
    inputs = model.preprocess(images_batch(images[:2]))

    counted = model.operations(inputs)

    assert counted.macs == len(inputs[0]) * 8 * 128 + 8 * 3
