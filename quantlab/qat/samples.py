"""The samples of a training: a part held out, the rest in a new order every epoch.

Which samples are held out depends on the seed only, and the order of an epoch on the seed and the epoch's number, so
a training that resumes sees what it would have seen. Samples are read in the source's own order, a portion that fits
the memory cap at a time, and shuffled within the portion; a source that fits whole is read once and shuffled whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from quantlab.data.batch import Array, Batch, Batches
from quantlab.data.recut import cut
from quantlab.errors import DataError
from quantlab.progress import Advance

# More held-out samples tell one epoch from another no better, and every epoch pays for them.
LARGEST_HELD_OUT = 1024

# The two uses of the seed must not share their random numbers.
_HELD_OUT, _ORDER = 1, 2

Shapes = tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True, slots=True)
class Cut:
    """How samples are divided and handed out.

    Attributes:
        held_out: the share of the samples that is held out, at least one sample.
        batch_size: samples per batch.
        has_fixed_batch: whether a batch that is not full must be left out.
        cache_bytes: the most bytes of samples in memory, held-out ones aside.
        seed: decides what is held out and the orders.
    """

    held_out: float
    batch_size: int
    has_fixed_batch: bool = False
    cache_bytes: int = 2**30
    seed: int = 0

    @property
    def least(self) -> int:
        """The fewest samples that can be trained on, or held out."""
        return self.batch_size if self.has_fixed_batch else 1


def held_out_count(size: int, how: Cut) -> int:
    """Return how many of so many samples are held out."""
    wanted = min(how.held_out * size, LARGEST_HELD_OUT, size - how.least)
    return max(1, round(wanted / how.least)) * how.least


class TrainingSamples:
    """The samples of one training."""

    def __init__(self, batches: Batches, how: Cut) -> None:
        """Choose what is held out; a source of unknown size is iterated once to be counted.

        Raises:
            DataError: there are fewer than two samples, or than two batches of a model whose batch is fixed.
        """
        self._batches = batches.in_batches_of(how.batch_size)
        self._how = how
        size = batches.size
        self.size = sum(batch.size for batch in self._batches) if size is None else size
        least = how.least
        if self.size < 2 * least:
            raise DataError(
                f"data {batches.name!r}: {_samples(self.size)}; training needs {2 * least}, half of them to hold out"
            )
        order = np.random.default_rng((how.seed, _HELD_OUT)).permutation(self.size)
        self._is_held_out = np.zeros(self.size, np.bool_)
        self._is_held_out[order[: held_out_count(self.size, how)]] = True
        self._whole: _Portion | None = None
        self._held_out: list[Batch] | None = None

    @property
    def name(self) -> str:
        """The name of the source."""
        return self._batches.name

    @property
    def held_out_size(self) -> int:
        """How many samples are held out."""
        return int(self._is_held_out.sum())

    @property
    def trained_size(self) -> int:
        """How many samples are trained on."""
        return self.size - self.held_out_size

    @property
    def fixed_batch(self) -> int | None:
        """The batch size of a model whose batch is fixed, or None."""
        return self._how.batch_size if self._how.has_fixed_batch else None

    def held_out(self, on_progress: Advance | None = None) -> list[Batch]:
        """Return the held-out samples, in the source's order; they stay in memory, and so do the others if they fit.

        Args:
            on_progress: told of the samples that are read; they are read once.
        """
        if self._held_out is None:
            held_out, rest = _Portion(), _Portion()
            for batch in self._batches:
                if on_progress is not None:
                    on_progress(batch.size)
                flags = self._flags(batch)
                held_out.add(batch, flags)
                if rest.byte_count <= self._how.cache_bytes:
                    rest.add(batch, ~flags)
            self._whole = rest if rest.byte_count <= self._how.cache_bytes else None
            self._held_out = list(held_out.batches(np.arange(held_out.size), self._how.batch_size))
        return self._held_out

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yield the samples to train on, each once, in the order of an epoch."""
        for index, portion in enumerate(self._portions()):
            order = np.random.default_rng((self._how.seed, _ORDER, number, index)).permutation(portion.size)
            for batch in portion.batches(order, self._how.batch_size):
                if batch.size == self._how.batch_size or not self._how.has_fixed_batch:
                    yield batch

    def _portions(self) -> Iterator[_Portion]:
        self.held_out()
        if self._whole is not None:
            yield self._whole
            return
        portion = _Portion()
        for batch in self._batches:
            portion.add(batch, ~self._flags(batch))
            if portion.byte_count > self._how.cache_bytes:
                yield portion
                portion = _Portion()
        if portion.size:
            yield portion

    def _flags(self, batch: Batch) -> npt.NDArray[np.bool_]:
        first = batch.first - self._batches.start
        return self._is_held_out[first : first + batch.size]


@dataclass(slots=True)
class _Group:
    """Samples of equal shapes."""

    pieces: list[Batch] = field(default_factory=list)
    arrays: dict[str, Array] = field(default_factory=dict)
    labels: npt.NDArray[np.int64] | None = None
    truth: Array | None = None

    def join(self) -> None:
        """Turn the pieces into arrays, once."""
        if not self.pieces:
            return
        names = self.pieces[0].feeds
        self.arrays = {name: np.concatenate([piece.feeds[name] for piece in self.pieces]) for name in names}
        labels = [piece.labels for piece in self.pieces if piece.labels is not None]
        self.labels = np.concatenate(labels) if labels else None
        truths = [piece.truth for piece in self.pieces if piece.truth is not None]
        self.truth = np.concatenate(truths) if truths else None
        self.pieces.clear()

    def take(self, rows: list[int]) -> Batch:
        """Return copies of some samples."""
        feeds = {name: array[rows] for name, array in self.arrays.items()}
        labels, truth = (None if told is None else told[rows] for told in (self.labels, self.truth))
        return Batch(feeds, labels, truth=truth)


class _Portion:
    """Samples in memory that can be taken in any order; those of equal shapes share batches."""

    def __init__(self) -> None:
        self.byte_count = 0
        self._groups: dict[Shapes, _Group] = {}
        self._places: list[tuple[Shapes, int]] = []
        self._sizes: dict[Shapes, int] = {}

    @property
    def size(self) -> int:
        """How many samples there are."""
        return len(self._places)

    def add(self, batch: Batch, wanted: npt.NDArray[np.bool_]) -> None:
        """Add the wanted samples of a batch."""
        rows = np.flatnonzero(wanted)
        if rows.size == 0:
            return
        part = _rows_of(batch, rows)
        shapes: Shapes = tuple((name, array.shape[1:]) for name, array in part.feeds.items())
        if part.truth is not None:
            shapes += (("", part.truth.shape[1:]),)
            self.byte_count += part.truth.nbytes
        start = self._sizes.get(shapes, 0)
        self._sizes[shapes] = start + part.size
        self._groups.setdefault(shapes, _Group()).pieces.append(part)
        self._places += [(shapes, start + row) for row in range(part.size)]
        self.byte_count += sum(array.nbytes for array in part.feeds.values())

    def batches(self, order: npt.NDArray[np.int64], batch_size: int) -> Iterator[Batch]:
        """Yield the samples in an order, in batches; at the end come those that did not fill one."""
        for group in self._groups.values():
            group.join()
        waiting: dict[Shapes, list[int]] = {shapes: [] for shapes in self._groups}
        for number in order:
            shapes, row = self._places[number]
            waiting[shapes].append(row)
            if len(waiting[shapes]) == batch_size:
                yield self._groups[shapes].take(waiting[shapes])
                waiting[shapes] = []
        for shapes, rows in waiting.items():
            if rows:
                yield self._groups[shapes].take(rows)


def _samples(count: int) -> str:
    return "1 sample" if count == 1 else f"{count} samples"


def _rows_of(batch: Batch, rows: npt.NDArray[np.int64]) -> Batch:
    if rows.size == batch.size:
        return cut(batch, 0, batch.size)
    feeds = {name: array[rows] for name, array in batch.feeds.items()}
    labels, truth = (None if told is None else told[rows] for told in (batch.labels, batch.truth))
    return Batch(feeds, labels, batch.first, truth)
