"""Two models' answers to the same samples → which samples got another answer, and what these look like.

    lost     only the first model was right         changed   another answer, and both or neither were right,
    gained   only the second was right                        or there are no labels

All are counted; of each kind the first `MOST_KEPT` are kept with a small picture, where an input is an image.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from quantlab.data.batch import Array, Batch, Feeds

Kind = Literal["lost", "gained", "changed"]
Answers = npt.NDArray[np.integer[Any]]
Picture = npt.NDArray[np.float32]

MOST_KEPT = 12
PICTURE_SIDE = 64
_SMALLEST_SIDE = 4


@dataclass(frozen=True, eq=False, slots=True)
class Flip:
    """A sample with two answers.

    Attributes:
        sample: its number within its source.
        label: the right answer, or None where it is not known.
        reference: what the first model answered.
        answer: what the second did.
        picture: float32 [height, width, 1 or 3], the first input that is an image, averaged down to at most
            `PICTURE_SIDE`; in the units of the input; None where no input is one.
    """

    sample: int
    label: int | None
    reference: int
    answer: int
    picture: Picture | None

    @property
    def kind(self) -> Kind:
        """Whether the flip cost a right answer, brought one, or neither."""
        if self.label == self.reference:
            return "lost"
        return "gained" if self.label == self.answer else "changed"


@dataclass(frozen=True, eq=False, slots=True)
class Flips:
    """How two models' answers differ.

    Attributes:
        total: samples compared.
        pairs: how often the answer became another, by (first model's, second model's).
        kept: some of the samples, in order.
    """

    total: int
    pairs: Mapping[tuple[int, int], int]
    kept: tuple[Flip, ...]


@dataclass(slots=True)
class FlipCount:
    """Counts flips batch by batch."""

    total: int = 0
    pairs: Counter[tuple[int, int]] = field(default_factory=Counter)
    kept: list[Flip] = field(default_factory=list)

    def add(self, batch: Batch, reference: Answers, answers: Answers) -> None:
        """Count one batch; answers that are not one per sample are left out.

        Args:
            batch: the samples.
            reference: integers [samples].
            answers: the same shape.
        """
        if reference.ndim != 1 or reference.shape != answers.shape:
            return
        self.total += int(reference.size)
        for index in np.flatnonzero(reference != answers).tolist():
            before, after = int(reference[index]), int(answers[index])
            self.pairs[before, after] += 1
            label = None if batch.labels is None else int(batch.labels[index])
            flip = Flip(batch.first + index, label, before, after, None)
            if sum(other.kind == flip.kind for other in self.kept) < MOST_KEPT:
                self.kept.append(Flip(flip.sample, label, before, after, picture_of(batch.feeds, index)))

    def result(self) -> Flips | None:
        """Return what was counted, or None where samples have no one answer."""
        return Flips(self.total, dict(self.pairs.most_common()), tuple(self.kept)) if self.total else None


def picture_of(feeds: Feeds, index: int) -> Picture | None:
    """Return one sample of the first input that is an image, small; None where none is."""
    for array in feeds.values():
        image = _image(array[index]) if array.ndim == 4 else None
        if image is not None:
            return _averaged(image.astype(np.float32))
    return None


def _image(sample: Array) -> Array | None:
    """Return [height, width, channels], channels 1 or 3, or None."""
    if not (np.issubdtype(sample.dtype, np.floating) or sample.dtype == np.uint8):
        return None
    for axis in (0, 2):
        rest = [length for other, length in enumerate(sample.shape) if other != axis]
        if sample.shape[axis] in (1, 3) and min(rest) >= _SMALLEST_SIDE:
            return np.moveaxis(sample, axis, 2)
    return None


def _averaged(image: Picture) -> Picture:
    """Return an image averaged over squares, so that its longer side is at most `PICTURE_SIDE`."""
    step = -(-max(image.shape[:2]) // PICTURE_SIDE)
    rows, columns = (max(1, length // step) for length in image.shape[:2])
    step_rows, step_columns = min(step, image.shape[0]), min(step, image.shape[1])
    cut = image[: rows * step_rows, : columns * step_columns]
    small: Picture = cut.reshape(rows, step_rows, columns, step_columns, -1).mean(axis=(1, 3), dtype=np.float32)
    return small
