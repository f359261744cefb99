"""Bad measured maps and predictions of depth: one sentence that names the file, never a number."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from PIL import Image
from support.depth_maps import disparities, write_image, write_map, write_pfm, write_png16, write_stereo_folder

from mlcvbench.errors import DataError, MlcvbenchError
from mlcvbench.running.scoring import tabulate
from mlcvbench_depth.folders import load_depth_folder, load_stereo_folder
from mlcvbench_depth.formats import read_map, read_pfm
from mlcvbench_depth.task import DepthTask


def message(action) -> str:
    with pytest.raises(MlcvbenchError) as caught:
        action()
    return str(caught.value)


def pfm(path, head: bytes, data: bytes = b""):
    path.write_bytes(head + data)
    return path


@pytest.mark.parametrize("scale", [b"0", b"nan", b"inf", b"x", b"", b"-0.0"])
def test_a_pfm_with_a_wrong_scale_is_refused(tmp_path, scale):
    path = pfm(tmp_path / "a.pfm", b"Pf\n1 1\n" + scale + b"\n", b"\0" * 4)

    assert message(lambda: read_pfm(path)) == (
        f"{path}: wanted a scale that is not 0 in the third line (its sign is the byte order), got {scale!r}."
    )


@pytest.mark.parametrize("size", [b"2", b"2 2 2", b"-2 2", b"a b", b"1e3 1", b"1234567890 1"])
def test_a_pfm_with_a_wrong_size_line_is_refused(tmp_path, size):
    path = pfm(tmp_path / "a.pfm", b"Pf\n" + size + b"\n-1\n", b"\0" * 16)

    assert message(lambda: read_pfm(path)) == f"{path}: wanted width and height in the second line, got {size!r}."


@pytest.mark.parametrize("size", ["0 5", "99999 99999"])
def test_a_pfm_that_claims_too_much_or_nothing_is_refused_before_reading(tmp_path, size):
    path = pfm(tmp_path / "a.pfm", f"Pf\n{size}\n-1\n".encode(), b"\0" * 16)

    width, height = size.split()
    assert message(lambda: read_pfm(path)) == f"{path}: has {width} x {height} pixels; wanted 1 to 50000000 in all."


@pytest.mark.parametrize("held", [0, 15, 17, 400])
def test_a_pfm_must_hold_exactly_its_pixels(tmp_path, held):
    path = pfm(tmp_path / "a.pfm", b"Pf\n2 2\n-1\n", b"\0" * held)

    assert message(lambda: read_pfm(path)) == (
        f"{path}: its header says 2 x 2 pixels = 16 bytes of data, but the file holds {held}."
    )


def test_three_channels_and_other_files_are_refused(tmp_path):
    colour = pfm(tmp_path / "a.pfm", b"PF\n1 1\n-1\n", b"\0" * 12)
    other = pfm(tmp_path / "b.pfm", b"P5\n1 1\n255\n\0")
    endless = pfm(tmp_path / "c.pfm", b"Pf " + b"x" * 100_000)

    assert message(lambda: read_pfm(colour)) == f"{colour}: wanted a PFM with one channel (Pf), got three (PF)."
    for path in (other, endless):
        assert message(lambda p=path: read_pfm(p)).startswith(
            f"{path}: wanted a PFM file that begins with Pf, size and scale, got "
        )


def test_the_wrong_byte_order_shows_as_impossible_numbers(tmp_path):
    values = np.full((2, 2), -17.0, np.float32)
    path = write_pfm(tmp_path / "set/disparity/a.pfm", values, ">")

    data = load_stereo_folder({"root": str(tmp_path / "set")}, 0)

    assert message(lambda: data.splits["test"].targets()["disparity"][0]) == (
        f"{path}: wanted positive numbers, 0 or inf for unknown, got -17.0."
    )


def test_8_bits_are_not_16(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.ones((2, 2), np.uint8)).save(path)

    assert message(lambda: read_map(path, "disparity")) == (
        f"{path}: wanted a 16-bit PNG, got 8 bits; if measurements are stored in them, as Middlebury's were until "
        "2006, say what they are divided by: data.scale=N for the truth, scale=N for predictions."
    )


def test_colours_are_no_measurements(tmp_path):
    path = write_image(tmp_path / "a.png", (2, 2))

    assert message(lambda: read_map(path, "disparity")).startswith(f"{path}: wanted one channel of 8 or 16 bits")


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": np.ones((2, 2)), "y": np.ones((2, 2))}, "wanted an array 'depth' or a single one, got x, y."),
        ({"depth": np.ones((2, 2), np.int32)}, "wanted floats (H, W) of at most 50000000 pixels, got int32 (2, 2)."),
        ({"depth": np.ones((2, 2, 1))}, "wanted floats (H, W) of at most 50000000 pixels, got float64 (2, 2, 1)."),
        ({"depth": np.ones((0, 2))}, "wanted floats (H, W) of at most 50000000 pixels, got float64 (0, 2)."),
    ],
)
def test_wrong_npz_arrays_are_refused(tmp_path, arrays, said):
    np.savez(tmp_path / "a.npz", **arrays)

    assert message(lambda: read_map(tmp_path / "a.npz", "depth")) == f"{tmp_path / 'a.npz'}: {said}"


def test_objects_are_never_unpickled(tmp_path):
    things = np.array([[object()]], dtype=object)
    np.savez(tmp_path / "a.npz", depth=things)
    np.save(tmp_path / "a.npy", things)

    assert str(tmp_path / "a.npz") in message(lambda: read_map(tmp_path / "a.npz", "depth"))
    assert str(tmp_path / "a.npy") in message(lambda: read_map(tmp_path / "a.npy", "depth"))


@pytest.mark.parametrize("name", ["a.pfm", "a.png", "a.npz", "a.npy"])
def test_a_missing_file_is_named(tmp_path, name):
    assert message(lambda: read_map(tmp_path / name, "depth")) == f"{tmp_path / name}: no such file."


def test_an_unknown_ending_is_refused(tmp_path):
    assert message(lambda: read_map(tmp_path / "a.exr", "depth")) == (
        f"{tmp_path / 'a.exr'}: wanted a file ending in .pfm, .png, .npz, .npy."
    )


@pytest.mark.parametrize("index", [0, 1, 2])
def test_every_flipped_or_missing_byte_gives_a_map_or_an_error_of_ours(tmp_path, index):
    path = write_map(tmp_path, index, disparities(1)[0])
    whole = path.read_bytes()
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 0xFF
        for content in (bytes(changed), whole[:place]):
            path.write_bytes(content)
            with contextlib.suppress(MlcvbenchError):
                read_map(path, "disparity")


@pytest.fixture
def case(tmp_path):
    truth = disparities()
    data = load_stereo_folder({"root": str(write_stereo_folder(tmp_path / "set", truth))}, 0)
    for index, values in enumerate(truth):
        write_map(tmp_path / "out", index, values)

    def score():
        task, test = DepthTask(), data.splits["test"]
        external = task.read_external(tmp_path / "out", test, data.problem, {})
        scorer = task.scorer("stereo/all@1", data.problem)
        return tabulate(scorer, external.predictions, test.targets(), 3)

    return tmp_path, score


def test_missing_and_surplus_predictions_are_named(case):
    root, score = case
    (root / "out/1.png").rename(root / "out/7.png")

    assert message(score) == (
        f"{root / 'out'}: has no file for 1 of 3 samples, such as '1'; it holds 7.png of other names; wanted maps "
        "(.pfm, .png, .npz, .npy)."
    )
    write_png16(root / "out/1.png", np.ones((7, 9)))
    assert message(score) == f"{root / 'out/7.png'}: is a prediction for no sample of split 'test'."


def test_a_prediction_of_wrong_size_is_named(case):
    root, score = case
    write_png16(root / "out/1.png", np.ones((2, 2)))

    assert message(score) == (
        f"{root / 'out/1.png'}: field 'disparity': wanted 7 x 9 pixels like the truth, got 2 x 2. Say resize=bilinear "
        "or resize=nearest to have predictions brought to the truth's size."
    )


@pytest.mark.parametrize(("value", "got"), [(np.nan, "nan"), (-1.0, "-1.0"), (-np.inf, "-inf")])
def test_estimates_that_are_no_distance_are_refused(case, value, got):
    root, score = case
    values = np.ones((6, 9), np.float32)
    values[3, 3] = value
    path = write_pfm(root / "out/0.pfm", values)

    assert message(score) == f"{path}: wanted numbers from 0 upwards, 0 or inf for no estimate, got {got}."


def test_disparities_with_the_other_sign_are_refused_with_their_reason(case):
    root, score = case
    path = write_pfm(root / "out/0.pfm", -disparities()[0])

    assert message(score) == (
        f"{path}: wanted numbers from 0 upwards, 0 or inf for no estimate, got {-disparities()[0][0, 0]}. No disparity "
        "is positive: they count as x in the left image minus x in the right one; change the sign."
    )


@pytest.mark.parametrize(("suffix", "why"), [(".exr", ""), (".jpg", ": JPEG has 8 bits and changes them")])
def test_maps_of_another_format_are_named(case, suffix, why):
    root, score = case
    for path in list((root / "out").iterdir()):
        path.rename(path.with_suffix(suffix))

    assert message(score) == f"{root / 'out'}: holds 0{suffix}{why}; wanted maps (.pfm, .png, .npz, .npy)."


def test_an_all_invalid_prediction_is_no_error_but_has_density_zero(case):
    root, score = case
    write_pfm(root / "out/0.pfm", np.full((6, 9), np.inf, np.float32))

    assert score()["estimated"][0] == 0


def test_truth_without_a_known_pixel_has_no_metrics_and_says_why(tmp_path):
    root = write_stereo_folder(tmp_path / "set", [np.zeros((6, 9), np.float32)])
    data = load_stereo_folder({"root": str(root)}, 0)
    scorer = DepthTask().scorer("stereo/holes-bad@1", data.problem)

    table = tabulate(scorer, {"disparity": [np.ones((6, 9), np.uint16)]}, data.splits["test"].targets(), 1)

    assert set(scorer.summarise(table).values()) == {None}
    assert set(scorer.undefined(table).values()) == {"no pixel has a known disparity"}


def test_an_occlusion_mask_in_colours_is_refused(tmp_path):
    root = write_stereo_folder(tmp_path / "set", disparities(1))
    path = write_image(root / "occlusion/0.png", (6, 9))
    data = load_stereo_folder({"root": str(root)}, 0)

    assert message(lambda: data.splits["test"].targets()["occluded"][0]).startswith(
        f"{path}: wanted one channel of 8 or 16 bits or a palette, got RGB"
    )


def test_predictions_must_be_a_folder(case):
    root, _ = case
    data = load_stereo_folder({"root": str(root / "set")}, 0)

    assert message(lambda: DepthTask().read_external(root / "no", data.splits["test"], data.problem, {})) == (
        f"{root / 'no'}: wanted a folder of maps (.pfm, .png, .npz, .npy)."
    )


def test_incomplete_folders_name_what_is_missing(tmp_path):
    root = write_stereo_folder(tmp_path / "set", disparities(2))
    (root / "right/1.png").unlink()

    assert message(lambda: load_stereo_folder({"root": str(root)}, 0)) == (
        f"{root / 'disparity/1.png'}: has no right image of that name in {root}."
    )
    assert message(lambda: load_depth_folder({"root": str(root)}, 0)) == (
        f"{root / 'depth'}: no such folder; {root} holds disparity, left, right; wanted measured maps (.pfm, .png, "
        ".npz, .npy) in it."
    )
    assert (
        message(lambda: load_depth_folder({"root": str(root / "no")}, 0)) == f"data.root={root / 'no'}: no such folder."
    )


def test_truth_of_another_size_than_its_image_is_named(tmp_path):
    root = write_stereo_folder(tmp_path / "set", disparities(1))
    write_image(root / "left/0.png", (3, 3))
    data = load_stereo_folder({"root": str(root)}, 0)

    assert message(lambda: data.splits["test"].read([0])) == (
        f"{root / 'disparity/0.pfm'}: has 6 x 9 pixels, but its left image has 3 x 3."
    )


def test_a_changed_prediction_file_is_refused(case):
    root, _ = case
    data = load_stereo_folder({"root": str(root / "set")}, 0)
    task, ids = DepthTask(), np.array(["a"])
    path = task.save({"disparity": [np.ones((3, 3), np.uint16)]}, ids, root)

    assert message(lambda: task.load(path, np.array(["b"]), data.problem)) == (
        f"{path}: its 1 ids are not the 1 of the split, in order."
    )
    np.savez(path, ids=ids, something=np.ones(3))
    assert (
        message(lambda: task.load(path, ids, data.problem)) == f"{path}: wanted maps of disparity or depth, found none."
    )
    task.save({"disparity": [np.ones((3, 3), np.uint8)]}, ids, root)
    assert message(lambda: task.load(path, ids, data.problem)) == (
        f"{path}: disparity_000000: wanted uint16 or float32 (H, W), got uint8 (3, 3)."
    )


def test_data_error_is_what_a_user_sees(case):
    root, score = case
    (root / "out/0.pfm").unlink()

    with pytest.raises(DataError):
        score()
