"""Turns what a user names, a word, a path or a Python object, into a source of samples.

A user's Python file is run only when it is named as FILE.py:FUNCTION, and random data are made only for the word
`random`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from quantlab.data.arrays import array_source, open_arrays
from quantlab.data.batch import InputSpec, Source
from quantlab.errors import DataError

FORMS = ("an .npz or .npy file",)


def open_source(spec: object, inputs: Sequence[InputSpec]) -> Source:
    """Open a source of samples for a model.

    Args:
        spec: a word, path or Python object; see `FORMS`.
        inputs: the model's inputs.

    Raises:
        DataError: there is no such data, they cannot be read, or they do not fit the model.
    """
    if not inputs:
        raise DataError("the model has no inputs, so there is nothing to feed it")
    if isinstance(spec, (str, Path)):
        return _open_named(str(spec), tuple(inputs))
    return _open_object(spec, tuple(inputs))


def _open_named(spec: str, inputs: tuple[InputSpec, ...]) -> Source:
    path = Path(spec)
    if path.suffix in (".npz", ".npy"):
        return open_arrays(path, inputs, name=spec)
    raise DataError(f"{spec!r}: no such data; give {'; '.join(FORMS)}")


def _open_object(spec: object, inputs: tuple[InputSpec, ...]) -> Source:
    if all(hasattr(spec, member) for member in ("name", "size", "read")):
        return spec  # type: ignore[return-value] # a protocol has no cheaper check than its members
    if isinstance(spec, (Mapping, tuple)) or hasattr(spec, "shape"):
        return array_source(spec, inputs)
    raise DataError(f"a {type(spec).__name__} is no source of samples; give {'; '.join(FORMS)}")
