from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from quantlab.data.batch import InputSpec
from quantlab.data.conform import conform, labels_from, truth_from
from quantlab.errors import DataError

from .specs import COLOUR, FREE, IMAGE, TOKENS


def test_values_of_the_right_dtype_are_not_copied():
    array = np.zeros((2, 1, 4, 4), np.float32)
    assert np.shares_memory(conform(array, IMAGE, where="a"), array)


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.uint8, np.int32, np.int64, np.bool_, ">f4"])
def test_numbers_are_cast_to_the_dtype_of_the_input(dtype):
    array = np.arange(32).reshape(2, 1, 4, 4).astype(dtype)
    result = conform(array, IMAGE, where="a")
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, array.astype(np.float32))


@given(values=hnp.arrays(np.int64, (3, 2), elements=st.integers(-(2**63), 2**63 - 1)))
def test_integers_are_cast_exactly_or_refused(values):
    spec = InputSpec("x", np.dtype(np.float32), ("N", 2))
    exact = all(int(np.float32(v)) == int(v) for v in values.ravel())
    if exact:
        assert [int(v) for v in conform(values, spec, where="a").ravel()] == [int(v) for v in values.ravel()]
    else:
        with pytest.raises(DataError, match="cannot hold exactly"):
            conform(values, spec, where="a")


def test_whole_floats_become_token_numbers_and_fractions_are_refused():
    assert conform(np.array([[1.0, 2.0]]), TOKENS, where="a").dtype == np.int64
    with pytest.raises(DataError, match=r"a: sample 7 holds 2\.5, which int64 cannot hold exactly"):
        conform(np.array([[1.0, 2.5]]), TOKENS, where="a", first=7)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_a_sample_that_is_not_finite_is_named_by_its_number(value):
    array = np.zeros((3, 1, 4, 4), np.float64)
    array[1, 0, 2, 3] = value
    kind = "NaN" if np.isnan(value) else "infinity"
    with pytest.raises(DataError, match=f"x.npz: sample 11 holds {kind} \\(1 of its 16 values"):
        conform(array, IMAGE, where="x.npz", first=10)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_float_that_is_not_finite_never_becomes_an_integer(value):
    with pytest.raises(DataError, match="sample 0 holds"):
        conform(np.array([[value, 1.0]]), TOKENS, where="a")


@pytest.mark.parametrize(
    ("shape", "spec", "repair"),
    [
        ((1, 4, 4), IMAGE, "add the batch axis"),
        ((9, 4, 4), IMAGE, "channel axis is missing"),
        ((9, 8, 8, 3), COLOUR, r"looks like NHWC: array.transpose\(0, 3, 1, 2\)"),
        ((9, 3, 8, 8), InputSpec("x", np.dtype(np.float32), (None, 8, 8, 3)), "looks like NCHW"),
        ((9, 3, 8, 9), COLOUR, r"the model needs input: float32\[N, 3, 8, 8\]$"),
        ((9, 48), COLOUR, r"has shape \[9, 48\]"),
        ((), COLOUR, "single number"),
    ],
)
def test_a_wrong_shape_is_refused_with_its_repair(shape, spec, repair):
    with pytest.raises(DataError, match=repair):
        conform(np.zeros(shape, np.float32), spec, where="a")


def test_free_axes_and_an_unknown_rank_take_any_size():
    assert conform(np.zeros((1, 3, 5, 6), np.float32), FREE, where="a").shape == (1, 3, 5, 6)
    assert conform(np.zeros((1, 2), np.float32), InputSpec("x", np.dtype(np.float32), None), where="a").shape == (1, 2)


def test_a_fixed_batch_size_of_the_model_does_not_limit_the_number_of_samples():
    spec = InputSpec("x", np.dtype(np.float32), (1, 2))
    assert conform(np.zeros((5, 2), np.float32), spec, where="a").shape == (5, 2)


BAD_VALUES: list[Any] = [
    np.array([["a", "b"]]),
    np.array([[1j, 2]]),
    np.array([[None, {}]], dtype=object),
    np.zeros((1, 2), dtype="datetime64[s]"),
    np.zeros((1, 2), dtype=[("r", np.uint8)]),
]


@pytest.mark.parametrize("array", BAD_VALUES, ids=lambda a: str(a.dtype))
def test_values_that_are_no_numbers_are_refused(array):
    with pytest.raises(DataError, match="cannot be fed"):
        conform(array, InputSpec("x", np.dtype(np.float32), ("N", 2)), where="a")


@pytest.mark.parametrize("given_labels", [[0, 3], [[0], [3]], [0.0, 3.0], np.array([0, 3], np.uint8)])
def test_labels_of_any_whole_type_become_int64(given_labels):
    labels = labels_from(np.asarray(given_labels), where="a")
    assert labels.dtype == np.int64
    assert labels.tolist() == [0, 3]


@pytest.mark.parametrize(
    ("given_labels", "message"),
    [
        (np.eye(3), "one-hot rows take argmax"),
        (np.array(["cat"]), "one class number per sample"),
        (np.zeros((2, 4, 4)), "one class number per sample"),
        (np.array([0.0, 0.5]), "sample 11 is 0.5"),
        (np.array([0.0, np.nan]), "sample 11 is nan"),
        (np.array([0, -1]), "sample 11 is -1; labels count the classes from 0"),
        (np.array(3), "one class number per sample"),
    ],
)
def test_labels_that_are_not_class_numbers_are_refused(given_labels, message):
    with pytest.raises(DataError, match=message):
        labels_from(given_labels, where="a", first=10)


@pytest.mark.parametrize(
    "given_labels", [np.zeros((3, 4, 4), np.uint8), np.zeros(3, np.float32), np.zeros((3, 1), np.int64)]
)
def test_labels_that_may_be_anything_stay_as_they_are(given_labels):
    assert truth_from(given_labels, where="a") is given_labels


def test_a_whole_number_per_sample_is_a_class_even_where_labels_may_be_anything():
    assert truth_from(np.array([0, 3], np.uint8), where="a") is None


def test_labels_that_are_no_numbers_are_refused_even_where_they_may_be_anything():
    with pytest.raises(DataError, match="a: values of type <U3 are no numbers"):
        truth_from(np.array(["cat"]), where="a")
