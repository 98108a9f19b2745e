"""Ranges of weights, per channel and per tensor."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantlab.affine import Range, encoding_from_range, fake_quantize
from quantlab.calibrators.weights import weight_range
from quantlab.errors import CalibrationError
from quantlab.scheme import Scheme


def _weight(*shape: int, seed: int = 0) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).standard_t(4, shape).astype(np.float32)


def _errors(weight: npt.NDArray[Any], interval: Range, scheme: Scheme) -> npt.NDArray[np.float64]:
    rounded = fake_quantize(weight, encoding_from_range(interval, scheme)).astype(np.float64)
    axes = tuple(axis for axis in range(weight.ndim) if scheme.axis is None or axis != scheme.axis % weight.ndim)
    return np.asarray(np.square(rounded - weight).sum(axis=axes))


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_absmax_is_the_extrema_of_each_channel(axis: int) -> None:
    weight = _weight(4, 3, 5)
    interval = weight_range(weight, Scheme("int8", axis=axis))
    channels = np.moveaxis(weight, axis, 0).reshape(weight.shape[axis], -1)
    assert interval.low.tolist() == np.minimum(channels.min(axis=1), 0).tolist()
    assert interval.high.tolist() == np.maximum(channels.max(axis=1), 0).tolist()


@pytest.mark.parametrize("method", ["absmax", "mse"])
def test_without_an_axis_there_is_one_range(method: Any) -> None:
    interval = weight_range(_weight(4, 3), Scheme("int8"), method)
    assert interval.low.shape == interval.high.shape == ()


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    scheme=st.sampled_from(
        [Scheme("int8", axis=0, narrow=True), Scheme("int8", axis=1), Scheme("uint8", symmetric=False, axis=0)]
    ),
    power=st.sampled_from([-30, 0, 30]),
)
def test_mse_is_the_best_of_its_factors_and_never_worse_than_absmax(seed: int, scheme: Scheme, power: int) -> None:
    weight = np.ldexp(_weight(6, 5, 3, 3, seed=seed), power)
    full, chosen = weight_range(weight, scheme), weight_range(weight, scheme, "mse")
    errors = _errors(weight, chosen, scheme)
    for factor in np.linspace(1.0, 0.2, 41):
        other = _errors(weight, Range(full.low * factor, full.high * factor), scheme)
        assert (errors <= other * (1 + 1e-4)).all()  # float32 sums rank the factors


def test_mse_clips_an_outlier_where_that_pays() -> None:
    weight = np.concatenate([_weight(1, 20_000).clip(-4, 4), [[9.0]]], axis=1)
    interval = weight_range(weight, Scheme("int8", axis=0), "mse")
    assert interval.high[0] < 8.9


@pytest.mark.parametrize("method", ["absmax", "mse"])
def test_a_dead_channel_has_an_empty_range_and_an_encoding(method: Any) -> None:
    weight = _weight(3, 8)
    weight[1] = 0
    scheme = Scheme("int8", axis=0)
    interval = weight_range(weight, scheme, method)
    assert (interval.low[1], interval.high[1]) == (0, 0)
    assert encoding_from_range(interval, scheme).scale[1] == 1


@pytest.mark.parametrize("method", ["absmax", "mse"])
@pytest.mark.parametrize("factor", [1e-38, 1e-44, 1e37])
def test_tiny_and_huge_weights_have_ranges(method: Any, factor: float) -> None:
    scheme = Scheme("int8", axis=0)
    interval = weight_range((_weight(3, 8) * factor).astype(np.float32), scheme, method)
    assert np.isfinite(encoding_from_range(interval, scheme).scale).all()


@pytest.mark.parametrize("method", ["absmax", "mse"])
def test_blocks_do_not_mix_channels(method: Any) -> None:
    weight = _weight(70, 2000)
    scheme = Scheme("int8", axis=0)
    whole = weight_range(weight, scheme, method)
    for channel in (0, 31, 32, 33, 69):
        alone = weight_range(weight[channel : channel + 1], scheme, method)
        assert (alone.low[0], alone.high[0]) == (whole.low[channel], whole.high[channel])


def test_a_weight_is_left_unchanged() -> None:
    weight = _weight(4, 6)
    before = weight.copy()
    weight_range(weight, Scheme("int8", axis=1), "mse")
    assert np.array_equal(weight, before)


def test_other_types_count_as_float32() -> None:
    weight = _weight(4, 6).astype(np.float16)
    for scheme in (Scheme("int8", axis=0), Scheme("int8")):
        assert weight_range(weight, scheme).same_as(weight_range(weight.astype(np.float32), scheme))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_name_the_channel(bad: float) -> None:
    weight = _weight(4, 6)
    weight[1, 2] = bad
    with pytest.raises(CalibrationError, match="channel 2 of axis 1"):
        weight_range(weight, Scheme("int8", axis=1))
    with pytest.raises(CalibrationError, match="not finite in float32; repair"):
        weight_range(weight, Scheme("int8"))


def test_an_axis_the_weight_does_not_have_is_refused() -> None:
    with pytest.raises(CalibrationError, match=r"shape \[4, 6\] has no axis 2"):
        weight_range(_weight(4, 6), Scheme("int8", axis=2))


def test_an_empty_weight_has_an_empty_range() -> None:
    interval = weight_range(np.zeros((3, 0), np.float32), Scheme("int8", axis=0), "mse")
    assert interval.low.tolist() == interval.high.tolist() == [0, 0, 0]
