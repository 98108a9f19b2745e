"""Batches of a training → the parts of several processes.

All processes together train on the same batches that one alone would train on: a batch of B samples is cut into parts
of B_r samples, and

    gradient = mean over the R processes of  R · B_r / B · gradient of the part's mean loss

is that of the whole batch. A process without a sample of its own goes along with one that weighs nothing. A model with
a fixed batch takes whole batches, as many as there are processes in a step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, pairwise

from quantlab.data.batch import Batch
from quantlab.data.recut import cut
from quantlab.ranks import Ranks


@dataclass(frozen=True, eq=False, slots=True)
class Part:
    """What one process does of one step.

    Attributes:
        batch: the samples, at least one.
        size: how many of them count: all or none.
        step_size: how many samples count in all processes together.
        weight: what the loss is multiplied with, so that the mean over processes is the loss of the step.
    """

    batch: Batch
    size: int
    step_size: int
    weight: float


def parts(batches: Iterable[Batch], ranks: Ranks, *, are_whole: bool = False) -> Iterator[Part]:
    """Yield this process's part of every step; every process gets as many.

    Args:
        batches: of all processes together, the same in each.
        ranks: the processes.
        are_whole: whether the model's batch is fixed, so that batches cannot be cut.
    """
    remaining = iter(batches)
    while step := list(islice(remaining, ranks.size if are_whole else 1)):
        pieces = step if are_whole else _pieces(step[0], ranks.size)
        step_size = sum(batch.size for batch in step)
        has_own = ranks.number < len(pieces)
        batch = pieces[ranks.number] if has_own else pieces[0]
        size = batch.size if has_own else 0
        yield Part(batch, size, step_size, ranks.size * size / step_size)


def _pieces(batch: Batch, count: int) -> list[Batch]:
    """Return a batch cut into so many pieces, as even as possible, or into single samples."""
    count = min(count, batch.size)
    ends = [batch.size * number // count for number in range(count + 1)]
    return [cut(batch, start, stop) for start, stop in pairwise(ends)]
