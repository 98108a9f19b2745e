"""A sample → the picture of it, as the network sees it: its lowest value black, its highest white."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping

import numpy as np

from quantlab.data.batch import Array

_LONGEST = 512


def picture_of(feeds: Mapping[str, Array]) -> bytes | None:
    """Return the first sample as PNG, or None where it is no picture.

    Args:
        feeds: by input name; a picture is the only input, [1, channels, height, width] or [1, height, width,
            channels] with 1 or 3 channels.
    """
    if len(feeds) != 1:
        return None
    array = next(iter(feeds.values()))
    if array.ndim != 4 or not array.size:
        return None
    sample = array[0]
    if sample.shape[0] in (1, 3):
        sample = np.moveaxis(sample, 0, 2)
    if sample.shape[2] not in (1, 3):
        return None
    return _png(sample.astype(np.float64))


def data_uri(png: bytes) -> str:
    """Return a picture as a page holds it."""
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"


def _png(sample: Array) -> bytes:
    from PIL import Image

    low, high = float(sample.min()), float(sample.max())
    levels = np.round(255 * (sample - low) / (high - low if high > low else 1.0)).astype(np.uint8)
    image = Image.fromarray(levels[:, :, 0] if levels.shape[2] == 1 else levels)
    image.thumbnail((_LONGEST, _LONGEST))
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()
