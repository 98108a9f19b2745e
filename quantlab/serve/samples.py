"""A run's report → the samples it was judged on, as far as they may be read.

A report comes from wherever the run was made, so what it names is not simply opened: the bundled digits and the named
data sets are, and files that lie in the served folder. Anything else, Python files above all, must be named by whoever
starts the server (`--data`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from quantlab.data.batch import Batch, Batches, InputSpec, Source
from quantlab.data.datasets import find_dataset
from quantlab.data.image_folder import ImageFolderSource
from quantlab.data.open import open_source
from quantlab.data.preprocess import Preprocess, assumed_preprocess
from quantlab.data.split import split
from quantlab.errors import DataError
from quantlab.report.report import Report

# The bundled digits are light strokes on a dark ground, from -1 to 1.
_DIGITS = Preprocess(mean=(0.5,), std=(0.5,), channels="GRAY")


@dataclass(frozen=True, slots=True)
class GivenSamples:
    """What whoever starts the server says about samples, for every run.

    Attributes:
        data: as `--data` of `quantlab ptq`; None for what each run was judged on.
        preprocess: settings of `Preprocess` by name; empty for those of each run.
    """

    data: str | None = None
    preprocess: dict[str, Any] = field(default_factory=dict)


def samples_of(report: Report, inputs: Sequence[InputSpec], root: Path, given: GivenSamples) -> Batches:
    """Return samples to try a run's models on, one per batch.

    Args:
        report: the run's.
        inputs: of its float model.
        root: the served folder, resolved.
        given: what the server was started with.

    Raises:
        DataError: the samples may not be read, are not there, or do not fit the model.
    """
    recipe = report.content["recipe"]
    settings = given.preprocess or recipe.get("preprocess") or {}
    preprocess = Preprocess.from_dict(settings) if settings else None

    seed = int(recipe.get("seed", 0))
    if given.data is not None:
        return Batches(open_source(given.data, inputs, preprocess=preprocess, seed=seed), 1)

    def opened(word: str) -> Source:
        allowed = _allowed(word, root)
        source = open_source(allowed, inputs, preprocess=preprocess, seed=seed)
        return source if find_dataset(word) is not None else _checked(source, root)

    named = [str(recipe[name]) for name in ("data", "eval_data") if recipe.get(name) is not None]
    data, *eval_data = [opened(word) for word in named]
    chosen = split(data, int(recipe.get("samples", 1)), *eval_data, batch_size=1).evaluation
    limit = recipe.get("eval_samples")
    return chosen if limit is None else chosen.head(int(limit))


def preprocess_of(report: Report, spec: InputSpec, given: GivenSamples) -> Preprocess:
    """Return what turns a picture into a sample of a run: what was declared, else what its data need.

    Raises:
        DataError: the model's input is no picture.
    """
    recipe = report.content["recipe"]
    settings = given.preprocess or recipe.get("preprocess")
    if settings:
        declared = Preprocess.from_dict(settings)
    elif str(recipe.get("data", "")).partition(":")[0] == "digits":
        declared = _DIGITS
    else:
        dataset = find_dataset(str(recipe.get("data", "")))
        declared = (dataset.preprocess if dataset else None) or assumed_preprocess(spec)
    if spec.shape is not None and len(spec.shape) == 4:
        return declared.fitted_to(spec)
    raise DataError(f"a picture has channels, height and width, the model needs {spec}; send an .npy or .npz file")


def sample_number(batches: Batches, number: int) -> Batch:
    """Return one sample.

    Raises:
        DataError: there are not so many, or it cannot be read.
    """
    size = batches.size
    if number < 0 or (size is not None and number >= size):
        raise DataError(f"sample {number}: {batches.name} has samples 0 to {(size or 1) - 1}")
    start = batches.start + number
    for batch in replace(batches, start=start, stop=start + 1, batch_size=1):
        return batch
    raise DataError(f"sample {number}: {batches.name} has not so many samples")


def class_names(batches: Batches | None) -> tuple[str, ...]:
    """Return the names of the classes, where the samples tell them."""
    names: tuple[str, ...] = getattr(batches.source, "classes", ()) if batches is not None else ()
    return names


def _allowed(word: str, root: Path) -> str:
    """Return the data of a recipe if the server may read them.

    Raises:
        DataError: they are neither bundled nor in the served folder.
    """
    if word.partition(":")[0] == "digits" or word == "random" or find_dataset(word) is not None:
        return word
    try:
        path = Path(word).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):  # not there, not a path, links in a circle
        path = None
    if path is not None and path.is_relative_to(root) and (path.is_dir() or path.suffix in (".npz", ".npy")):
        return str(path)
    raise DataError(
        f"the samples of this run ({word}) lie outside the served folder, so they are not read; name them when you "
        "start the server (--data), or upload a sample"
    )


def _checked(source: Source, root: Path) -> Source:
    """Return images of the served folder, after seeing that none is a link out of it."""
    if isinstance(source, ImageFolderSource):
        for file in source.files:
            if not file.resolve().is_relative_to(root):
                raise DataError(f"{source.name}: {file.name} is a link out of the served folder, so none is read")
    return source
