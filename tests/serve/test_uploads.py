"""Files that somebody sends: what is taken, and that nothing dangerous is unpacked."""

import io
import struct
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from quantlab.data.batch import InputSpec
from quantlab.data.preprocess import Preprocess
from quantlab.errors import DataError
from quantlab.serve.uploads import Upload, array_sample, picture_sample
from tests.models import noise

SPEC = InputSpec("image", np.dtype(np.float32), ("batch", 3, 8, 8))
UNIT = Preprocess().fitted_to(SPEC)


def saved(array: object, **named: object) -> bytes:
    stream = io.BytesIO()
    if named:
        np.savez_compressed(stream, **named)  # type: ignore[arg-type]
    else:
        np.save(stream, array)  # type: ignore[arg-type]
    return stream.getvalue()


def picture(size: tuple[int, int] = (8, 8), kind: str = "PNG", colour: str = "red") -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, kind)
    return stream.getvalue()


def png_that_claims(width: int, height: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")


def npy_that_claims(shape: tuple[int, ...]) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP", "PPM", "TIFF"])
def test_a_picture_of_a_usual_kind_becomes_a_sample(kind):
    feeds = picture_sample(Upload("red", picture((16, 16), kind)), SPEC, UNIT).feeds
    assert feeds["image"].shape == (1, 3, 8, 8)
    np.testing.assert_allclose(feeds["image"][0, :, 4, 4], [1, 0, 0], atol=2 / 255)  # JPEG moves a level or two


def test_light_and_dark_can_be_swapped():
    upload = Upload("red.png", picture(), is_inverted=True)
    np.testing.assert_array_equal(picture_sample(upload, SPEC, UNIT).feeds["image"][0, :, 0, 0], [0, 1, 1])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"no picture at all", "cannot be read as an image: it is none, or is damaged; send one of PNG, JPEG"),
        (picture()[:50], "cannot be read as an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n(x) run\n", "it is none, or is damaged"),
        (png_that_claims(60000, 60000), "too large to be safe|more than 40,000,000 are not unpacked"),
        (png_that_claims(7000, 7000), "7000×7000 pixels, more than 40,000,000 are not unpacked"),
    ],
)
def test_a_picture_that_cannot_be_taken_says_why(data, reason):
    with pytest.raises(DataError, match=f"bild: .*({reason})"):
        picture_sample(Upload("bild", data), SPEC, UNIT)


def test_a_picture_smaller_than_the_crop_says_so():
    upload = Upload("small.png", picture((4, 4)))
    with pytest.raises(DataError, match=r"small.png: has 4×4 pixels where 8×8 are cropped"):
        picture_sample(upload, SPEC, Preprocess(crop=(8, 8)))


@pytest.mark.parametrize(
    "data",
    [
        saved(noise(1, 3, 8, 8)),
        saved(noise(1, 3, 8, 8)[0]),
        saved(noise(5, 3, 8, 8)),
        saved(None, image=noise(5, 3, 8, 8), y=np.arange(5)),
    ],
    ids=["batch of one", "without the batch axis", "first of several", "npz"],
)
def test_arrays_come_with_and_without_the_batch_axis_and_in_an_npz(data):
    upload = Upload("x", data)
    assert upload.is_array
    sample = array_sample(upload, [SPEC])
    assert sample.size == 1
    assert sample.feeds["image"].shape == (1, 3, 8, 8)


def test_the_label_of_an_npz_is_kept():
    labels = array_sample(Upload("x.npz", saved(None, image=noise(2, 3, 8, 8), y=np.array([7, 1]))), [SPEC]).labels
    assert labels is not None
    assert labels.tolist() == [7]


def zip_of(data: bytes, name: str = "image.npy") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (saved(noise(1, 3, 9, 8)), r"has shape \[1, 3, 9, 8\], the model needs"),
        (saved(np.full((1, 3, 8, 8), np.nan, np.float32)), "sample 0 holds NaN"),
        (saved(noise(1, 3, 8, 8))[:-20], "damaged|whole"),
        (npy_that_claims((10**7, 3, 8, 8)), "its header claims 7,324 MB"),
        (zip_of(npy_that_claims((10**7, 3, 8, 8))), "its header claims 7,324 MB"),
        (zip_of(bytes(300 * 2**20)), "it unpacks to 300 MB"),
        (zip_of(b"text"), "no whole .npy or .npz file"),
        (b"PK\x03\x04 and no more", "no whole .npy or .npz file"),
        (b"\x93NUMPY\x01\x00\x10\x00{'descr': 1}    \n", "no whole .npy or .npz file"),
        (saved(np.array([{"a": 1}], dtype=object)), "pickle|Python objects"),
    ],
)
def test_arrays_that_cannot_be_taken_say_why(data, reason):
    with pytest.raises(DataError, match=f"upload.bin: .*({reason})|upload.bin, .*({reason})"):
        array_sample(Upload("upload.bin", data), [SPEC])
