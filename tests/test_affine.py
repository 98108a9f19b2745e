"""The arithmetic of quantization: its properties, and that runtimes compute the same."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from quantlab.affine import (
    SMALLEST_SCALE,
    Encoding,
    Range,
    bias_encoding,
    dequantize,
    encoding_from_range,
    fake_quantize,
    quantize,
)
from quantlab.errors import CalibrationError
from quantlab.scheme import Scheme

INT8, UINT8 = Scheme("int8"), Scheme("uint8", symmetric=False)
SCHEMES = st.sampled_from([INT8, Scheme("int8", narrow=True), UINT8, Scheme("int8", symmetric=False)])
BOUNDS = st.floats(-(2.0**99), 2.0**99, width=32)
VALUES = hnp.arrays(np.float32, st.integers(1, 40), elements=st.floats(-(2.0**99), 2.0**99, width=32))


@st.composite
def encodings(draw: st.DrawFn) -> Encoding:
    scheme = draw(SCHEMES)
    low, high = sorted((draw(BOUNDS), draw(BOUNDS)))
    return encoding_from_range(Range.of(low, high), scheme)


@settings(deadline=None)
@given(encoding=encodings(), share=hnp.arrays(np.float64, 30, elements=st.floats(0, 1)))
def test_a_value_inside_the_range_comes_back_within_half_a_step(
    encoding: Encoding, share: npt.NDArray[np.float64]
) -> None:
    reached = encoding.range
    values = (reached.low + share * (reached.high - reached.low)).astype(np.float32)
    moved = np.abs(fake_quantize(values, encoding).astype(np.float64) - values)
    # The quotient, the product and the value itself are rounded to float32: 2^-24 of at most 256 steps each.
    assert (moved <= float(encoding.scale) * (0.5 + 3 * 256 * 2.0**-24)).all()


@settings(deadline=None)
@given(encoding=encodings(), values=VALUES)
def test_values_outside_the_range_come_back_as_its_ends(encoding: Encoding, values: npt.NDArray[np.float32]) -> None:
    reached = encoding.range
    returned = fake_quantize(values, encoding)
    assert (returned >= reached.low.astype(np.float32)).all()
    assert (returned <= reached.high.astype(np.float32)).all()


@settings(deadline=None)
@given(encoding=encodings(), values=VALUES)
def test_rounding_twice_is_rounding_once(encoding: Encoding, values: npt.NDArray[np.float32]) -> None:
    once = fake_quantize(values, encoding)
    assert fake_quantize(once, encoding).tobytes() == once.tobytes()


@settings(deadline=None)
@given(encoding=encodings(), values=VALUES)
def test_rounding_keeps_the_order(encoding: Encoding, values: npt.NDArray[np.float32]) -> None:
    assert (np.diff(quantize(np.sort(values), encoding).astype(np.int64)) >= 0).all()


@settings(deadline=None)
@given(encoding=encodings())
def test_zero_is_exact(encoding: Encoding) -> None:
    assert fake_quantize(np.zeros(1, np.float32), encoding)[0] == 0


@settings(deadline=None)
@given(encoding=encodings(), integers=hnp.arrays(np.int64, 20, elements=st.integers(-128, 255)))
def test_every_integer_comes_back_as_itself(encoding: Encoding, integers: npt.NDArray[np.int64]) -> None:
    scheme = encoding.scheme
    inside = np.clip(integers, scheme.lowest, scheme.highest).astype(scheme.numpy_dtype)
    assert np.array_equal(quantize(dequantize(inside, encoding), encoding), inside)


@settings(deadline=None)
@given(low=BOUNDS, high=BOUNDS, scheme=SCHEMES)
def test_an_encoding_reaches_its_range_up_to_half_a_step(low: float, high: float, scheme: Scheme) -> None:
    assume(low <= high)
    encoding = encoding_from_range(Range.of(low, high), scheme)
    slack = float(encoding.scale) * (0.5 + 256 * 2.0**-24)  # the zero point and the scale are rounded
    assert float(encoding.range.low) <= min(low, 0) + slack
    assert float(encoding.range.high) >= max(high, 0) - slack


@settings(deadline=None)
@given(low=BOUNDS, high=BOUNDS, scheme=SCHEMES)
def test_the_scale_is_the_exact_one_rounded_to_float32(low: float, high: float, scheme: Scheme) -> None:
    assume(low <= high)
    encoding = encoding_from_range(Range.of(low, high), scheme)
    below, above = min(Fraction(low), Fraction(0)), max(Fraction(high), Fraction(0))
    if scheme.symmetric:
        exact = max(-below, above) / scheme.highest
    else:
        exact = (above - below) / (scheme.highest - scheme.lowest)
    if exact == 0:
        assert encoding.scale == 1
    elif exact >= Fraction(SMALLEST_SCALE):
        # Rounded through float64, which may tip an exact tie: one float32 step of 2^-23 at most.
        assert abs(Fraction(float(encoding.scale)) / exact - 1) <= Fraction(1, 2**24) * (1 + Fraction(1, 2**20))
    else:
        assert float(encoding.scale) == SMALLEST_SCALE
    assert encoding.scale.dtype == np.float32
    assert scheme.lowest <= int(encoding.zero_point) <= scheme.highest


@settings(deadline=None)
@given(encoding=encodings())
def test_the_range_of_an_affine_encoding_gives_it_back(encoding: Encoding) -> None:
    if not encoding.scheme.symmetric and encoding.scale != 1:
        assert encoding_from_range(encoding.range, encoding.scheme).same_as(encoding)


@settings(deadline=None)
@given(values=hnp.arrays(np.float32, (3, 4), elements=st.floats(-100, 100, width=32)), scheme=SCHEMES)
def test_each_channel_is_encoded_as_if_alone(values: npt.NDArray[np.float32], scheme: Scheme) -> None:
    for axis in (0, 1, -1):
        rows = np.moveaxis(values, axis, 0)
        per_channel = Scheme(scheme.dtype, scheme.symmetric, axis, scheme.narrow)
        encoding = encoding_from_range(Range.of(rows.min(axis=1), rows.max(axis=1)), per_channel)
        returned = np.moveaxis(fake_quantize(values, encoding), axis, 0)
        for row, one in zip(rows, returned, strict=True):
            alone = encoding_from_range(Range.of(row.min(), row.max()), scheme)
            assert fake_quantize(row, alone).tobytes() == one.tobytes()


def _runtime_model(dtype: str) -> onnxruntime.InferenceSession:
    """A model x, scale, zero point -> integers, floats."""
    integer = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    graph = onnx.parser.parse_graph(
        "g (float[N] x, float s, T z) => (T[N] q, float[N] y) "
        "{ q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z) }".replace("T", dtype)
    )
    assert graph.output[0].type.tensor_type.elem_type == integer
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 19)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def runtimes() -> dict[str, onnxruntime.InferenceSession]:
    return {dtype: _runtime_model(dtype) for dtype in ("int8", "uint8")}


@settings(deadline=None)
@given(encoding=encodings(), seed=st.integers(0, 2**32 - 1))
def test_onnxruntime_computes_the_same_bits(
    runtimes: dict[str, onnxruntime.InferenceSession], encoding: Encoding, seed: int
) -> None:
    assume(not encoding.scheme.narrow)  # the runtime's int8 reaches -128
    generator = np.random.default_rng(seed)
    steps = np.concatenate([generator.uniform(-300, 300, 200), generator.integers(-300, 300, 50) + 0.5])
    values = (steps * float(encoding.scale)).astype(np.float32)  # ties and near-ties among them
    feeds = {"x": values, "s": encoding.scale, "z": encoding.zero_point}
    integers, floats = runtimes[encoding.scheme.dtype].run(None, feeds)
    assert np.array_equal(quantize(values, encoding), integers)
    assert fake_quantize(values, encoding).tobytes() == floats.tobytes()


def test_ties_go_to_the_even_integer() -> None:
    encoding = Encoding(np.array(1, np.float32), np.array(0, np.int8), INT8)
    values = np.array([0.5, 1.5, 2.5, -0.5, -1.5], np.float32)
    assert quantize(values, encoding).tolist() == [0, 2, 2, 0, -2]


def test_infinity_is_clipped() -> None:
    encoding = encoding_from_range(Range.of(-1, 2), UINT8)
    assert quantize(np.array([np.inf, -np.inf], np.float32), encoding).tolist() == [255, 0]


def test_a_range_of_nothing_gets_scale_one() -> None:
    encoding = encoding_from_range(Range.of([0, -1], [0, 1]), Scheme("int8", axis=0))
    assert encoding.scale[0] == 1
    assert encoding.zero_point.tolist() == [0, 0]


def test_a_range_away_from_zero_is_widened_to_it() -> None:
    encoding = encoding_from_range(Range.of(5, 10), UINT8)
    assert (int(encoding.zero_point), float(encoding.range.low)) == (0, 0.0)
    mirrored = encoding_from_range(Range.of(-10, -5), UINT8)
    assert (int(mirrored.zero_point), float(mirrored.range.high)) == (255, 0.0)


def test_a_tiny_range_gets_the_smallest_normal_scale() -> None:
    for scheme in (INT8, UINT8):
        assert float(encoding_from_range(Range.of(-1e-44, 1e-44), scheme).scale) == SMALLEST_SCALE


def test_integers_of_a_huge_range_stand_for_finite_values() -> None:
    largest = float(np.finfo(np.float32).max) / 2
    for scheme in (INT8, UINT8):
        encoding = encoding_from_range(Range.of(-largest, largest), scheme)
        ends = np.array([scheme.lowest, scheme.highest], scheme.numpy_dtype)
        assert np.isfinite(dequantize(ends, encoding)).all()


@pytest.mark.parametrize(
    ("low", "high", "fault"),
    [
        (np.nan, 1, "low is not finite"),
        (0, np.inf, "high is not finite"),
        ([0, 0], [1, np.nan], "high is not finite in channel 1"),
        (1, 0, "low is above high"),
        (0, 3e38, "high is above 1.7e[+]38"),
    ],
)
def test_a_range_without_an_encoding_is_refused(low: Any, high: Any, fault: str) -> None:
    with pytest.raises(CalibrationError, match=fault):
        encoding_from_range(Range.of(low, high), INT8)


def test_a_single_value_keeps_its_shape() -> None:
    encoding = encoding_from_range(Range.of(-1, 1), INT8)
    integer = quantize(np.array(0.5, np.float32), encoding)
    assert isinstance(integer, np.ndarray)
    assert isinstance(dequantize(integer, encoding), np.ndarray)
    assert integer.shape == dequantize(integer, encoding).shape == ()


def test_int32_values_come_back_as_the_runtime_reads_them() -> None:
    encoding = Encoding(np.array(0.5, np.float32), np.array(0, np.int32), Scheme("int32"))
    integers = np.array([2**31 - 1, -(2**31) + 1, 16_777_217], np.int32)
    expected = integers.astype(np.float32) * np.float32(0.5)
    assert dequantize(integers, encoding).tobytes() == expected.tobytes()
    assert quantize(np.array([1e30, -1e30], np.float32), encoding).tolist() == [2**31 - 1, -(2**31) + 1]


def test_a_bias_has_the_product_of_the_scales() -> None:
    activation = encoding_from_range(Range.of(0, 6), UINT8)
    weight = encoding_from_range(Range.of([-1, -2], [1, 2]), Scheme("int8", axis=0, narrow=True))
    bias = bias_encoding(activation, weight)
    assert bias.scale.tobytes() == (activation.scale * weight.scale).tobytes()
    assert bias.scheme == Scheme("int32", axis=0)
    assert bias.zero_point.tolist() == [0, 0]
    per_tensor = bias_encoding(activation, encoding_from_range(Range.of(-1, 1), INT8))
    assert per_tensor.scale.shape == ()
    assert per_tensor.scheme.axis is None


def test_the_axis_of_a_bias_is_its_own_whatever_the_weight_has() -> None:
    weight = encoding_from_range(Range.of([-1, -2], [1, 2]), Scheme("int8", axis=1))
    assert bias_encoding(encoding_from_range(Range.of(0, 1), UINT8), weight).scheme.axis == 0


def test_the_scale_of_a_bias_never_vanishes() -> None:
    tiny = encoding_from_range(Range.of(-1e-25, 1e-25), INT8)
    bias = bias_encoding(tiny, tiny)
    assert float(bias.scale) == SMALLEST_SCALE
    assert fake_quantize(np.zeros(1, np.float32), bias)[0] == 0


def test_equal_is_equal_bit_for_bit() -> None:
    assert Range.of(-0.0, 1).same_as(Range.of(0.0, 1))
    assert str(Range.of(-0.0, 1)) == "[0, 1]"
    assert not Range.of(0, 1).same_as(Range.of([0], [1]))
    assert not Range.of(0, 1).same_as(Range.of(0, np.nextafter(1, 2)))
    encoding = encoding_from_range(Range.of(0, 1), UINT8)
    assert encoding.same_as(encoding_from_range(Range.of(0, 1), UINT8))
    assert not encoding.same_as(encoding_from_range(Range.of(0, 1), Scheme("int8", symmetric=False)))


def test_ranges_and_encodings_print() -> None:
    assert str(Range.of([-1, 0], [2, 3])) == "[-1, 3] x2"
    assert str(encoding_from_range(Range.of(0, 255), UINT8)) == "scale=1 zero_point=0 (uint8 affine)"
    per_channel = encoding_from_range(Range.of([0, 0], [127, 254]), Scheme("int8", axis=0))
    assert str(per_channel) == "scale=1..2 x2 (int8 symmetric axis=0)"
