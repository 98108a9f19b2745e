"""Turns what a user names, a word, a path or a Python object, into a source of samples.

A user's Python file is run only when it is named as FILE.py:FUNCTION, and random data are made only for the word
`random`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from quantlab.data.arrays import array_source, open_arrays
from quantlab.data.batch import Batches, InputSpec, Source
from quantlab.data.conform import Labels, check_shape
from quantlab.data.datasets import dataset_names, find_dataset, open_dataset
from quantlab.data.digits import PARTS, DigitsSource, Part
from quantlab.data.image_folder import open_image_folder
from quantlab.data.iterable import Calls, iterable_source
from quantlab.data.preprocess import Preprocess
from quantlab.data.python_file import is_python_function, load_function
from quantlab.data.random_source import RandomSource
from quantlab.errors import DataError

# So many samples tell the sizes of free axes.
_SAMPLES_TO_LOOK_AT = 64

FORMS = (
    "`digits`",
    "`random` (only to try whether a model runs)",
    "a name in calib_data/datasets.toml",
    "a folder of images, one folder per class",
    "an .npz or .npy file",
    "FILE.py:FUNCTION",
    "in Python: arrays, (inputs, labels), a dictionary of arrays, or any re-iterable of batches such as a DataLoader",
)


@dataclass(frozen=True, slots=True)
class _How:
    """How samples are read.

    Attributes:
        preprocess: what is done to images; arrays are fed as they are.
        seed: decides the pick among images, and random data.
        labels: what labels of arrays and of Python objects may be.
    """

    preprocess: Preprocess | None
    seed: int
    labels: Labels


def open_source(
    spec: object,
    inputs: Sequence[InputSpec],
    *,
    preprocess: Preprocess | None = None,
    seed: int = 0,
    labels: Labels = "classes",
) -> Source:
    """Open a source of samples for a model.

    A word comes before a folder of the same name; write `./NAME` for the folder.

    Args:
        spec: a word, path or Python object; see `FORMS`.
        inputs: the model's inputs.
        preprocess: what is done to images; arrays are fed as they are.
        seed: decides the pick among images, and random data.
        labels: what labels of arrays and of Python objects may be.

    Raises:
        DataError: there is no such data, they cannot be read, or they do not fit the model.
    """
    if not inputs:
        raise DataError("the model has no inputs, so there is nothing to feed it")
    for wanted in inputs:
        if wanted.dtype.kind == "O":
            raise DataError(f"input {wanted.name!r} of the model takes texts; only numbers can be fed, so cut it off")
    how = _How(preprocess, seed, labels)
    if isinstance(spec, str):
        return _open_word(spec, inputs, how)
    if isinstance(spec, Path):
        return _open_path(spec, inputs, how)
    return _open_object(spec, inputs, labels, name="data")


def _open_word(word: str, inputs: Sequence[InputSpec], how: _How) -> Source:
    if word == "random":
        return RandomSource(tuple(inputs), how.seed)
    if word.partition(":")[0] == "digits":
        return _open_digits(word, inputs)
    dataset = find_dataset(word)
    if dataset is not None:
        _check_means_one(word, dataset.path)
        return open_dataset(dataset, inputs, preprocess=how.preprocess, seed=how.seed)
    if is_python_function(word):
        return _open_object(load_function(word), inputs, how.labels, name=word)
    return _open_path(word, inputs, how)


def _check_means_one(word: str, files: Path) -> None:
    """Refuse a name of `datasets.toml` where the working folder holds other samples of that name."""
    path = Path(word)
    if path.exists() and not path.samefile(files):
        raise DataError(
            f"{word!r} is a name in datasets.toml, for {files}, and here is a {'folder' if path.is_dir() else 'file'} "
            f"of that name: give ./{word} for what is here, or rename it"
        )


def _open_path(name: str | Path, inputs: Sequence[InputSpec], how: _How) -> Source:
    path = Path(name)
    if name and path.is_dir():
        return open_image_folder(path, inputs, preprocess=how.preprocess, seed=how.seed, name=str(name))
    if path.suffix.lower() in (".npz", ".npy"):
        return open_arrays(path, inputs, name=str(name), labels=how.labels)
    names = ", ".join(dataset_names()) or "none"
    fault = "is there, but no kind of data that is read" if name and path.exists() else "no such data"
    raise DataError(f"{str(name)!r}: {fault}; give {'; '.join(FORMS)}. The names in datasets.toml are: {names}")


def _open_digits(word: str, inputs: Sequence[InputSpec]) -> DigitsSource:
    """Return the bundled digits (`digits` or `digits:PART`) for a model of one input."""
    parts: dict[str, Part] = {"digits": "calibration", **{f"digits:{part}": part for part in PARTS}}
    if word not in parts:
        raise DataError(f"{word}: the digits have no such part; choose one of {', '.join(parts)}")
    if len(inputs) != 1 or inputs[0].dtype != np.float32:
        raise DataError(f"digits feed one float32 input, the model has {', '.join(str(spec) for spec in inputs)}")
    (spec,) = inputs
    source = DigitsSource(parts[word], spec.name)
    check_shape(next(source.read(0, 1, 1)).feeds[spec.name].shape, spec, where="digits")
    return source


def _open_object(item: object, inputs: Sequence[InputSpec], labels: Labels, *, name: str) -> Source:
    if all(hasattr(item, member) for member in ("name", "size", "read")):
        return item  # type: ignore[return-value] # a protocol has no cheaper check than its members
    if isinstance(item, (Mapping, tuple)) or hasattr(item, "__array__"):
        return array_source(item, inputs, name=name, labels=labels)
    if isinstance(item, type) or not callable(item):
        return iterable_source(item, inputs, name=name, labels=labels)
    made = item()
    if isinstance(made, Iterator):  # a generator function: it is called anew for each pass
        return iterable_source(Calls(item), inputs, name=name, labels=labels)
    return _open_object(made, inputs, labels, name=name)


def first_shapes(batches: Batches) -> dict[str, list[tuple[int, ...]]]:
    """Return the shapes that the first samples have, by input, with a batch of 1.

    Raises:
        DataError: the samples cannot be read.
    """
    shapes: dict[str, list[tuple[int, ...]]] = {}
    for batch in islice(batches.in_batches_of(1), _SAMPLES_TO_LOOK_AT):
        for name, array in batch.feeds.items():
            shapes.setdefault(name, []).append(array.shape)
    return shapes
