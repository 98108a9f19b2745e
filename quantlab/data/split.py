"""Decides which samples calibrate and which evaluate, and says so in a sentence for the report.

Up to N samples calibrate. Evaluation uses a source of its own if there is one, else the samples beyond N, else, if
there are none, the calibration samples themselves. The bundled digits are split once and for all.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from quantlab.data.batch import Batches, Source
from quantlab.data.digits import DigitsSource
from quantlab.data.recut import check_batch_size
from quantlab.errors import DataError, RecipeError


class Split(NamedTuple):
    """The samples of the two jobs, and the sentence that says which they are."""

    calibration: Batches
    evaluation: Batches
    sentence: str


def split(source: Source, samples: int, eval_source: Source | None = None, *, batch_size: int = 1) -> Split:
    """Choose the samples for calibration and for evaluation.

    A source of unknown size is iterated once, up to one sample beyond `samples`, unless `eval_source` is given.

    Args:
        source: where the calibration samples come from.
        samples: how many calibrate at most.
        eval_source: where the evaluation samples come from, if not from `source`.
        batch_size: the largest number of samples in a batch.

    Raises:
        RecipeError: `samples` is below 1.
        DataError: a source holds no samples.
    """
    if samples < 1:
        raise RecipeError(f"samples is {samples}; at least 1 sample must calibrate")
    check_batch_size(batch_size)
    whole = Batches(source, batch_size)
    calibration = whole.head(samples)
    if eval_source is None and isinstance(source, DigitsSource) and source.part == "calibration":
        eval_source = replace(source, part="evaluation")
    available = source.size if eval_source is not None else _available(whole, samples)
    if available == 0:
        raise DataError(f"{source.name}: holds no samples to calibrate with")
    begin = f"Calibrated on {_first(available, samples)} of {source.name}"
    if eval_source is not None:
        evaluation = Batches(eval_source, batch_size)
        return Split(calibration, evaluation, f"{begin}; evaluated on {_other(source, eval_source)}.")
    if available is None or available > samples:
        beyond = whole.beyond(samples)
        size = beyond.size
        count = "the samples beyond them" if size is None else f"the {size} samples beyond them"
        return Split(calibration, beyond, f"{begin}; evaluated on {count}.")
    return Split(
        calibration,
        calibration,
        f"{begin}; evaluated on the same samples, since there are no others: the accuracy of INT8 may look better than "
        "it is. Give evaluation data of their own, or calibrate on fewer samples.",
    )


def _available(whole: Batches, samples: int) -> int | None:
    """Return how many samples there are, or None for more than `samples` where only iterating tells."""
    if whole.size is not None:
        return whole.size
    counted = sum(batch.size for batch in whole.head(samples + 1))
    return None if counted > samples else counted


def _first(available: int | None, samples: int) -> str:
    if available is None or available > samples:
        return f"the first {samples} samples"
    if available == samples:
        return f"all {samples} samples"
    return f"all {available} samples (of {samples} asked for)"


def _other(source: Source, eval_source: Source) -> str:
    count = "all samples" if eval_source.size is None else f"all {eval_source.size} samples"
    text = f"{count} of {eval_source.name}"
    if eval_source is source or eval_source.name == source.name:
        text += ", the calibration samples among them: the accuracy of INT8 may look better than it is"
    return text
