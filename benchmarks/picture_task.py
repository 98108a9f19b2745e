"""A classification task out of photographs: which photograph does a crop come from?

The photographs are those inside scikit-image and scikit-learn, as far as these are installed, or the files in
`benchmarks/runs/pictures`; where there are fewer than ten of them, the bundled ones of `calib_data/photos` besides,
a class each. Crops to train on lie in the upper two thirds of a photograph, crops to judge on in the lower third, which
no training has seen; both are turned, stretched, dimmed and noisy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from benchmarks.architectures import CACHE
from quantlab.data.preprocess import Preprocess

if TYPE_CHECKING:
    from PIL import Image

_PHOTOS = Path(__file__).resolve().parents[1] / "calib_data" / "photos"
_FOLDERS = {"skimage": "data", "sklearn": "datasets/images"}
_SUFFIXES = (".png", ".jpg", ".jpeg")
# Not photographs of their own: drawings, second views of the same thing, masks.
_LEFT_OUT = ("chessboard", "clock_motion", "horse", "logo", "motorcycle_right", "phantom", "multipage")
_SMALLEST_SIDE = 128
_FEWEST = 10
_TRAINED_SHARE = 2 / 3
_TURN_DEGREES = 25


@dataclass(frozen=True, eq=False, slots=True)
class Samples:
    """Crops with the number of their photograph.

    Attributes:
        pixels: float32 [samples, 3, side, side], normalised as for ImageNet.
        labels: int64 [samples].
    """

    pixels: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]


class PictureTask:
    """The photographs, and as many samples of them as are wanted."""

    def __init__(self, side: int) -> None:
        """Read the photographs; `side` is the height and width of a sample in pixels."""
        self.side = side
        self.classes = tuple(_classes())
        self._pictures = [[_opened(file) for file in files] for _, files in self.classes]

    def samples(self, count: int, *, is_training: bool, seed: int) -> Samples:
        """Return samples in random order, classes as even as possible.

        Args:
            count: how many.
            is_training: whether they come from the parts to train on.
            seed: decides everything.
        """
        rng = np.random.default_rng((seed, int(is_training)))
        labels = rng.permutation(np.arange(count) % len(self.classes))
        pixels = np.empty((count, 3, self.side, self.side), np.float32)
        table = Preprocess.named("imagenet").table
        for index, label in enumerate(labels):
            picture = self._pictures[label][rng.integers(len(self._pictures[label]))]
            crop = _crop(picture, self.side, rng, is_training=is_training)
            for channel in range(3):
                pixels[index, channel] = table[channel][crop[..., channel]]
        return Samples(pixels, labels.astype(np.int64))


def _crop(picture: Image.Image, side: int, rng: np.random.Generator, *, is_training: bool) -> npt.NDArray[np.uint8]:
    from PIL import Image

    width, height = picture.size
    line = int(height * _TRAINED_SHARE)
    top, bottom = (0, line) if is_training else (line, height)
    length = int(min(width, bottom - top) * rng.uniform(0.5, 1.0))
    left = int(rng.integers(0, width - length + 1))
    first = int(rng.integers(top, bottom - length + 1))
    crop = picture.resize((side, side), Image.Resampling.BILINEAR, (left, first, left + length, first + length))
    turned = crop.rotate(rng.uniform(-_TURN_DEGREES, _TURN_DEGREES), Image.Resampling.BILINEAR)
    if rng.random() < 0.5:
        turned = turned.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    values = np.asarray(turned, np.float32) * rng.uniform(0.4, 1.3) + rng.uniform(-30, 30)
    values += rng.standard_normal(values.shape, np.float32) * rng.uniform(0, 30)
    return np.clip(values, 0, 255).astype(np.uint8)


def _classes() -> Iterator[tuple[str, list[Path]]]:
    """Yield each class's name and pictures."""
    found = dict(_carried() or _installed())
    yield from ((name, [file]) for name, file in sorted(found.items()))
    if len(found) < _FEWEST:
        for folder in sorted(_PHOTOS.iterdir()):
            if folder.is_dir() and folder.name not in found:
                yield folder.name, sorted(folder.glob("*.jpg"))


def _carried() -> dict[str, Path]:
    return _photographs(CACHE / "pictures")


def _installed() -> dict[str, Path]:
    found = {}
    for package, folder in _FOLDERS.items():
        spec = find_spec(package)
        if spec is not None and spec.origin is not None:
            found |= _photographs(Path(spec.origin).parent / folder)
    return found


def _photographs(folder: Path) -> dict[str, Path]:
    from PIL import Image

    found = {}
    for file in sorted(folder.glob("*")) if folder.is_dir() else []:
        if file.suffix not in _SUFFIXES or file.name.startswith(_LEFT_OUT):
            continue
        with Image.open(file) as picture:
            if min(picture.size) >= _SMALLEST_SIDE:
                found[file.stem] = file
    return found


def _opened(file: Path) -> Image.Image:
    from PIL import Image

    with Image.open(file) as picture:
        return picture.convert("RGB")
