from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from quantlab.data.decode import read_image
from quantlab.data.preprocess import Preprocess
from quantlab.errors import DataError

RAW = Preprocess(scale=1.0)
GREY = Preprocess(scale=1.0, channels="GRAY")
RAMP = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)


def saved(folder: Path, image: Image.Image, name: str = "image.png", **options: Any) -> Path:
    path = folder / name
    image.save(path, **options)
    return path


def test_channels_come_first_or_last_and_in_either_order(tmp_path):
    path = saved(tmp_path, Image.fromarray(RAMP))
    np.testing.assert_array_equal(read_image(path, RAW), RAMP.transpose(2, 0, 1))
    np.testing.assert_array_equal(read_image(path, Preprocess(scale=1.0, layout="NHWC")), RAMP)
    np.testing.assert_array_equal(
        read_image(path, Preprocess(scale=1.0, channels="BGR")), RAMP[:, :, ::-1].transpose(2, 0, 1)
    )


def test_each_channel_has_its_own_mean_and_deviation(tmp_path):
    path = saved(tmp_path, Image.fromarray(RAMP))
    result = read_image(path, Preprocess(scale=0.5, mean=(1, 2, 3), std=(1, 2, 4), layout="NHWC"))
    assert result.dtype == np.float32
    # small whole numbers and divisions by powers of two: exact
    np.testing.assert_array_equal(result, (RAMP * 0.5 - [1, 2, 3]) / [1, 2, 4])


@pytest.mark.parametrize("size", [(40, 20), (20, 40), (30, 30), (33, 47)])
def test_the_shorter_side_is_resized_and_the_centre_cropped(tmp_path, size):
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    path = saved(tmp_path, image)
    result = read_image(path, Preprocess(resize=16, crop=(12, 14), scale=1.0, layout="NHWC"))
    width, height = (16, 16 * size[1] // size[0]) if size[0] <= size[1] else (16 * size[0] // size[1], 16)
    top, left = round((height - 12) / 2), round((width - 14) / 2)
    expected = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))[top : top + 12, left : left + 14]
    np.testing.assert_array_equal(result, expected)


def test_an_exact_size_may_change_the_proportions(tmp_path):
    assert read_image(saved(tmp_path, Image.fromarray(RAMP)), Preprocess(resize=(5, 3))).shape == (3, 5, 3)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I", "I;16"])
def test_an_image_of_any_mode_becomes_colour_or_grey(tmp_path, mode):
    if mode in ("I", "I;16"):
        image = Image.fromarray(np.full((6, 8), 65535, np.uint16 if mode == "I;16" else np.int32))
    else:
        image = Image.new("RGB", (8, 6), "white").convert(mode)
    # Pillow below 13 cannot read the YCbCr it writes into a TIFF.
    suffix = {"CMYK": "tif", "I": "tif", "YCbCr": "jpg"}.get(mode, "png")
    path = saved(tmp_path, image, f"image.{suffix}")
    for preprocess, channels in ((RAW, 3), (GREY, 1)):
        result = read_image(path, preprocess)
        assert result.shape == (channels, 6, 8)
        # the colour spaces of print and video round white by a level or two
        np.testing.assert_allclose(result, 255, atol=2 if mode in ("YCbCr", "CMYK") else 0)


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    levels = np.array([[0, 257, 128 * 257, 65535]], np.uint16)
    result = read_image(saved(tmp_path, Image.fromarray(levels)), GREY)
    assert result.tolist() == [[[0, 1, 128, 255]]]


def test_a_palette_with_transparency_is_read_without_a_warning(tmp_path):
    image = Image.new("RGBA", (8, 6), (255, 0, 0, 0)).quantize()
    path = saved(tmp_path, image, transparency=bytes([0, 128]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_image(path, RAW).shape == (3, 6, 8)


def test_the_orientation_noted_by_a_camera_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees to see it upright
    path = saved(tmp_path, Image.fromarray(RAMP), exif=exif)
    np.testing.assert_array_equal(read_image(path, RAW), np.rot90(RAMP, -1).transpose(2, 0, 1))


def test_of_an_animation_the_first_picture_counts(tmp_path):
    frames = [Image.new("L", (8, 6), level) for level in (10, 200)]
    path = tmp_path / "image.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert (read_image(path, GREY) == 10).all()


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow warns of the damage before it fails
@pytest.mark.parametrize("kind", ["png", "jpg", "bmp", "gif", "tif", "webp"])
def test_an_image_cut_short_is_refused_by_name(tmp_path, kind):
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    path = saved(tmp_path, image, f"bild ü.{kind}")
    content = path.read_bytes()
    for kept in (0, 1, 10, 50, len(content) // 2):
        path.write_bytes(content[:kept])
        with pytest.raises(DataError, match=rf"bild ü.{kind}: cannot be read as an image"):
            read_image(path, RAW)


@pytest.mark.parametrize(
    "content", [b"no image at all", b"\xff\xd8\xff\xe0" + bytes(100), b"\x89PNG\r\n\x1a\n" + bytes(50)]
)
def test_what_is_no_image_is_refused_by_name(tmp_path, content):
    path = tmp_path / "image.jpg"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"image.jpg: cannot be read as an image"):
        read_image(path, RAW)


def test_a_png_damaged_inside_is_refused_by_name(tmp_path):
    rng = np.random.default_rng(0)
    path = saved(tmp_path, Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)))
    content = bytearray(path.read_bytes())
    content[500:520] = bytes(20)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"image.png: cannot be read as an image"):
        read_image(path, RAW)


def test_floating_pixels_and_more_than_sixteen_bits_are_refused(tmp_path):
    path = saved(tmp_path, Image.fromarray(np.zeros((6, 8), np.float32)), "image.tif")
    with pytest.raises(DataError, match="its pixels are floats"):
        read_image(path, GREY)
    path = saved(tmp_path, Image.fromarray(np.full((6, 8), 70_000, np.int32)), "image.tif")
    with pytest.raises(DataError, match="more than 16 bits"):
        read_image(path, GREY)


def test_an_image_smaller_than_the_crop_is_refused_by_name(tmp_path):
    path = saved(tmp_path, Image.fromarray(RAMP))
    with pytest.raises(DataError, match=r"image.png: has 6×8 pixels where 7×7 are cropped; set `resize`"):
        read_image(path, Preprocess(crop=(7, 7)))


def test_an_image_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    path = saved(tmp_path, Image.fromarray(RAMP))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(DataError, match="too large to be safe: it has more than 20 pixels; shrink or remove it"):
        read_image(path, RAW)


def test_a_large_photograph_is_read_without_a_warning(tmp_path, monkeypatch):
    path = saved(tmp_path, Image.fromarray(RAMP))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", RAMP.size - 1)  # Pillow warns from there to twice that
    assert read_image(path, RAW).size


def test_a_long_strip_that_would_fill_the_memory_once_resized_is_refused(tmp_path):
    path = saved(tmp_path, Image.new("L", (4000, 1)))
    with pytest.raises(DataError, match="resizing its 4000×1 pixels would give 1024000×256"):
        read_image(path, Preprocess(resize=256))
