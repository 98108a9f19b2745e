"""Turns what a user names, a word, a path or a Python object, into a source of samples.

A user's Python file is run only when it is named as FILE.py:FUNCTION, and random data are made only for the word
`random`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from quantlab.data.arrays import array_source, open_arrays
from quantlab.data.batch import InputSpec, Source
from quantlab.data.image_folder import open_image_folder
from quantlab.data.iterable import Calls, iterable_source
from quantlab.data.preprocess import Preprocess
from quantlab.data.python_file import is_python_function, load_function
from quantlab.errors import DataError

FORMS = (
    "a folder of images, one folder per class",
    "an .npz or .npy file",
    "FILE.py:FUNCTION",
    "in Python: arrays, (inputs, labels), a dictionary of arrays, or any re-iterable of batches such as a DataLoader",
)


def open_source(
    spec: object, inputs: Sequence[InputSpec], *, preprocess: Preprocess | None = None, seed: int = 0
) -> Source:
    """Open a source of samples for a model.

    Args:
        spec: a word, path or Python object; see `FORMS`.
        inputs: the model's inputs.
        preprocess: what is done to images; arrays are fed as they are.
        seed: decides the pick among images, and random data.

    Raises:
        DataError: there is no such data, they cannot be read, or they do not fit the model.
    """
    if not inputs:
        raise DataError("the model has no inputs, so there is nothing to feed it")
    if isinstance(spec, (str, Path)):
        return _open_named(str(spec), tuple(inputs), preprocess, seed)
    return _open_object(spec, tuple(inputs), name="arrays")


def _open_named(spec: str, inputs: tuple[InputSpec, ...], preprocess: Preprocess | None, seed: int) -> Source:
    path = Path(spec)
    if is_python_function(spec):
        return _open_object(load_function(spec), inputs, name=spec)
    if spec and path.is_dir():
        return open_image_folder(path, inputs, preprocess=preprocess, seed=seed, name=spec)
    if path.suffix in (".npz", ".npy"):
        return open_arrays(path, inputs, name=spec)
    raise DataError(f"{spec!r}: no such data; give {'; '.join(FORMS)}")


def _open_object(item: object, inputs: tuple[InputSpec, ...], *, name: str) -> Source:
    if all(hasattr(item, member) for member in ("name", "size", "read")):
        return item  # type: ignore[return-value] # a protocol has no cheaper check than its members
    if isinstance(item, (Mapping, tuple)) or hasattr(item, "__array__"):
        return array_source(item, inputs, name=name)
    if isinstance(item, type) or not callable(item):
        return iterable_source(item, inputs, name=name)
    made = item()
    if isinstance(made, Iterator):  # a generator function: it is called anew for each pass
        return iterable_source(Calls(item), inputs, name=name)
    return _open_object(made, inputs, name=name)
