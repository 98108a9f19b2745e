"""Turns arrays (in memory, `.npy`, `.npz`) into a source of samples.

A `.npy` file is memory-mapped: only the batch at hand is read. The arrays of an `.npz` are read once, when the source
is opened, since every access to a zipped array decompresses it anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from quantlab.data.batch import Array, Batch, InputSpec
from quantlab.data.conform import Labels, check_kind, check_shape, conform, labels_from, truth_from
from quantlab.data.naming import NamedArrays, name_arrays, name_keys
from quantlab.data.recut import spans
from quantlab.errors import DataError
from quantlab.files import DAMAGED_ARRAYS

_UNREADABLE: tuple[type[Exception], ...] = (OSError, *DAMAGED_ARRAYS)


@dataclass(frozen=True, eq=False, slots=True)
class ArraySource:
    """Samples along the first axis of arrays; make one with `array_source` or `open_arrays`, which check them.

    Attributes:
        name: what reports call it.
        inputs: the model's inputs.
        arrays: one array per input, [samples, ...], of any numeric dtype.
        labels: int64 [samples], or None.
        notes: sentences for the report.
        truth: what stands in place of labels, numbers [samples, ...], or None; see `Batch`.
    """

    name: str
    inputs: tuple[InputSpec, ...]
    arrays: Mapping[str, Array]
    labels: npt.NDArray[np.int64] | None = None
    notes: tuple[str, ...] = ()
    truth: Array | None = None

    @property
    def size(self) -> int:
        """How many samples there are."""
        return int(self.arrays[self.inputs[0].name].shape[0])

    def read(self, start: int, stop: int | None, batch_size: int) -> Iterator[Batch]:
        """Yield samples start..stop-1 in order; values are cast and checked batch by batch."""
        end = self.size if stop is None else min(stop, self.size)
        for first, last in spans(start, end, batch_size):
            feeds = {
                spec.name: conform(
                    self.arrays[spec.name][first:last], spec, where=_where(self.name, spec.name), first=first
                )
                for spec in self.inputs
            }
            labels, truth = (None if all_ is None else all_[first:last] for all_ in (self.labels, self.truth))
            yield Batch(feeds, labels, first, truth)

    def __str__(self) -> str:
        return f"{self.name}: {self.size} samples{'' if self.labels is None else ' with labels'}"


def array_source(
    item: object, inputs: Sequence[InputSpec], *, name: str = "arrays", labels: Labels = "classes"
) -> ArraySource:
    """Return a source over arrays in memory.

    Args:
        item: one array, a dictionary by input name, or a tuple of the inputs and perhaps the labels.
        inputs: the model's inputs.
        name: what reports and messages call it.
        labels: what labels may be.

    Raises:
        DataError: names, shapes or lengths do not fit the model, or there is no sample.
    """
    return _checked(name_arrays(item, inputs, where=name), inputs, name, labels)


def open_arrays(
    path: Path, inputs: Sequence[InputSpec], *, name: str | None = None, labels: Labels = "classes"
) -> ArraySource:
    """Return a source over a `.npz` or `.npy` file. Python objects inside are refused.

    In an `.npz` the keys are input names (a single other array is the only input); `y`, `label` and `labels` are the
    labels. A `.npy` is the only input, without labels.

    Raises:
        DataError: the file cannot be read, or does not fit the model; the message names file and key.
    """
    name = name or str(path)
    try:
        named = _load(path, inputs, name)
    except _UNREADABLE as error:
        raise DataError(f"{name}: cannot be read: {_reason(error)}") from error
    return _checked(named, inputs, name, labels)


def _load(path: Path, inputs: Sequence[InputSpec], name: str) -> NamedArrays:
    with path.open("rb") as file:
        if file.read(2) == b"PK":  # numpy leaves a damaged .npz open, so the file is opened here
            file.seek(0)
            with np.load(file, allow_pickle=False) as loaded:
                return _from_npz(loaded, inputs, name)
    return name_arrays(np.load(path, mmap_mode="r", allow_pickle=False), inputs, where=name)


def _from_npz(loaded: np.lib.npyio.NpzFile, inputs: Sequence[InputSpec], name: str) -> NamedArrays:
    naming = name_keys(loaded.files, inputs, where=name)
    feeds = {input_name: _member(loaded, key) for input_name, key in naming.keys.items()}
    labels = None if naming.label_key is None else _member(loaded, naming.label_key)
    return NamedArrays(feeds, labels, naming.notes)


def _member(loaded: np.lib.npyio.NpzFile, key: str) -> Array:
    value = loaded[key]
    if not isinstance(value, np.ndarray):  # numpy hands out the bytes of members that are no arrays
        raise ValueError(f"its member {key!r} is no array")
    return value


def _checked(named: NamedArrays, inputs: Sequence[InputSpec], name: str, kind: Labels) -> ArraySource:
    for spec in inputs:
        array = named.feeds[spec.name]
        check_shape(array.shape, spec, where=_where(name, spec.name))
        check_kind(array.dtype, spec, where=_where(name, spec.name))
    labels = truth = None
    if named.labels is not None:
        where = f"{name}, labels"
        truth = truth_from(named.labels, where=where) if kind == "any" else None
        labels = labels_from(named.labels, where=where) if truth is None else None
    sizes = {spec.name: int(named.feeds[spec.name].shape[0]) for spec in inputs}
    told = labels if truth is None else truth
    if told is not None:
        sizes["labels"] = len(told)
    if len(set(sizes.values())) != 1:
        listing = ", ".join(f"{key} {size}" for key, size in sizes.items())
        raise DataError(f"{name}: the arrays hold different numbers of samples: {listing}")
    if not next(iter(sizes.values())):
        raise DataError(f"{name}: holds no samples")
    return ArraySource(name, tuple(inputs), named.feeds, labels, named.notes, truth)


def _where(name: str, input_name: str) -> str:
    return f"{name}, input {input_name!r}"


def _reason(error: BaseException) -> str:
    text = str(error)
    if "pickle" in text or "Python objects" in text:
        return (
            "it is no numpy file, or holds Python objects (pickle), which are never loaded; save plain numeric arrays"
        )
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"{text or type(error).__name__}; it is damaged or cut short, copy or save it again"
