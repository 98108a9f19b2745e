"""The bundled photographs as network inputs of any number and size: random crops, the same ones each time.

`calib_data/photos` holds 32 small pictures. A crop takes a random square of one of them, mirrored or not, so 64 or 128
inputs are all different, though far less varied than as many photographs: enough to measure time, memory and whether
integers follow floats; not to calibrate a network for use.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from quantlab.data.preprocess import Preprocess

if TYPE_CHECKING:
    from PIL import Image

_PHOTOS = Path(__file__).resolve().parents[1] / "calib_data" / "photos"
_LEAST_SHARE = 0.5


def crops(count: int, side: int, *, seed: int = 0) -> npt.NDArray[np.float32]:
    """Return float32 [count, 3, side, side], normalised as for ImageNet.

    Args:
        count: how many.
        side: height and width in pixels.
        seed: decides the order of the pictures and where the crops lie.
    """
    return np.stack(list(each_crop(count, side, seed=seed)))


def each_crop(count: int, side: int, *, seed: int = 0) -> Iterator[npt.NDArray[np.float32]]:
    """Yield what `crops` returns, one [3, side, side] at a time."""
    from PIL import Image

    rng = np.random.default_rng(seed)
    table = Preprocess.named("imagenet").table
    pictures = _pictures()
    for index in range(count):
        if index % len(pictures) == 0:
            order = rng.permutation(len(pictures))
        picture = pictures[order[index % len(pictures)]]
        length = int(min(picture.size) * rng.uniform(_LEAST_SHARE, 1.0))
        left, top = (int(rng.integers(0, size - length + 1)) for size in picture.size)
        crop = picture.resize((side, side), Image.Resampling.BILINEAR, (left, top, left + length, top + length))
        pixels = np.asarray(crop)[:, :: -1 if rng.random() < 0.5 else 1]
        yield np.stack([table[channel][pixels[..., channel]] for channel in range(3)])


@lru_cache(maxsize=1)
def _pictures() -> tuple[Image.Image, ...]:
    from PIL import Image

    pictures = []
    for path in sorted(_PHOTOS.glob("*/*.jpg")):
        with Image.open(path) as opened:
            pictures.append(opened.convert("RGB"))
    return tuple(pictures)
