"""Turns anything that can be iterated again and again (a torch DataLoader, a Dataset, a list of batches) into a source.

Each item is a batch, or a single sample where its rank is one below the model's: an array or tensor, a tuple with the
labels last, or a dictionary by input name. The user's batches are cut anew into ours, in the same order.

Statistics, FP32 and INT8 must all see the same samples, so the items are asked for several times: an iterator that is
used up after one pass, and a loader that shuffles, are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from quantlab.data.batch import Array, Batch, InputSpec
from quantlab.data.conform import Labels, conform, fits, labels_from, truth_from
from quantlab.data.naming import NamedArrays, name_arrays
from quantlab.data.recut import check_batch_size, cut, gather, window
from quantlab.errors import DataError, QuantlabError

_AGAIN = "give a list, a DataLoader, or a function that starts anew at each call"


@dataclass(frozen=True, eq=False, slots=True)
class Calls:
    """Iterating calls a function that returns an iterable, so a generator function can be read again and again."""

    function: Callable[[], Iterable[Any]]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.function())


@dataclass(frozen=True, eq=False, slots=True)
class _Items:
    """Iterates an object that has a length and numbered items but no `__iter__`, such as a torch Dataset."""

    holder: Any

    def __iter__(self) -> Iterator[Any]:
        return (self.holder[number] for number in range(len(self.holder)))


@dataclass(frozen=True, eq=False, slots=True)
class IterableSource:
    """Samples from the items of a re-iterable; make one with `iterable_source`, which checks it.

    Attributes:
        name: what reports call it.
        items: what is iterated, once per pass.
        inputs: the model's inputs.
        size: how many samples there are, or None where only iterating tells.
        notes: sentences for the report.
        kind: what labels may be.
    """

    name: str
    items: Iterable[Any]
    inputs: tuple[InputSpec, ...]
    size: int | None = None
    notes: tuple[str, ...] = ()
    kind: Labels = "classes"

    def read(self, start: int, stop: int | None, batch_size: int) -> Iterator[Batch]:
        """Yield samples start..stop-1 in order; what lies before `start` is iterated too, but not converted."""
        check_batch_size(batch_size)
        portions = window(self._portions(), start, stop)
        return gather((self._conformed(portion) for portion in portions), batch_size)

    def check(self, item: object) -> None:
        """Raise DataError if an item's first sample does not fit the model."""
        self._conformed(cut(_portion(item, self.inputs, where=f"{self.name}, item 0", first=0), 0, 1))

    def _portions(self) -> Iterator[Batch]:
        first = 0
        for number, item in _numbered(self.items, self.name):
            portion = _portion(item, self.inputs, where=f"{self.name}, item {number}", first=first)
            first += portion.size
            yield portion

    def _conformed(self, portion: Batch) -> Batch:
        feeds = {
            spec.name: conform(
                portion.feeds[spec.name], spec, where=f"{self.name}, input {spec.name!r}", first=portion.first
            )
            for spec in self.inputs
        }
        labels, truth, where = portion.labels, None, f"{self.name}, labels"
        if labels is not None:
            truth = truth_from(labels, where=where) if self.kind == "any" else None
            labels = labels_from(labels, where=where, first=portion.first) if truth is None else None
        return Batch(feeds, labels, portion.first, truth)

    def __str__(self) -> str:
        return f"{self.name}: {'an unknown number of' if self.size is None else self.size} samples"


def iterable_source(
    items: object, inputs: Sequence[InputSpec], *, name: str = "batches", labels: Labels = "classes"
) -> IterableSource:
    """Return a source over the items of a re-iterable.

    Args:
        items: a list, torch DataLoader or Dataset, or any object whose `__iter__` starts anew.
        inputs: the model's inputs.
        name: what reports and messages call it.
        labels: what labels may be.

    Raises:
        DataError: it cannot be iterated, is empty, can be iterated only once or comes in another order each time, or
            the first item does not fit the model.
    """
    iterable = _iterable(items, name)
    head = _first(iterable, name)
    if head is None:
        raise DataError(f"{name}: the {type(items).__name__} holds no samples")
    again = _first(iterable, name)
    if again is None:
        raise DataError(f"{name}: the {type(items).__name__} is empty when it is iterated a second time; {_AGAIN}")
    where = f"{name}, item 0"
    named, named_again = (name_arrays(_parts(item), inputs, where=where) for item in (head, again))
    if not _is_same(named, named_again):
        raise DataError(
            f"{name}: begins with other samples each time it is iterated; FP32 and INT8 are compared on the same "
            "samples, so turn shuffling and random augmentation off (for a DataLoader, shuffle=False)"
        )
    source = IterableSource(name, iterable, tuple(inputs), _size(items, named, inputs), named.notes, labels)
    source.check(head)  # what does not fit the model shows now, not after minutes
    if source.size == 0:
        raise DataError(f"{name}: the {type(items).__name__} holds only empty batches")
    return source


def _iterable(items: object, name: str) -> Iterable[Any]:
    if isinstance(items, Iterator):
        raise DataError(
            f"{name}: a {type(items).__name__} can be read only once, and the data are read often; {_AGAIN}"
        )
    if isinstance(items, Iterable):
        return items
    if hasattr(items, "__getitem__") and isinstance(items, Sized):
        return _Items(items)
    raise DataError(f"{name}: an object of type {type(items).__name__} cannot be iterated; {_AGAIN}")


def _numbered(items: Iterable[Any], name: str) -> Iterator[tuple[int, Any]]:
    """Yield (number, item); what the user's code raises becomes a DataError."""
    try:
        iterator = iter(items)
    except QuantlabError:
        raise
    except Exception as error:
        raise DataError(f"{name}: iterating raised {type(error).__name__}: {error}") from error
    for number in count():
        try:
            item = next(iterator)
        except StopIteration:
            return
        except QuantlabError:
            raise
        except Exception as error:
            raise DataError(f"{name}, item {number}: reading it raised {type(error).__name__}: {error}") from error
        yield number, item


def _first(items: Iterable[Any], name: str) -> object | None:
    return next((item for _, item in _numbered(items, name)), None)


def _parts(item: object) -> object:
    if isinstance(item, Batch):
        told = item.labels if item.truth is None else item.truth
        return item.feeds if told is None else (item.feeds, told)
    return item


def _portion(item: object, inputs: Sequence[InputSpec], *, where: str, first: int) -> Batch:
    """Return an item as a batch that is not yet cast; a single sample gets its batch axis."""
    named = name_arrays(_parts(item), inputs, where=where)
    feeds, labels = dict(named.feeds), named.labels
    if _is_single(named, inputs):
        feeds = {name: array[np.newaxis] for name, array in feeds.items()}
        labels = None if labels is None else labels.reshape(1, *labels.shape)
    sizes = {name: array.shape[0] if array.ndim else None for name, array in feeds.items()}
    if labels is not None:
        sizes["labels"] = labels.shape[0] if labels.ndim else None
    if len(set(sizes.values())) != 1 or None in sizes.values():
        listing = ", ".join(f"{name} {'none' if size is None else size}" for name, size in sizes.items())
        raise DataError(f"{where}: its parts hold different numbers of samples: {listing}")
    return Batch(feeds, labels, first)


def _is_single(named: NamedArrays, inputs: Sequence[InputSpec]) -> bool:
    return all(spec.shape is not None and fits(named.feeds[spec.name].shape, spec.shape[1:]) for spec in inputs)


def _size(items: object, head: NamedArrays, inputs: Sequence[InputSpec]) -> int | None:
    """Return the number of samples where it is known without iterating."""
    if _is_single(head, inputs) and isinstance(items, Sized) and hasattr(items, "__getitem__"):
        return len(items)
    if isinstance(items, (list, tuple)):
        return sum(_portion(item, inputs, where=f"item {number}", first=0).size for number, item in enumerate(items))
    return None


def _is_same(one: NamedArrays, other: NamedArrays) -> bool:
    def equal(a: Array | None, b: Array | None) -> bool:
        return a is b or (a is not None and b is not None and bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f")))

    return equal(one.labels, other.labels) and all(equal(one.feeds[name], other.feeds[name]) for name in one.feeds)
