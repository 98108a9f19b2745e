"""Turns samples that come in any portions into batches of one size, in the same order.

Consecutive samples share a batch only if their shapes are equal, so samples that differ in height and width are fed in
batches of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from quantlab.data.batch import Batch
from quantlab.errors import DataError


def spans(start: int, stop: int, batch_size: int) -> Iterator[tuple[int, int]]:
    """Yield the (start, stop) of consecutive batches.

    Raises:
        DataError: `batch_size` is below 1.
    """
    check_batch_size(batch_size)
    for begin in range(start, stop, batch_size):
        yield begin, min(begin + batch_size, stop)


def check_batch_size(batch_size: int) -> None:
    """Raise DataError if `batch_size` is below 1."""
    if batch_size < 1:
        raise DataError(f"batch size {batch_size}: must be at least 1")


def window(portions: Iterable[Batch], start: int, stop: int | None) -> Iterator[Batch]:
    """Yield the parts of consecutive portions that hold samples start..stop-1, and read no portion beyond them."""
    if stop is not None and stop <= start:
        return
    for portion in portions:
        begin = max(start - portion.first, 0)
        end = portion.size if stop is None else min(stop - portion.first, portion.size)
        if begin < end:
            yield cut(portion, begin, end)
        if stop is not None and portion.first + portion.size >= stop:
            return


def gather(portions: Iterable[Batch], batch_size: int) -> Iterator[Batch]:
    """Yield consecutive samples in batches of `batch_size`, shorter at the end and where a shape changes.

    Raises:
        DataError: `batch_size` is below 1.
        DataError: some portions have labels and others have none.
    """
    check_batch_size(batch_size)
    pending: list[Batch] = []
    held = 0
    for portion in portions:
        if pending and not _can_join(pending[0], portion):
            yield join(pending)
            pending, held = [], 0
        at = 0
        while at < portion.size:
            end = min(at + batch_size - held, portion.size)
            pending.append(cut(portion, at, end))
            held, at = held + end - at, end
            if held == batch_size:
                yield join(pending)
                pending, held = [], 0
    if pending:
        yield join(pending)


def cut(batch: Batch, start: int, stop: int) -> Batch:
    """Return samples start..stop-1 of a batch, without copying."""
    if start == 0 and stop == batch.size:
        return batch
    feeds = {name: array[start:stop] for name, array in batch.feeds.items()}
    labels = None if batch.labels is None else batch.labels[start:stop]
    truth = None if batch.truth is None else batch.truth[start:stop]
    return Batch(feeds, labels, batch.first + start, truth)


def join(batches: list[Batch]) -> Batch:
    """Return consecutive batches of equal shapes as one."""
    head = batches[0]
    if len(batches) == 1:
        return head
    feeds = {name: np.concatenate([batch.feeds[name] for batch in batches]) for name in head.feeds}
    labels = [batch.labels for batch in batches if batch.labels is not None]
    truths = [batch.truth for batch in batches if batch.truth is not None]
    return Batch(
        feeds, np.concatenate(labels) if labels else None, head.first, np.concatenate(truths) if truths else None
    )


def _can_join(one: Batch, other: Batch) -> bool:
    theirs, ours = (batch.labels if batch.truth is None else batch.truth for batch in (other, one))
    if (ours is None) != (theirs is None):
        raise DataError(
            f"samples from {other.first} on have {'no ' if theirs is None else ''}labels, those before have "
            f"{'none' if ours is None else 'some'}; give labels for all samples or for none"
        )
    if ours is not None and theirs is not None and ours.shape[1:] != theirs.shape[1:]:
        return False
    return all(one.feeds[name].shape[1:] == array.shape[1:] for name, array in other.feeds.items())
