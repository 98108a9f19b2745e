"""The digits are scikit-learn's, split once, and the same bits everywhere."""

from __future__ import annotations

import hashlib
from typing import cast

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantlab.data.batch import Batches, Source
from quantlab.data.digits import PARTS, DigitsSource, Part, digits_sources, images_from_counts, sample_numbers
from quantlab.errors import DataError


def read_all(part: Part, batch_size: int = 100) -> tuple[np.ndarray, np.ndarray]:
    batches = list(Batches(DigitsSource(part), batch_size))
    labels = [batch.labels for batch in batches if batch.labels is not None]
    return np.concatenate([batch.feeds["image"] for batch in batches]), np.concatenate(labels)


def test_parts_are_disjoint_and_together_hold_every_digit():
    together = np.concatenate([sample_numbers(part) for part in PARTS])
    np.testing.assert_array_equal(np.sort(together), np.arange(1797))


def test_parts_have_the_sizes_that_the_run_needs():
    assert {part: DigitsSource(part).size for part in PARTS} == {"train": 773, "calibration": 384, "evaluation": 640}


@pytest.mark.parametrize("part", PARTS)
def test_every_class_has_its_share_of_a_part(part: Part):
    _, labels = read_all(part)
    everywhere = np.bincount(np.concatenate([read_all(other)[1] for other in PARTS]), minlength=10)
    expected = everywhere * (len(labels) / 1797)
    # Largest remainder rounds each of the two stored parts by less than one sample; `train` takes what both leave.
    np.testing.assert_array_less(np.abs(np.bincount(labels, minlength=10) - expected), 2.0)


@pytest.mark.parametrize("part", PARTS)
def test_parts_are_scikit_learns_digits(part: Part):
    datasets = pytest.importorskip("sklearn.datasets")
    digits = datasets.load_digits()
    images, labels = read_all(part)
    samples = sample_numbers(part)
    np.testing.assert_array_equal(labels, digits.target[samples])
    np.testing.assert_array_equal(images, images_from_counts(digits.images[samples].astype(np.uint8)))


def test_no_image_of_one_part_occurs_in_another():
    # Equal drawings under two sample numbers would leak training samples into the evaluation.
    digests = [hashlib.sha256(image.tobytes()).digest() for part in PARTS for image in read_all(part)[0]]
    assert len(set(digests)) == len(digests)


def test_images_are_normalised_float32_of_32_by_32():
    images, labels = read_all("evaluation")
    assert images.dtype == np.float32
    assert images.shape == (640, 1, 32, 32)
    assert labels.dtype == np.int64
    assert (images.min(), images.max()) == (-1.0, 1.0)


def test_upsampling_equals_onnx_resize():
    model = onnx.parser.parse_model(
        """<ir_version: 9, opset_import: ["": 18]>
        resize (float[n, 1, 8, 8] x) => (float[n, 1, 32, 32] y)
        <float[4] scales = {1.0, 1.0, 4.0, 4.0}> { y = Resize<mode = "linear">(x, , scales) }"""
    )
    counts = np.random.default_rng(0).integers(0, 17, (5, 8, 8), dtype=np.uint8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"x": counts[:, np.newaxis].astype(np.float32) / 8 - 1})
    # All values are multiples of 1/512: both sides are exact, whatever the order of their sums.
    np.testing.assert_array_equal(images_from_counts(counts), expected)


def test_images_are_the_same_bits_as_when_the_model_was_trained():
    images, labels = read_all("evaluation")
    digest = hashlib.sha256(images.astype("<f4").tobytes() + labels.astype("<i8").tobytes()).hexdigest()
    assert digest == "c2cfa7c0e5c37e05fc1b1d4991c46c0c463487e6bb02f0585c6a007119763abb"


@settings(deadline=None, max_examples=30)
@given(batch_size=st.integers(1, 500), start=st.integers(0, 400), stop=st.none() | st.integers(0, 800))
def test_batching_changes_neither_samples_nor_order(batch_size: int, start: int, stop: int | None):
    images, labels = read_all("calibration")
    batches = list(DigitsSource("calibration").read(start, stop, batch_size))
    expected = slice(start, stop)
    assert all(0 < batch.size <= batch_size for batch in batches)
    assert [batch.first for batch in batches] == list(range(start, start + sum(b.size for b in batches), batch_size))
    found = [batch.feeds["image"] for batch in batches]
    np.testing.assert_array_equal(np.concatenate([images[:0], *found]), images[expected])
    found_labels = [cast(np.ndarray, batch.labels) for batch in batches]
    np.testing.assert_array_equal(np.concatenate([labels[:0], *found_labels]), labels[expected])


def test_calibration_and_evaluation_come_as_a_pair_under_the_models_input_name():
    sources: tuple[Source, Source] = digits_sources("pixels")
    assert [source.name for source in sources] == ["digits (calibration)", "digits (evaluation)"]
    assert [set(next(source.read(0, 1, 1)).feeds) for source in sources] == [{"pixels"}, {"pixels"}]


def test_an_unknown_part_is_refused_with_the_known_ones():
    with pytest.raises(DataError, match="train, calibration, evaluation"):
        DigitsSource("test")  # type: ignore[arg-type]


def test_an_empty_batch_is_refused():
    with pytest.raises(DataError, match="at least 1"):
        next(DigitsSource("train").read(0, None, 0))


def test_the_shared_arrays_cannot_be_changed_by_a_reader():
    with pytest.raises(ValueError, match="read-only"):
        sample_numbers("train")[0] = 7
