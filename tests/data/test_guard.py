from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantlab.data.arrays import array_source
from quantlab.data.batch import Batch
from quantlab.data.digits import DigitsSource
from quantlab.data.guard import InputRange, chance_warning, observe_inputs, random_warning, range_warnings, source_notes
from quantlab.data.preprocess import PRESETS

from .specs import COLOUR

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (8, 3, 8, 8)).astype(np.float32)
NORMALISED = np.stack([PRESETS["imagenet"].table[c][PIXELS[:, c].astype(int)] for c in range(3)], axis=1)


def observed(array: np.ndarray) -> tuple[InputRange, ...]:
    return observe_inputs([Batch({"x": array[:3]}), Batch({"x": array[3:]}, first=3)])


@given(correct=st.integers(0, 200), extra=st.integers(0, 200), classes=st.integers(2, 50))
def test_chance_is_told_by_the_wilson_interval(correct, extra, classes):
    total = correct + extra
    if total == 0:
        assert chance_warning(0, 0, classes) is None
        return
    z, p = 1.959963984540054, correct / total
    low = (p + z**2 / (2 * total) - z * np.sqrt(p * (1 - p) / total + z**2 / (4 * total**2))) / (1 + z**2 / total)
    if abs(low - 1 / classes) > 1e-9:  # on the edge, rounding decides
        assert (chance_warning(correct, total, classes) is None) == (low > 1 / classes)


def test_a_network_at_chance_is_said_loudly_with_its_numbers():
    warning = chance_warning(52, 512, 10)
    assert warning is not None
    assert "10.2% on 512 samples" in warning
    assert "guessing among 10 classes (10.00%)" in warning
    assert chance_warning(460, 512, 10) is None


def test_a_network_below_chance_and_one_seen_too_briefly_are_said_too():
    assert chance_warning(0, 512, 10) is not None
    assert chance_warning(2, 3, 2) is not None
    assert chance_warning(5, 5, 1) is None


def test_the_range_is_that_of_all_batches():
    (seen,) = observed(NORMALISED)
    assert (seen.name, seen.samples, seen.distinct, seen.is_image, seen.is_whole) == ("x", 8, 8, True, False)
    assert (seen.minimum, seen.maximum) == (NORMALISED.min(), NORMALISED.max())
    # sums in float64 over 1536 values
    np.testing.assert_allclose(
        (seen.mean, seen.std), (NORMALISED.mean(dtype=float), NORMALISED.std(dtype=float)), rtol=1e-9
    )


def test_integers_are_not_looked_at():
    assert observe_inputs([Batch({"ids": np.zeros((2, 5), np.int64)})]) == ()


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_images_that_went_through_the_declared_preprocessing_raise_no_warning(preset):
    declared = PRESETS[preset]
    array = np.stack([declared.table[c][PIXELS[:, c].astype(int)] for c in range(3)], axis=1)
    assert range_warnings(observed(array), declared) == []


def test_normalised_images_raise_no_warning_where_nothing_is_declared():
    assert range_warnings(observed(NORMALISED)) == []
    assert range_warnings(observe_inputs(DigitsSource("calibration").read(0, 64, 16))) == []


def test_raw_pixels_are_found_with_and_without_a_declaration():
    (warning,) = range_warnings(observed(PIXELS))
    assert "whole numbers from 0 to 255: these look like raw pixels" in warning
    (warning,) = range_warnings(observed(PIXELS), PRESETS["imagenet"])
    assert "these look like raw pixels" in warning
    assert "gives -2.12 to 2.64" in warning


def test_values_scaled_twice_are_found():
    (warning,) = range_warnings(observed(PIXELS / 255 / 255), PRESETS["unit"])
    assert "scaled twice" in warning


def test_a_forgotten_mean_is_found():
    for preset in ("imagenet", "signed"):
        (warning,) = range_warnings(observed(PIXELS / 255), PRESETS[preset])
        assert "subtraction of the mean" in warning


def test_values_far_from_the_declared_ones_are_found():
    (warning,) = range_warnings(observed(NORMALISED * 10), PRESETS["imagenet"])
    assert "The data were not preprocessed, or otherwise" in warning


def test_constant_and_repeated_samples_are_found():
    assert "every value is 0.5" in range_warnings(observed(np.full((4, 3, 8, 8), 0.5, np.float32)))[0]
    assert "every value is 0," in range_warnings(observed(np.full((4, 3, 8, 8), -0.0, np.float32)))[0]
    assert "all 4 samples are the same" in range_warnings(observed(np.repeat(NORMALISED[:1], 4, axis=0)))[0]


def test_one_sample_alone_and_black_and_white_drawings_raise_no_warning():
    assert range_warnings(observe_inputs([Batch({"x": NORMALISED[:1]})])) == []
    assert range_warnings(observed((PIXELS > 127).astype(np.float32))) == []


def test_inputs_that_are_no_images_have_no_declared_limits():
    vectors = RNG.normal(0, 100, (8, 5)).astype(np.float32)
    assert range_warnings(observed(vectors), PRESETS["unit"]) == []


def test_a_range_prints():
    assert str(observed(PIXELS)[0]).startswith("x: 0 to 255, mean ")


def test_ordinary_sources_are_not_random_and_pass_their_notes_on():
    source = array_source(PIXELS, [COLOUR])
    assert random_warning(source) is None
    assert source_notes(replace(source, notes=("Something.",))) == ["Something."]
    assert source_notes(DigitsSource("calibration")) == []
