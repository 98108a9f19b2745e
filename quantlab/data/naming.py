"""Turns what people hand over (an array, a tuple, a dictionary) into arrays by the model's input names, and labels.

Dictionaries and `.npz` files go by name, tuples by position. The keys `y`, `label` and `labels` are the labels unless
the model has an input of that name. Where the model has one input and one array is left, that array is the input.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from quantlab.data.batch import Array, InputSpec
from quantlab.errors import DataError

LABEL_KEYS = ("y", "label", "labels")


@dataclass(frozen=True, slots=True)
class Naming:
    """Which key is what.

    Attributes:
        keys: the key of each input, by input name.
        label_key: the key of the labels, or None.
        left_out: keys that are neither.
    """

    keys: Mapping[str, str]
    label_key: str | None
    left_out: tuple[str, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about the keys left out, and about a key that feeds an input of another name."""
        renamed = [f"The array {key!r} feeds the input {name!r}." for name, key in self.keys.items() if key != name]
        left = f"Not an input of the model, hence left out: {', '.join(self.left_out)}."
        return (*renamed, *([left] if self.left_out else []))


@dataclass(frozen=True, eq=False, slots=True)
class NamedArrays:
    """Arrays by input name, as they were given: nothing is checked or cast yet."""

    feeds: Mapping[str, Array]
    labels: Array | None
    notes: tuple[str, ...] = ()


def name_keys(keys: Collection[str], inputs: Sequence[InputSpec], *, where: str) -> Naming:
    """Decide which key feeds which input.

    Raises:
        DataError: an input has no key, or two keys could be the labels; the message lists keys and inputs.
    """
    names = [spec.name for spec in inputs]
    label_keys = [key for key in keys if key in LABEL_KEYS and key not in names]
    others = [key for key in keys if key not in label_keys]
    if len(label_keys) > 1:
        raise DataError(f"{where}: {' and '.join(label_keys)} could both be the labels; keep one of them")
    label_key = label_keys[0] if label_keys else None
    if all(name in others for name in names):
        return Naming({name: name for name in names}, label_key, tuple(key for key in others if key not in names))
    if len(names) == 1 and len(others) == 1:
        return Naming({names[0]: others[0]}, label_key, ())
    missing = ", ".join(name for name in names if name not in others)
    listing = ", ".join(str(spec) for spec in inputs)
    raise DataError(
        f"{where}: no array for input {missing}; its keys are {', '.join(keys) or '(none)'}, the model's inputs are "
        f"{listing}; name the arrays after the inputs, and the labels `labels`"
    )


def name_arrays(item: object, inputs: Sequence[InputSpec], *, where: str) -> NamedArrays:
    """Take an array, tuple, list or dictionary apart into inputs and labels.

    A tuple holds the inputs in the model's order, then perhaps the labels; or (inputs, labels), where inputs is itself
    a tuple or dictionary.

    Raises:
        DataError: the parts do not match the model's inputs, or are no arrays.
    """
    if isinstance(item, Mapping):
        return _from_mapping(item, inputs, where)
    parts = list(item) if isinstance(item, (tuple, list)) else [item]
    if len(parts) == 2 and isinstance(parts[0], (Mapping, tuple, list)):
        inner = name_arrays(parts[0], inputs, where=where)
        if inner.labels is not None:
            raise DataError(f"{where}: has labels twice, within the inputs and after them; keep one")
        return NamedArrays(inner.feeds, as_array(parts[1], where=f"{where}, labels"), inner.notes)
    if len(parts) not in (len(inputs), len(inputs) + 1):
        raise DataError(
            f"{where}: is a tuple of {len(parts)}; the model needs its {len(inputs)} inputs "
            f"({', '.join(str(spec) for spec in inputs)}), then perhaps the labels; or use a dictionary by input name"
        )
    feeds = {
        spec.name: as_array(part, where=f"{where}, input {spec.name!r}")
        for spec, part in zip(inputs, parts, strict=False)
    }
    labels = as_array(parts[-1], where=f"{where}, labels") if len(parts) > len(inputs) else None
    return NamedArrays(feeds, labels)


def as_array(value: Any, *, where: str) -> Array:  # noqa: ANN401 - whatever has .numpy() or __array__, torch's tensors included
    """Return a value as a numpy array, without importing the library that it comes from.

    Raises:
        DataError: it is neither an array nor a number.
    """
    if isinstance(value, np.ndarray):
        return value
    try:
        if hasattr(value, "detach"):  # a torch tensor that has a gradient or lives on a GPU refuses numpy()
            value = value.detach().cpu()
        if hasattr(value, "numpy"):
            return np.asarray(value.numpy())
        if hasattr(value, "__array__") or isinstance(value, (bool, int, float)):
            return np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{where}: this {type(value).__name__} does not become a numpy array: {error}") from error
    raise DataError(f"{where}: is a {type(value).__name__}; give an array or a tensor")


def _from_mapping(item: Mapping[Any, Any], inputs: Sequence[InputSpec], where: str) -> NamedArrays:
    named = {str(key): value for key, value in item.items()}
    naming = name_keys(named, inputs, where=where)
    feeds = {name: as_array(named[key], where=f"{where}, key {key!r}") for name, key in naming.keys.items()}
    labels = None
    if naming.label_key is not None:
        labels = as_array(named[naming.label_key], where=f"{where}, key {naming.label_key!r}")
    return NamedArrays(feeds, labels, naming.notes)
