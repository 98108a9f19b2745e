"""What the pages to try samples on work with: the runs, their samples and their open models, one request at a time."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

from quantlab.data.batch import Batch, Batches, InputSpec
from quantlab.errors import DataError, QuantlabError, RunError
from quantlab.report.report import Report
from quantlab.serve.models import ModelCache, OpenModel, model_files
from quantlab.serve.pictures import data_uri, picture_of
from quantlab.serve.run_list import RunList
from quantlab.serve.samples import GivenSamples, class_names, preprocess_of, sample_number, samples_of
from quantlab.serve.trial import try_models
from quantlab.serve.try_page import THUMBNAILS, Offer, Tried, TryPage
from quantlab.serve.uploads import Upload, array_sample, picture_sample

_MOST_SOURCES = 8


@dataclass(frozen=True, eq=False, slots=True)
class _OpenRun:
    """A run whose models can be asked.

    Attributes:
        report: of the run.
        models: by name, the float one first.
        samples: to pick from, or None where they cannot be read.
        fault: why they cannot.
    """

    report: Report
    models: dict[str, OpenModel]
    samples: Batches | None
    fault: str | None

    @property
    def inputs(self) -> tuple[InputSpec, ...]:
        return next(iter(self.models.values())).inputs


@dataclass(eq=False, slots=True)
class Workbench:
    """A folder of runs to look at and to try.

    Attributes:
        runs: of the folder.
        models: those that are open.
        given: samples that stand in for those of the runs.
    """

    runs: RunList
    models: ModelCache
    given: GivenSamples = field(default_factory=GivenSamples)
    _samples: dict[tuple[Path, str], Batches] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def shown(self, run: str, *, first: int = 0, number: int | None = None, upload: Upload | None = None) -> TryPage:
        """Return what the page shows of a run: samples to pick from, and what came of the one that was chosen.

        Args:
            run: its name in the list.
            first: the first sample to offer.
            number: the sample that was picked, or None.
            upload: the file that was sent, or None.

        Raises:
            QuantlabError: the run or its models cannot be opened; what is wrong with a sample is on the page.
        """
        with self._lock:  # two requests at once would time each other
            opened = self._opened(run)
            tried, fault = None, None
            try:
                if upload is not None:
                    tried = self._tried(opened, upload.name, self._sent(opened, upload), upload=upload)
                elif number is not None:
                    tried = self._picked(opened, number)
            except QuantlabError as error:
                fault = str(error)
            return TryPage(run, _takes(opened), _is_grey(opened), _offer(opened, first), tried, fault)

    def picture(self, run: str, number: int) -> bytes | None:
        """Return a sample as PNG, or None where it is no picture.

        Raises:
            QuantlabError: there is no such run or sample.
        """
        with self._lock:
            return picture_of(sample_number(_samples(self._opened(run)), number).feeds)

    def close(self) -> None:
        """Close every model."""
        with self._lock:
            self.models.close()

    def _opened(self, run: str) -> _OpenRun:
        entry, report = self.runs.entry(run), self.runs.report(run)
        files = model_files(self.runs, entry, report)
        models = {name: self.models.open(path) for name, path in files.items()}
        inputs = next(iter(models.values())).inputs
        try:
            return _OpenRun(report, models, self._samples_of(entry.path, report, inputs), None)
        except QuantlabError as error:
            return _OpenRun(report, models, None, str(error))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RunError(f"{run}: the recipe in its report is damaged ({error}); make the run again") from error

    def _samples_of(self, path: Path, report: Report, inputs: tuple[InputSpec, ...]) -> Batches:
        key = (path, str(report.content["created"]))
        if key not in self._samples:
            while len(self._samples) >= _MOST_SOURCES:
                self._samples.pop(next(iter(self._samples)))
            self._samples[key] = samples_of(report, inputs, self.runs.root, self.given)
        return self._samples[key]

    def _picked(self, opened: _OpenRun, number: int) -> Tried:
        samples = _samples(opened)
        return self._tried(opened, f"Sample {number} of {samples.name}", sample_number(samples, number))

    def _sent(self, opened: _OpenRun, upload: Upload) -> Batch:
        if upload.is_array:
            return array_sample(upload, opened.inputs)
        if len(opened.inputs) != 1:
            needed = ", ".join(map(str, opened.inputs))
            raise DataError(f"{upload.name}: a picture feeds one input, the model has {needed}; send an .npz file")
        (spec,) = opened.inputs
        return picture_sample(upload, spec, preprocess_of(opened.report, spec, self.given))

    def _tried(self, opened: _OpenRun, name: str, batch: Batch, *, upload: Upload | None = None) -> Tried:
        answers = try_models(opened.models, batch, output=opened.report.content["recipe"].get("output"))
        png = picture_of(batch.feeds)
        label = None if batch.labels is None else int(batch.labels[0])
        is_picture = upload is not None and not upload.is_array and png is not None
        note = "This is what the network sees of it." if is_picture else None
        return Tried(name, data_uri(png) if png else None, label, answers, class_names(opened.samples), note)


def _samples(opened: _OpenRun) -> Batches:
    if opened.samples is None:
        raise DataError(opened.fault or "the run has no samples")
    return opened.samples


def _offer(opened: _OpenRun, first: int) -> Offer:
    samples = opened.samples
    if samples is None:
        return Offer(fault=opened.fault)
    size = samples.size
    start = first if size is None else min(first, max(0, size - 1))
    numbers = range(start, start + THUMBNAILS if size is None else min(start + THUMBNAILS, size))
    try:
        has_pictures = picture_of(sample_number(samples, start).feeds) is not None
    except QuantlabError as error:
        return Offer(fault=str(error))
    return Offer(samples.name, numbers, size, has_pictures)


def _takes(opened: _OpenRun) -> str:
    needed = ", ".join(map(str, opened.inputs))
    picture = "a picture, or " if _takes_pictures(opened) else ""
    return f"The model needs {needed}: {picture}an .npy or .npz file with one sample of it, up to 32 MB."


def _takes_pictures(opened: _OpenRun) -> bool:
    shape = opened.inputs[0].shape
    is_alone = len(opened.inputs) == 1 and shape is not None and len(shape) == 4
    return is_alone and any(length in (1, 3) for length in (shape or ())[1:])


def _is_grey(opened: _OpenRun) -> bool:
    return _takes_pictures(opened) and 1 in (opened.inputs[0].shape or ())[1:]
