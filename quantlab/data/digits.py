"""The bundled handwritten digits as sources: 8×8 counts become normalised 32×32 images.

    image = 2 · U (counts / 16) Uᵀ − 1

where counts are integers 0..16 and U, [32, 8], is bilinear interpolation by a factor of 4 with pixel centres aligned
and edges repeated (ONNX Resize: linear, half_pixel). Every weight of U is a multiple of 1/8, so each product and sum
is a multiple of 1/1024 that float32 holds exactly: the images are the same bits on every machine. They lie in [-1, 1].

The 1797 digits are split once and for all, stratified by class: the file stores the split, and the order of the
samples within a part, which is shuffled so that the first N are nearly stratified too.

Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998,
doi 10.24432/C50P49, licence CC BY 4.0; the test part, as scikit-learn ships it (`load_digits`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from quantlab.data.batch import Batch
from quantlab.data.recut import spans
from quantlab.errors import DataError

Part = Literal["train", "calibration", "evaluation"]
PARTS: tuple[Part, ...] = get_args(Part)

COUNTS_MAXIMUM = 16
UPSAMPLING = 4


@dataclass(frozen=True, eq=False, slots=True)
class _Archive:
    """What `digits.npz` holds.

    Attributes:
        counts: uint8 [1797, 8, 8], 0..16.
        labels: int64 [1797], 0..9.
        samples: for each part, int64 [size], which samples it holds, in reading order.
    """

    counts: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    samples: dict[Part, npt.NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class DigitsSource:
    """One part of the bundled digits.

    Attributes:
        part: which part of the fixed split.
        input_name: the model input the images are fed to.
    """

    part: Part
    input_name: str = "image"

    def __post_init__(self) -> None:
        if self.part not in PARTS:
            raise DataError(f"digits have no part {self.part!r}; choose one of {', '.join(PARTS)}")

    @property
    def name(self) -> str:
        """What reports call the source."""
        return f"digits ({self.part})"

    @property
    def size(self) -> int:
        """How many samples there are."""
        return len(sample_numbers(self.part))

    def read(self, start: int, stop: int | None, batch_size: int) -> Iterator[Batch]:
        """Yield samples start..stop-1 in order, in batches of at most `batch_size`.

        The feed is float32 [batch, 1, 32, 32] in [-1, 1]; the labels are int64 [batch], 0..9.

        Raises:
            DataError: `batch_size` is below 1, or the package data cannot be read.
        """
        archive = _archive()
        end = self.size if stop is None else min(stop, self.size)
        for first, last in spans(start, end, batch_size):
            samples = archive.samples[self.part][first:last]
            feeds = {self.input_name: images_from_counts(archive.counts[samples])}
            yield Batch(feeds, archive.labels[samples], first)


def digits_sources(input_name: str = "image") -> tuple[DigitsSource, DigitsSource]:
    """Return the calibration source and the evaluation source; they share no sample."""
    return DigitsSource("calibration", input_name), DigitsSource("evaluation", input_name)


def sample_numbers(part: Part) -> npt.NDArray[np.int64]:
    """Return which samples of scikit-learn's `load_digits` a part holds, int64 [size], in reading order."""
    return _archive().samples[part]


def digit_counts(part: Part) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return a part as it was written down: uint8 [samples, 8, 8], 0..16, and labels, int64 [samples]."""
    archive, samples = _archive(), sample_numbers(part)
    return archive.counts[samples], archive.labels[samples]


def images_from_counts(counts: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return normalised images, float32 [samples, 1, 32, 32] in [-1, 1].

    Args:
        counts: uint8 [samples, 8, 8], 0..16.
    """
    upsample = _bilinear(counts.shape[-1], UPSAMPLING)
    scaled = counts.astype(np.float32) / np.float32(COUNTS_MAXIMUM)
    return (2 * (upsample @ scaled @ upsample.T) - 1)[:, np.newaxis]


def _bilinear(length: int, factor: int) -> npt.NDArray[np.float32]:
    """Return the matrix [length · factor, length] of linear interpolation with half-pixel centres."""
    centres = np.clip((np.arange(length * factor) + 0.5) / factor - 0.5, 0, length - 1)
    distance = np.abs(centres[:, np.newaxis] - np.arange(length))
    weights: npt.NDArray[np.float32] = np.maximum(0, 1 - distance).astype(np.float32)
    return weights


@cache
def _archive() -> _Archive:
    """Read the package data, once per process."""
    file = resources.files("quantlab.zoo") / "digits.npz"
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            arrays = {key: stored[key] for key in ("counts", "labels", *PARTS)}
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"{file}: the bundled digits cannot be read ({error}); reinstall quantlab") from error
    for array in arrays.values():
        array.setflags(write=False)
    samples = {part: _frozen(arrays[part].astype(np.int64)) for part in PARTS}
    return _Archive(arrays["counts"], _frozen(arrays["labels"].astype(np.int64)), samples)


def _frozen(array: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the array, read-only: every source shares it."""
    array.setflags(write=False)
    return array
