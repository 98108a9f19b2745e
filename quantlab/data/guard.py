"""Warnings about data that make every later number worthless: a network no better than chance, wrong preprocessing.

Pure functions: what was observed goes in, sentences for the report come out.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from quantlab.data.batch import Array, Batch, Source
from quantlab.data.preprocess import Preprocess

_CONFIDENCE = 0.95
# How far beyond the declared limits values may lie: interpolation overshoots, and other tools round otherwise.
_MARGIN = 0.05
# Data that span less of the declared limits than this were most likely scaled twice (1/255 is 0.004).
_LEAST_SPAN = 0.02


@dataclass(frozen=True, slots=True)
class InputRange:
    """What the samples of one input look like.

    Attributes:
        name: the input.
        is_image: it has four axes and floating values.
        samples: how many samples were looked at.
        distinct: how many of them differ from each other.
        minimum: the smallest value.
        maximum: the largest value.
        mean: of all values.
        std: of all values.
        is_whole: every value is a whole number.
    """

    name: str
    is_image: bool
    samples: int
    distinct: int
    minimum: float
    maximum: float
    mean: float
    std: float
    is_whole: bool

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.minimum:.4g} to {self.maximum:.4g}, mean {self.mean:.4g}, std {self.std:.4g} "
            f"({self.samples} samples)"
        )


class _Watcher:
    """Adds up what `InputRange` says, one array at a time."""

    def __init__(self) -> None:
        self.samples = self.count = 0
        self.total = self.squares = 0.0
        self.minimum, self.maximum = np.inf, -np.inf
        self.is_whole = True
        self.hashes: set[int] = set()

    def add(self, array: Array) -> None:
        values = array.astype(np.float64)
        self.samples += len(array)
        self.count += values.size
        self.total += float(values.sum())
        self.squares += float(np.square(values).sum())
        self.minimum = min(self.minimum, float(values.min()))
        self.maximum = max(self.maximum, float(values.max()))
        self.is_whole = self.is_whole and bool((values == np.rint(values)).all())
        self.hashes.update(zlib.crc32(np.ascontiguousarray(sample).tobytes()) for sample in array)

    def range_of(self, name: str, *, is_image: bool) -> InputRange:
        mean = self.total / self.count
        std = float(np.sqrt(max(self.squares / self.count - mean**2, 0.0)))
        limits = (self.minimum, self.maximum, mean, std)
        return InputRange(name, is_image, self.samples, len(self.hashes), *limits, self.is_whole)


def observe_inputs(batches: Iterable[Batch]) -> tuple[InputRange, ...]:
    """Return the range of each floating input; integers (tokens, masks) have no scale to get wrong.

    Args:
        batches: what to look at; a few dozen samples tell, so pass `batches.head(64)`.
    """
    watchers: dict[str, _Watcher] = {}
    images: dict[str, bool] = {}
    for batch in batches:
        for name, array in batch.feeds.items():
            if array.dtype.kind not in "biu" and array.size:
                watchers.setdefault(name, _Watcher()).add(array)
                images[name] = array.ndim == 4
    return tuple(watcher.range_of(name, is_image=images[name]) for name, watcher in watchers.items())


def range_warnings(observed: Iterable[InputRange], preprocess: Preprocess | None = None) -> list[str]:
    """Return a sentence for each input whose values cannot be what the network was trained on.

    Args:
        observed: from `observe_inputs`.
        preprocess: what the data are declared to have gone through; it speaks of image inputs. None where nothing is
            declared.
    """
    warnings = []
    for each in observed:
        if each.minimum == each.maximum:  # + 0 makes 0 of -0
            warnings.append(
                f"Input {each.name}: every value is {each.minimum + 0.0:.4g}, so the data are empty of content."
            )
        elif each.samples > 1 and each.distinct == 1:
            warnings.append(f"Input {each.name}: all {each.samples} samples are the same.")
        elif each.is_image and preprocess is not None:
            warnings += _against_declared(each, preprocess)
        elif each.is_image and _looks_raw(each):
            warnings.append(
                f"Input {each.name} holds whole numbers from {each.minimum:.0f} to {each.maximum:.0f}: these look like "
                "raw pixels. Unless the network normalises them itself, scale and normalise them first."
            )
    return warnings


def chance_warning(correct: int, total: int, classes: int) -> str | None:
    """Return a sentence if an accuracy cannot be told from guessing: 1/classes lies in or above its 95 % interval.

    Args:
        correct: how many of the samples the FP32 network gets right.
        total: how many samples.
        classes: how many classes the network tells apart.

    Source: the interval is E. B. Wilson's, "Probable Inference, the Law of Succession, and Statistical Inference",
    Journal of the American Statistical Association 22, 1927.
    """
    if total < 1 or classes < 2:
        return None
    from scipy.stats import binomtest

    interval = binomtest(correct, total).proportion_ci(_CONFIDENCE, method="wilson")
    if interval.low > 1 / classes:
        return None
    return (
        f"FP32 accuracy is {correct / total:.1%} on {total} samples (95 % interval {interval.low:.1%} to "
        f"{interval.high:.1%}), which cannot be told from guessing among {classes} classes ({1 / classes:.2%}). Wrong "
        "labels, wrong preprocessing or too few samples: no accuracy here means anything until this is mended."
    )


def source_notes(source: Source) -> list[str]:
    """Return what a source says about itself: what was assumed, left out or verified."""
    notes: Sequence[str] = getattr(source, "notes", ())
    return list(notes)


def random_warning(source: Source) -> str | None:
    """Return a sentence if the samples are random numbers, which every report must mark."""
    if not getattr(source, "is_random", False):
        return None
    return (
        f"RANDOM DATA ({source.name}): ranges, accuracies and agreements found with random numbers say nothing about "
        "real data."
    )


def _against_declared(each: InputRange, preprocess: Preprocess) -> list[str]:
    low, high = preprocess.limits
    margin = _MARGIN * (high - low)
    seen = f"Input {each.name} spans {each.minimum:.4g} to {each.maximum:.4g}"
    declared = f"the declared preprocessing gives {low:.3g} to {high:.3g} ({preprocess})"
    if each.minimum < low - margin or each.maximum > high + margin:
        raw = "these look like raw pixels; " if _looks_raw(each) else ""
        return [f"{seen}: {raw}{declared}. The data were not preprocessed, or otherwise."]
    if each.maximum - each.minimum < _LEAST_SPAN * (high - low):
        return [f"{seen}, a small part of what {declared}. The data may have been scaled twice."]
    if low < 0 <= each.minimum and each.maximum <= 1 <= high:
        return [f"{seen}, while {declared}. The data may lack the subtraction of the mean."]
    return []


def _looks_raw(each: InputRange) -> bool:
    # Two levels are a mask or a line drawing, which many networks take as they are.
    return each.is_whole and each.minimum >= 0 and 1 < each.maximum <= 255
