"""Numbers stored in images: shared memory, headers, division."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mlcvbench.errors import DataError
from mlcvbench.files import rasters
from mlcvbench.files.rasters import decode_raster, divided, raster_bits, read_pixels, read_raster


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(5, 7), (600, 501), (3000, 6001)])
def test_numbers_are_those_of_the_file_whether_shared_in_one_piece_or_copied(tmp_path: Path, kind: type, shape):
    numbers = np.random.default_rng(0).integers(0, np.iinfo(kind).max + 1, shape).astype(kind)
    Image.fromarray(numbers).save(tmp_path / "map.png", compress_level=0)

    read = read_raster(tmp_path / "map.png")

    assert read.dtype == kind
    assert np.array_equal(read, numbers)


def test_values_of_a_large_palette_file_come_with_its_colours(tmp_path: Path):
    values = np.random.default_rng(0).integers(0, 3, (600, 501)).astype(np.uint8)
    image = Image.fromarray(values).convert("P")
    image.putpalette([9, 8, 7, 6, 5, 4, 3, 2, 1])
    image.save(tmp_path / "map.png")

    read = read_pixels(tmp_path / "map.png")

    assert np.array_equal(read.values, values)
    assert read.palette is not None
    assert read.palette[:3].tolist() == [[9, 8, 7], [6, 5, 4], [3, 2, 1]]


@pytest.mark.parametrize("big_endian", [False, True])
def test_a_large_tiff_of_either_byte_order_is_read_as_written(tmp_path: Path, big_endian: bool):
    numbers = np.arange(600 * 500, dtype=np.uint32).reshape(600, 500).astype(">u2" if big_endian else "<u2")
    mode = "I;16B" if big_endian else "I;16"
    Image.frombytes(mode, (500, 600), numbers.tobytes()).save(tmp_path / "map.tif")

    assert np.array_equal(read_raster(tmp_path / "map.tif"), numbers)


@pytest.mark.parametrize(
    ("mode", "bits"), [("1", 8), ("L", 8), ("P", 8), ("I;16", 16), ("LA", None), ("RGB", None), ("RGBA", None)]
)
def test_bits_of_a_png_are_those_that_it_is_read_with(tmp_path: Path, mode: str, bits: int | None):
    Image.new(mode, (3, 2)).save(tmp_path / "map.png")

    assert raster_bits(tmp_path / "map.png") == bits
    if bits is not None:
        assert read_raster(tmp_path / "map.png").itemsize * 8 == bits


def test_other_and_missing_files_have_no_bits(tmp_path: Path):
    Image.new("L", (3, 2)).save(tmp_path / "map.tif")
    (tmp_path / "short.png").write_bytes(b"\x89PNG\r\n\x1a\n")

    assert [raster_bits(tmp_path / name) for name in ("map.tif", "short.png", "none.png")] == [None] * 3


@pytest.mark.parametrize("scale", [1.0, 100.0, 256.0, 5000.0, 2.0**24, 2.0**24 + 1, 0.3, 123.4, 1e-4])
def test_numbers_are_divided_in_float64_whatever_the_scale(scale: float):
    numbers = np.arange(1 << 16, dtype=np.uint16)

    assert np.array_equal(divided(numbers, scale), (numbers.astype(np.float64) / scale).astype(np.float32))


def test_what_is_no_image_is_called_by_its_name(tmp_path: Path):
    path = tmp_path / "map.png"
    path.write_bytes(b"no image")

    with pytest.raises(DataError) as read:
        read_raster(path)
    with pytest.raises(DataError) as decoded:
        decode_raster(b"no image", "inside")

    assert str(read.value) == f"{path}: cannot be read as an image (cannot identify image file '{path}')."
    assert str(decoded.value) == "inside: cannot be read as an image (cannot identify image file 'inside')."


def test_small_images_do_not_import_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rasters, "load_pyarrow", lambda: pytest.fail("imported"))
    Image.new("L", (300, 200)).save(tmp_path / "map.png")

    assert read_raster(tmp_path / "map.png").shape == (200, 300)
