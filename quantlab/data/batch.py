"""What flows from data to engines: feeds by input name, a batch of samples at a time.

A *source* knows where samples come from and can be iterated again and again; `Batches` is the part of a source
that one job uses (calibration or evaluation), cut into batches of one size. Samples keep their order, and sample
number i of a source is the same sample in every pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Feeds = Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class InputSpec:
    """One input of a model.

    Attributes:
        name: the ONNX name.
        dtype: the numpy type the model asks for.
        shape: one entry per axis: an int where fixed, a symbol or None where free; None if even the rank is unknown.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | str | None, ...] | None

    @property
    def fixed_batch(self) -> int | None:
        """The batch size the model is fixed to, or None where it is free."""
        first = self.shape[0] if self.shape else None
        return first if isinstance(first, int) else None

    @property
    def has_free_axis(self) -> bool:
        """Whether the model leaves the size of any axis open, or even their number."""
        return self.shape is None or not all(isinstance(size, int) for size in self.shape)

    def __str__(self) -> str:
        shape = "?" if self.shape is None else ", ".join("?" if d is None else str(d) for d in self.shape)
        return f"{self.name}: {self.dtype}[{shape}]"


@dataclass(frozen=True, eq=False, slots=True)
class Batch:
    """Some samples, ready to be fed.

    Attributes:
        feeds: by input name, arrays whose first axis counts the samples.
        labels: the classes, int64 [samples], or None where there are none.
        first: the number of the first sample within its source; errors name samples by it.
        truth: what stands in place of classes, numbers [samples, ...] such as maps or values to predict, or None;
            only a loss of a user's own knows what to do with it.
    """

    feeds: Feeds
    labels: npt.NDArray[np.int64] | None = None
    first: int = 0
    truth: Array | None = None

    @property
    def size(self) -> int:
        """How many samples the batch holds."""
        return int(next(iter(self.feeds.values())).shape[0])


class Source(Protocol):
    """Where samples come from."""

    @property
    def name(self) -> str:
        """What reports call the source, such as `digits` or a file's name."""

    @property
    def size(self) -> int | None:
        """How many samples there are, or None where only iterating tells."""

    def read(self, start: int, stop: int | None, batch_size: int) -> Iterator[Batch]:
        """Yield samples start..stop-1 in order, in batches of at most `batch_size`.

        A batch is shorter where the source ends, or where the next sample has another shape.
        """


@dataclass(frozen=True, slots=True)
class Batches:
    """The samples start..stop-1 of a source, in batches; can be iterated any number of times.

    Attributes:
        source: where the samples come from.
        batch_size: the largest number of samples in a batch, at least 1.
        start: the first sample.
        stop: one past the last sample, or None for all there are.
    """

    source: Source
    batch_size: int = 1
    start: int = 0
    stop: int | None = None

    def __iter__(self) -> Iterator[Batch]:
        return self.source.read(self.start, self.stop, self.batch_size)

    @property
    def size(self) -> int | None:
        """How many samples these are, or None where only iterating tells."""
        total = self.source.size
        if total is None:
            return None
        return max(0, (total if self.stop is None else min(self.stop, total)) - self.start)

    def head(self, samples: int) -> Batches:
        """Return the first `samples` of these."""
        stop = self.start + samples
        return replace(self, stop=stop if self.stop is None else min(stop, self.stop))

    def beyond(self, samples: int) -> Batches:
        """Return these without the first `samples`."""
        return replace(self, start=self.start + samples)

    def in_batches_of(self, batch_size: int) -> Batches:
        """Return the same samples cut into other batches."""
        return replace(self, batch_size=batch_size)

    @property
    def name(self) -> str:
        """The name of the source."""
        return self.source.name
