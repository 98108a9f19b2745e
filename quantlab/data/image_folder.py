"""Turns a folder of images, one folder per class, into a source of samples.

The classes are numbered in the order of their folders' names. The samples come in a seeded stratified order: any first
N of them hold the classes in the proportions of the whole folder, so calibrating on the first N is calibrating on a
stratified pick.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from quantlab.data.batch import Batch, InputSpec
from quantlab.data.conform import conform
from quantlab.data.decode import read_image
from quantlab.data.image_files import find_image_files
from quantlab.data.preprocess import Preprocess, assumed_preprocess
from quantlab.data.recut import gather
from quantlab.errors import DataError


@dataclass(frozen=True, eq=False, slots=True)
class ImageFolderSource:
    """Images under a folder; make one with `open_image_folder`.

    Attributes:
        name: what reports call it.
        spec: the model's input.
        preprocess: what is done to the pixels, with the sizes filled in.
        files: the images, in reading order.
        labels: int64 [files], or None where there are no class folders.
        classes: the names of the class folders, in the order of their numbers.
        notes: sentences for the report.
    """

    name: str
    spec: InputSpec
    preprocess: Preprocess
    files: tuple[Path, ...]
    labels: npt.NDArray[np.int64] | None = None
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """How many images there are."""
        return len(self.files)

    def read(self, start: int, stop: int | None, batch_size: int) -> Iterator[Batch]:
        """Yield images start..stop-1 in order; images that differ in height and width go in separate batches."""
        end = self.size if stop is None else min(stop, self.size)
        return gather((self._sample(number) for number in range(start, end)), batch_size)

    def _sample(self, number: int) -> Batch:
        file = self.files[number]
        image = read_image(file, self.preprocess)[np.newaxis]
        feeds = {self.spec.name: conform(image, self.spec, where=str(file), first=number)}
        return Batch(feeds, None if self.labels is None else self.labels[number : number + 1], number)

    def __str__(self) -> str:
        classes = f" of {len(self.classes)} classes" if self.classes else ""
        return f"{self.name}: {self.size} images{classes}; {self.preprocess}"


def open_image_folder(
    root: Path,
    inputs: Sequence[InputSpec],
    *,
    preprocess: Preprocess | None = None,
    seed: int = 0,
    name: str | None = None,
) -> ImageFolderSource:
    """Return a source over the images under a folder.

    Args:
        root: holds one folder per class; without such folders the images have no labels.
        inputs: the model's inputs: one, an image.
        preprocess: what the network was trained with; None assumes ImageNet's for three channels, 0..1 for one.
        seed: decides which images of a class come first.
        name: what reports call it.

    Raises:
        DataError: there is no image, a folder cannot be read, or the preprocessing does not fit the model.
    """
    name = name or str(root)
    if len(inputs) != 1:
        raise DataError(
            f"{name}: an image folder feeds one input, the model has {', '.join(str(spec) for spec in inputs)}; "
            "give an .npz or FILE.py:FUNCTION"
        )
    (spec,) = inputs
    fitted = (preprocess or assumed_preprocess(spec)).fitted_to(spec)
    found = find_image_files(root, seed=seed)
    notes = list(found.notes)
    if preprocess is None:
        notes.append(f"{name}: no preprocessing was declared; assumed {fitted}.")
    if found.classes:
        notes.append(f"{name}: the images come in an order stratified by class, seed {seed}.")
    return ImageFolderSource(name, spec, fitted, found.files, found.labels, found.classes, tuple(notes))
