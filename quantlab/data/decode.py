"""Turns an image file into pixels, and pixels into a network's input.

The geometry is that of torchvision's Resize and CenterCrop on Pillow images, so a network sees what it was trained on.
"""

from __future__ import annotations

import io
import math
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from quantlab.data.batch import Array
from quantlab.data.preprocess import Preprocess
from quantlab.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

# What Pillow's decoders raise for files that are damaged, cut short or no images at all.
_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, KeyError, IndexError, struct.error, zlib.error)

# 65535 = 257 · 255, so this maps 16-bit white to 8-bit white.
_SIXTEEN_TO_EIGHT = 257

FOREIGN_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "PPM", "TIFF")
"""What Pillow decodes by itself; EPS, for one, would be handed to Ghostscript."""


def read_image(path: Path, preprocess: Preprocess) -> Array:
    """Return one image as a network's input, float32 [channels, height, width] or [height, width, channels].

    Args:
        path: an image of any mode that Pillow reads; the orientation its camera noted is applied, transparency is
            dropped, of an animation the first picture counts.
        preprocess: with the sizes filled in.

    Raises:
        DataError: the file is no image, is damaged, or is smaller than the crop; the message names it.
    """
    return _decode(path, preprocess, name=str(path))


def read_foreign_image(data: bytes, preprocess: Preprocess, *, name: str, most_pixels: int) -> Array:
    """Return an image that somebody sent, as `read_image` does.

    Only formats whose decoders run no other program are tried, and no picture is unpacked before its size is known.

    Args:
        data: the bytes of the file.
        preprocess: with the sizes filled in.
        name: what messages call it.
        most_pixels: the largest height times width.

    Raises:
        DataError: as `read_image`, or the picture has more pixels.
    """
    return _decode(io.BytesIO(data), preprocess, name=name, formats=FOREIGN_FORMATS, most_pixels=most_pixels)


def _decode(
    file: Path | io.BytesIO,
    preprocess: Preprocess,
    *,
    name: str,
    formats: tuple[str, ...] | None = None,
    most_pixels: int | None = None,
) -> Array:
    from PIL import Image, UnidentifiedImageError

    try:
        with _large_allowed(), Image.open(file, formats=formats) as image:
            _check_size(image.size, most_pixels)
            pixels = _pixels(image, preprocess)
    except UnidentifiedImageError as error:
        known = f"; send one of {', '.join(formats)}" if formats else "; repair or remove it"
        raise DataError(f"{name}: cannot be read as an image: it is none, or is damaged{known}") from error
    except Image.DecompressionBombError as error:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0)  # where Pillow refuses
        raise DataError(
            f"{name}: the image is too large to be safe: it has more than {most:,} pixels; shrink or remove it"
        ) from error
    except _UNREADABLE as error:
        raise DataError(f"{name}: cannot be read as an image: {error}; repair or remove it") from error
    crop = preprocess.crop
    if crop is not None:
        pixels = _centre(pixels, crop, name)
    return _normalise(pixels, preprocess)


@contextmanager
def _large_allowed() -> Iterator[None]:
    """Let Pillow open a large photograph without a warning; what is too large to be safe is still its error."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield


def _check_size(size: tuple[int, int], most_pixels: int | None) -> None:
    width, height = size
    if most_pixels is not None and width * height > most_pixels:
        raise ValueError(f"it has {width}×{height} pixels, more than {most_pixels:,} are not unpacked")


def _pixels(image: Image.Image, preprocess: Preprocess) -> npt.NDArray[np.uint8]:
    """Return uint8 [height, width, channels], resized."""
    from PIL import Image, ImageOps

    image = _eight_bit(ImageOps.exif_transpose(image)).convert("L" if preprocess.channels == "GRAY" else "RGB")
    if preprocess.resize is not None:
        width, height = _resized(image.size, preprocess.resize)
        if width * height > (Image.MAX_IMAGE_PIXELS or math.inf):
            raise ValueError(f"resizing its {image.width}×{image.height} pixels would give {width}×{height}")
        image = image.resize((width, height), Image.Resampling[preprocess.interpolation.upper()])
    pixels = np.asarray(image, dtype=np.uint8)
    pixels = pixels[:, :, np.newaxis] if pixels.ndim == 2 else pixels
    return pixels[:, :, ::-1] if preprocess.channels == "BGR" else pixels


def _eight_bit(image: Image.Image) -> Image.Image:
    """Return an image of a mode that Pillow converts without clipping or warning."""
    from PIL import Image

    if image.mode == "F":
        raise ValueError("its pixels are floats; save them as an .npy array")
    if image.mode.startswith("I"):
        levels = np.asarray(image).astype(np.int64)
        if levels.min() < 0 or levels.max() > _SIXTEEN_TO_EIGHT * 255:
            raise ValueError("its pixels have more than 16 bits; save them as an .npy array")
        return Image.fromarray(((levels + _SIXTEEN_TO_EIGHT // 2) // _SIXTEEN_TO_EIGHT).astype(np.uint8))
    # A palette with transparent entries warns unless it goes through RGBA.
    return image.convert("RGBA") if image.mode in ("P", "PA") else image


def _resized(size: tuple[int, int], resize: int | tuple[int, int]) -> tuple[int, int]:
    """Return the (width, height) after resizing."""
    width, height = size
    if isinstance(resize, tuple):
        return resize[1], resize[0]
    long = int(resize * max(size) / min(size))  # rounded down, as torchvision does
    return (resize, long) if width <= height else (long, resize)


def _centre(pixels: npt.NDArray[np.uint8], crop: tuple[int, int], name: str) -> npt.NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    if height < crop[0] or width < crop[1]:
        raise DataError(
            f"{name}: has {height}×{width} pixels where {crop[0]}×{crop[1]} are cropped; "
            "set `resize` in the preprocessing"
        )
    top, left = round((height - crop[0]) / 2), round((width - crop[1]) / 2)
    return pixels[top : top + crop[0], left : left + crop[1]]


def _normalise(pixels: npt.NDArray[np.uint8], preprocess: Preprocess) -> Array:
    channels = [levels[pixels[:, :, channel]] for channel, levels in enumerate(preprocess.table)]
    return np.stack(channels, axis=0 if preprocess.layout == "NCHW" else 2)
