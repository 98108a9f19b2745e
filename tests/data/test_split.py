from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from quantlab.data.arrays import array_source
from quantlab.data.batch import Batches
from quantlab.data.digits import DigitsSource
from quantlab.data.iterable import Calls, iterable_source
from quantlab.data.random_source import RandomSource
from quantlab.data.split import split
from quantlab.errors import DataError, RecipeError

from .specs import IMAGE

SAMPLES = np.arange(10 * 16, dtype=np.float32).reshape(10, 1, 4, 4)


def numbers(batches: Batches) -> list[int]:
    return [batch.first + i for batch in batches for i in range(batch.size)]


def sized() -> Any:
    return array_source(SAMPLES, [IMAGE], name="mine")


def unsized() -> Any:
    return iterable_source(Calls(lambda: iter([SAMPLES[:6], SAMPLES[6:]])), [IMAGE], name="mine")


@pytest.mark.parametrize("make", [sized, unsized])
def test_the_samples_beyond_the_first_evaluate(make):
    result = split(make(), 4, batch_size=3)
    assert numbers(result.calibration) == [0, 1, 2, 3]
    assert numbers(result.evaluation) == [4, 5, 6, 7, 8, 9]
    assert result.sentence.startswith("Calibrated on the first 4 samples of mine; evaluated on the ")
    assert result.sentence.endswith("samples beyond them.")
    assert result.calibration.batch_size == result.evaluation.batch_size == 3


@pytest.mark.parametrize("make", [sized, unsized])
@pytest.mark.parametrize("samples", [10, 512])
def test_where_no_samples_are_left_the_same_evaluate_and_the_sentence_warns(make, samples):
    result = split(make(), samples)
    assert numbers(result.calibration) == numbers(result.evaluation) == list(range(10))
    asked = "" if samples == 10 else " (of 512 asked for)"
    assert result.sentence.startswith(f"Calibrated on all 10 samples{asked} of mine; evaluated on the same samples")
    assert "may look better than it is" in result.sentence


@pytest.mark.parametrize("make", [sized, unsized])
def test_one_sample_beyond_is_enough_to_evaluate(make):
    assert numbers(split(make(), 9).evaluation) == [9]


def test_evaluation_data_of_their_own_are_used_whole():
    other = array_source(SAMPLES[:5], [IMAGE], name="other")
    result = split(sized(), 4, other)
    assert numbers(result.calibration) == [0, 1, 2, 3]
    assert numbers(result.evaluation) == list(range(5))
    assert result.evaluation.source is other
    assert result.sentence == "Calibrated on the first 4 samples of mine; evaluated on all 5 samples of other."


def test_evaluation_data_of_their_own_spare_counting_the_others():
    passes: list[int] = []

    def loader() -> Iterator[Any]:
        passes.append(1)
        yield SAMPLES

    source = iterable_source(Calls(loader), [IMAGE])
    passes.clear()
    split(source, 4, sized())
    assert passes == []


def test_evaluating_on_the_calibration_data_by_name_is_said():
    source = sized()
    assert "the calibration samples among them" in split(source, 4, source).sentence
    assert "the calibration samples among them" in split(source, 4, sized()).sentence


def test_the_digits_have_a_fixed_split():
    result = split(DigitsSource("calibration"), 128)
    assert (result.calibration.name, result.calibration.size) == ("digits (calibration)", 128)
    assert result.evaluation.source == DigitsSource("evaluation")
    assert result.evaluation.size == DigitsSource("evaluation").size
    assert "evaluated on all" in result.sentence


def test_other_parts_of_the_digits_are_samples_like_any_other():
    result = split(DigitsSource("evaluation"), 8)
    assert result.evaluation.source == DigitsSource("evaluation")
    assert result.evaluation.start == 8


@pytest.mark.parametrize("samples", [0, -3])
def test_no_samples_at_all_are_refused(samples):
    with pytest.raises(RecipeError, match="at least 1 sample"):
        split(sized(), samples)


def test_a_batch_size_below_one_is_refused():
    with pytest.raises(DataError, match="batch size 0"):
        split(sized(), 4, batch_size=0)


def test_a_source_without_samples_is_refused():
    with pytest.raises(DataError, match="no samples to calibrate with"):
        split(RandomSource((IMAGE,), size=0), 4)
