"""Turns a name in `datasets.toml` into a source of samples whose files are checked by their hash.

A table of the file is one data set:

    [photos]
    loader = "images"           # or "arrays"
    path = "photos"             # beside datasets.toml
    sha256 = "..."              # of the file, or of the folder's list of hashes (see `sha256_of`); optional
    labels = false              # leave labels out, where they are not those of a network; optional
    preprocess = { preset = "imagenet" }    # see quantlab/data/preprocess.py; optional
    description, licence, source = "..."    # for the reader; optional
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from quantlab.data.arrays import ArraySource, open_arrays
from quantlab.data.batch import InputSpec
from quantlab.data.image_folder import ImageFolderSource, open_image_folder
from quantlab.data.preprocess import Preprocess
from quantlab.errors import DataError

FOLDER = "calib_data"
FILE = "datasets.toml"

LOADERS = ("arrays", "images")
_OPTIONAL = ("sha256", "labels", "preprocess", "description", "licence", "source")


@dataclass(frozen=True, slots=True)
class Dataset:
    """One table of `datasets.toml`.

    Attributes:
        name: what users call it.
        loader: how it is read, `images` or `arrays`.
        path: its file or folder.
        sha256: what `sha256_of` must find, or None.
        has_labels: whether its labels are used.
        preprocess: what is done to its images, or None.
    """

    name: str
    loader: str
    path: Path
    sha256: str | None = None
    has_labels: bool = True
    preprocess: Preprocess | None = None


def find_dataset(name: str) -> Dataset | None:
    """Return the data set of a name, or None. The working folder's `calib_data` comes before quantlab's own.

    Raises:
        DataError: a `datasets.toml` that is looked into cannot be read or has a mistake.
    """
    if not re.fullmatch(r"[\w-]+", name):
        return None
    for file in _files():
        tables = _tables(file)
        if name in tables:
            return _dataset(name, tables[name], file)
    return None


def dataset_names() -> tuple[str, ...]:
    """Return the names that `find_dataset` knows, sorted."""
    return tuple(sorted({name for file in _files() for name in _tables(file)}))


def open_dataset(
    dataset: Dataset, inputs: Sequence[InputSpec], *, preprocess: Preprocess | None = None, seed: int = 0
) -> ArraySource | ImageFolderSource:
    """Check the hash of a data set and open it.

    Args:
        dataset: what to open.
        inputs: the model's inputs.
        preprocess: stands in for the data set's own, if given.
        seed: decides the pick among images.

    Raises:
        DataError: files are missing, have another hash, or do not fit the model.
    """
    notes = [_verified(dataset)]
    source: ArraySource | ImageFolderSource
    if dataset.loader == "arrays":
        source = open_arrays(dataset.path, inputs, name=dataset.name)
    else:
        wanted = preprocess or dataset.preprocess
        source = open_image_folder(dataset.path, inputs, preprocess=wanted, seed=seed, name=dataset.name)
    if not dataset.has_labels and source.labels is not None:
        notes.append(f"{dataset.name}: its labels are not those of a network, so there is no accuracy.")
        source = replace(source, labels=None)
    return replace(source, notes=(*notes, *source.notes))


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, or of a folder.

    A folder's is the hash of the list of its files' hashes, which the shell finds by
    `find * -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum`. Hidden files do not count.

    Raises:
        DataError: a file cannot be read.
    """
    try:
        if not path.is_dir():
            return _sha256_of_file(path)
        names = (file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
        shown = sorted((name for name in names if not re.search(r"(^|/)\.", name)), key=str.encode)
        lines = "".join(f"{_sha256_of_file(path / name)}  {name}\n" for name in shown)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    return hashlib.sha256(lines.encode()).hexdigest()


def _sha256_of_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _verified(dataset: Dataset) -> str:
    if not dataset.path.exists():
        raise DataError(f"{dataset.name}: its files are missing, {dataset.path}; fetch them as {FOLDER}/README.md says")
    if dataset.sha256 is None:
        return f"{dataset.name}: {FILE} gives no sha256, so its files were not verified."
    found = sha256_of(dataset.path)
    if found != dataset.sha256:
        raise DataError(
            f"{dataset.name}: {dataset.path} has sha256 {found}, {FILE} says {dataset.sha256}; the files were changed "
            "or are incomplete: restore them, or correct the entry if the change was meant"
        )
    return f"{dataset.name}: sha256 {found[:12]}… verified."


def _files() -> tuple[Path, ...]:
    """Return the `datasets.toml` files there are: of the working folder, then of the checkout quantlab runs from."""
    folders = (Path.cwd(), Path(__file__).resolve().parents[2])
    files = dict.fromkeys((folder / FOLDER / FILE).resolve() for folder in folders)
    return tuple(file for file in files if file.is_file())


def _tables(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # a TOML mistake is a ValueError, and so is text that is not UTF-8
        raise DataError(f"{file}: cannot be read: {error}") from error


def _dataset(name: str, table: object, file: Path) -> Dataset:
    where = f"{file}, [{name}]"
    if not isinstance(table, Mapping):
        raise DataError(f"{where}: is no table; write [{name}] and its settings below")
    for key in table:
        if key not in ("loader", "path", *_OPTIONAL):
            raise DataError(f"{where}: unknown setting {key!r}; there are loader, path, {', '.join(_OPTIONAL)}")
    if table.get("loader") not in LOADERS:
        raise DataError(f"{where}: loader is {table.get('loader')!r}; choose one of {', '.join(LOADERS)}")
    for key, kind in (("path", str), ("sha256", str), ("labels", bool), ("preprocess", Mapping)):
        if (key == "path" or key in table) and not isinstance(table.get(key), kind):
            raise DataError(f"{where}: {key} is {table.get(key)!r}; it must be a {kind.__name__.lower()}")
    if table["loader"] == "arrays" and "preprocess" in table:
        raise DataError(f"{where}: arrays are fed as they are; leave preprocess out")
    preprocess = Preprocess.from_dict(table["preprocess"]) if "preprocess" in table else None
    path = file.parent / table["path"]
    return Dataset(name, table["loader"], path, table.get("sha256"), table.get("labels", True), preprocess)
