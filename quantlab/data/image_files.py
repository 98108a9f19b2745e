"""Turns a folder into the list of its images, with a class number each, in a seeded stratified order."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from quantlab.errors import DataError

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


@dataclass(frozen=True, eq=False, slots=True)
class ImageFiles:
    """The images of a folder.

    Attributes:
        files: in stratified order.
        labels: int64 [files], or None where the images lie in no class folders.
        classes: the names of the class folders, in the order of their numbers.
        notes: sentences about what was left out or may surprise.
    """

    files: tuple[Path, ...]
    labels: npt.NDArray[np.int64] | None
    classes: tuple[str, ...]
    notes: tuple[str, ...]


def find_image_files(root: Path, *, seed: int = 0) -> ImageFiles:
    """List the images under a folder: one folder per class, or all in one folder without classes.

    Hidden files and folders are passed over. A class folder may hold folders; links are followed.

    Raises:
        DataError: there is no image, or a folder cannot be read.
    """
    folders, flat, others = _entries(root)
    by_class = {}
    for folder in folders:
        by_class[folder.name], skipped = _images_below(folder, set())
        others += skipped
    notes = [f"{root}: {others} files that are no images were left out."] if others else []
    if any(by_class.values()):
        notes += _class_notes(root, by_class, len(flat))
        files = [file for images in by_class.values() for file in images]
        numbers = np.repeat(np.arange(len(by_class)), [len(images) for images in by_class.values()])
    else:
        notes += [f"{root}: there are no class folders, so there are no labels and no accuracy."] if flat else []
        files, numbers = flat, np.zeros(len(flat), np.int64)
    if not files:
        raise DataError(f"{root}: holds no images ({' '.join(SUFFIXES)}); put them there, in one folder per class")
    order = stratified_order(numbers, seed=seed)
    is_labelled = any(by_class.values())
    labels = numbers[order] if is_labelled else None
    return ImageFiles(tuple(files[at] for at in order), labels, tuple(by_class) if is_labelled else (), tuple(notes))


def stratified_order(numbers: npt.NDArray[np.int64], *, seed: int) -> npt.NDArray[np.int64]:
    """Return an order in which every first part holds the classes nearly in the proportions of the whole.

    Sample k of the n of a class, in shuffled order, is due at (k + u) / n of the way, where the u of the classes are
    spread evenly over 0..1. Classes of equal size take turns.

    Args:
        numbers: int64 [samples], the class of each.
        seed: decides the shuffling, and the turns.

    Returns:
        int64 [samples], positions in `numbers`.
    """
    rng = np.random.default_rng(seed)
    classes = np.unique(numbers)
    turns = (rng.permutation(len(classes)) + 0.5) / max(len(classes), 1)
    due = np.empty(len(numbers))
    for number, turn in zip(classes, turns, strict=True):
        members = np.flatnonzero(numbers == number)
        due[rng.permutation(members)] = (np.arange(len(members)) + turn) / len(members)
    return np.argsort(due, kind="stable").astype(np.int64)


def _entries(folder: Path) -> tuple[list[Path], list[Path], int]:
    """Return the folders, the images, and the number of other files, sorted by name."""
    try:
        # scandir tells folders from files without asking the disk about each of a million images.
        with os.scandir(folder) as scan:
            shown = sorted((entry.name, entry.is_dir()) for entry in scan if not entry.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed: {error}") from error
    files = [folder / name for name, is_folder in shown if not is_folder]
    # A link that leads nowhere counts as an image here, and is named when it is read.
    images = [file for file in files if file.suffix.lower() in SUFFIXES]
    return [folder / name for name, is_folder in shown if is_folder], images, len(files) - len(images)


def _images_below(folder: Path, seen: set[Path]) -> tuple[list[Path], int]:
    """Return the images at any depth, and the number of other files; `seen` breaks circles of links."""
    resolved = folder.resolve()
    if resolved in seen:
        return [], 0
    seen.add(resolved)
    folders, images, others = _entries(folder)
    for inner in folders:
        more, skipped = _images_below(inner, seen)
        images, others = images + more, others + skipped
    return images, others


def _class_notes(root: Path, by_class: dict[str, list[Path]], flat: int) -> list[str]:
    notes = []
    empty = [name for name, images in by_class.items() if not images]
    if empty:
        notes.append(f"{root}: class folders without images keep their number: {', '.join(empty[:5])}.")
    if flat:
        notes.append(f"{root}: left out, since in no class folder: {flat} of the images.")
    names = list(by_class)
    if all(name.isdecimal() for name in names) and names != sorted(names, key=int):
        notes.append(
            f"{root}: the class folders are numbers, and are numbered in the order of their names as text "
            f"({', '.join(names[:4])}, ...); if the network counts them otherwise, pad the names with zeros."
        )
    return notes
