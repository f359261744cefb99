"""Image files of every odd kind: decoded on purpose, or refused in one line that names the file."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from support.mutations import assert_one_line_about, mutations

from mlcvbench.errors import DataError, MlcvbenchError
from mlcvbench.files.images import image_size, read_image, turned_images

RAMP = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20


def saved(folder: Path, image: Image.Image, name: str, **options: object) -> Path:
    path = folder / name
    image.save(path, **options)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_image(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


def png_of_size(width: int, height: int) -> bytes:
    """Return a PNG that claims a size and holds a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(10))) + chunk(b"IEND", b"")
    )


def test_an_8_bit_grey_image_keeps_its_values_in_grey_and_in_rgb(tmp_path):
    path = saved(tmp_path, Image.fromarray(RAMP), "a.png")

    assert np.array_equal(read_image(path, "grey"), RAMP)
    assert np.array_equal(read_image(path), np.repeat(RAMP[:, :, None], 3, axis=2))


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_16_bit_values_are_scaled_and_not_clipped(tmp_path, ending):
    values = np.array([[0, 128, 129, 256, 32768, 65535]], np.uint16)
    path = saved(tmp_path, Image.fromarray(values), f"a.{ending}")

    assert read_image(path, "grey").tolist() == [[0, 0, 1, 1, 128, 255]]
    assert read_image(path).shape == (1, 6, 3)


def test_a_palette_gives_its_colours(tmp_path):
    picture = Image.fromarray(np.array([[0, 1, 2]], np.uint8), mode=None)
    picture = picture.convert("P")
    picture.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    path = saved(tmp_path, picture, "a.gif")

    assert read_image(path).tolist() == [[[255, 0, 0], [0, 255, 0], [0, 0, 255]]]


def test_a_palette_with_a_transparent_colour_shows_white_there(tmp_path):
    picture = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("P")
    picture.putpalette([255, 0, 0, 0, 255, 0])
    path = saved(tmp_path, picture, "a.png", transparency=1)

    assert read_image(path).tolist() == [[[255, 0, 0], [255, 255, 255]]]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_pixels_lie_on_white(tmp_path, mode):
    channels = len(mode)
    pixels = np.zeros((1, 2, channels), np.uint8)
    pixels[0, 1, -1] = 255
    path = saved(tmp_path, Image.fromarray(pixels), "a.png")

    assert read_image(path, "grey").tolist() == [[255, 0]]


def test_a_cmyk_jpeg_becomes_rgb(tmp_path):
    path = saved(tmp_path, Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "a.jpg", quality=95)

    red = read_image(path)

    assert red.shape == (8, 8, 3)
    assert (red[..., 0] > 240).all()
    assert (red[..., 1:] < 15).all()


def test_one_bit_images_are_black_and_white(tmp_path):
    path = saved(tmp_path, Image.fromarray(np.array([[True, False]])), "a.png")

    assert read_image(path, "grey").tolist() == [[255, 0]]


def test_a_picture_of_one_pixel_is_a_picture(tmp_path):
    path = saved(tmp_path, Image.new("RGB", (1, 1), (1, 2, 3)), "a.bmp")

    assert read_image(path).tolist() == [[[1, 2, 3]]]
    assert image_size(path) == (1, 1)


def test_images_that_are_turned_are_collected_once_and_only_while_asked(tmp_path):
    paths = []
    for orientation in (1, 6, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        paths.append(saved(tmp_path, Image.fromarray(RAMP), f"{orientation}.jpg", exif=exif))

    with turned_images() as found:
        for path in (*paths, *paths):
            read_image(path)
    read_image(saved(tmp_path, Image.fromarray(RAMP), "later.jpg", exif=exif))

    assert found == {tmp_path / "6.jpg"}


@pytest.mark.parametrize("ending", ["png", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, orientation, ending):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if ending == "webp" else {}
    path = saved(tmp_path, Image.fromarray(np.repeat(RAMP[:, :, None], 3, 2)), f"a.{ending}", exif=exif, **options)
    with Image.open(path) as image:
        image.load()
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))

    found = read_image(path)

    assert np.array_equal(found, expected)
    assert image_size(path) == found.shape[:2]
    assert found.shape[:2] == ((4, 3) if orientation >= 5 else (3, 4))


def test_size_resizes_after_turning(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(tmp_path, Image.fromarray(RAMP), "a.png", exif=exif)

    assert read_image(path, "grey", (8, 2)).shape == (8, 2)
    assert np.array_equal(read_image(path, "grey", (4, 3)), read_image(path, "grey"))


def test_broken_notes_beside_the_picture_do_not_matter(tmp_path):
    path = saved(tmp_path, Image.new("RGB", (8, 8)), "a.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff")

    assert read_image(path).shape == (8, 8, 3)


def test_a_jpeg_cut_short_is_refused(tmp_path):
    rng = np.random.default_rng(0)
    path = saved(tmp_path, Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)), "a.jpg")
    path.write_bytes(path.read_bytes()[:2000])

    assert refusal(path).startswith("cannot be decoded as PNG, JPEG, BMP, GIF, TIFF, WEBP, PPM (OSError: image file is")


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not an image",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
        b"SIMPLE  =                    T" + b" " * 50,
    ],
    ids=["empty", "text", "EPS", "FITS"],
)
def test_files_of_other_kinds_under_an_image_name_are_refused(tmp_path, name, data):
    path = tmp_path / name
    path.write_bytes(data)

    assert refusal(path) == (
        "cannot be decoded as PNG, JPEG, BMP, GIF, TIFF, WEBP, PPM "
        "(UnidentifiedImageError: cannot identify image file)."
    )


@pytest.mark.parametrize(("width", "height"), [(100_000, 100_000), (9_000, 9_000), (2**31 - 1, 1)])
def test_a_decompression_bomb_is_refused_before_it_is_unpacked(tmp_path, width, height):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_of_size(width, height))

    said = refusal(path)

    assert "DecompressionBomb" in said or said == f"has {width} x {height} pixels; the most is 50000000."


@pytest.mark.parametrize("ending", ["gif", "png", "tif", "webp"])
def test_an_animation_is_refused(tmp_path, ending):
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "green", "blue")]
    path = saved(tmp_path, frames[0], f"a.{ending}", save_all=True, append_images=frames[1:])

    assert refusal(path) == "holds 3 frames; wanted a single picture."


def test_floating_point_and_32_bit_pixels_are_refused(tmp_path):
    path = saved(tmp_path, Image.fromarray(RAMP.astype(np.float32)), "a.tif")
    other = saved(tmp_path, Image.fromarray(RAMP.astype(np.int32)), "b.tif")

    assert refusal(path) == "has floating-point pixels; wanted 8 or 16 bits."
    assert refusal(other) == "has 32-bit pixels; wanted 8 or 16 bits."


def test_a_missing_image_is_named(tmp_path):
    assert refusal(tmp_path / "a.png") == "there is no such image."


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM"])
def test_an_image_damaged_anywhere_decodes_or_is_refused_by_name(tmp_path, form):
    buffer = io.BytesIO()
    Image.fromarray(np.repeat(RAMP[:, :, None], 3, 2)).save(buffer, form)
    path = tmp_path / "image"
    step, refused = 1 + len(buffer.getvalue()) // 150, 0

    for _, damaged in mutations(buffer.getvalue(), step):
        path.write_bytes(damaged)
        try:
            pixels = read_image(path)
        except MlcvbenchError as error:
            assert_one_line_about(error, path)
            refused += 1
        else:
            assert pixels.dtype == np.uint8
            assert pixels.shape[2] == 3
    assert refused > 100
