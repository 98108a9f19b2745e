"""What must hold of every registered calibrator, on every kind of tensor and every scheme."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from quantlab.affine import encoding_from_range
from quantlab.calibrators import CALIBRATORS, Calibrator, MinMax, calibrator_named
from quantlab.errors import CalibrationError
from quantlab.scheme import Scheme
from quantlab.stats import Statistics, TensorCounter, TensorStatistics, statistics_of

DEPLOYED = (Scheme("int8"), Scheme("uint8", symmetric=False))
SCHEMES = (
    *DEPLOYED,
    *(Scheme("int8", narrow=True), Scheme("int8", symmetric=False), Scheme("uint8"), Scheme("int32")),
)


def _tensors() -> dict[str, npt.NDArray[np.float32]]:
    generator = np.random.default_rng(0)
    bell = generator.standard_normal((96, 3, 7, 5))
    channels = bell.copy()
    channels[:, 1] = 0
    tensors = {
        "all zero": np.zeros((96, 5)),
        "constant": np.full((96, 5), 2.5),
        "negative constant": np.full((96, 5), -0.1),
        "one value in many zeros": np.where(np.arange(96 * 5).reshape(96, 5) == 77, 1e-3, 0.0),
        "tiny": bell * 1e-38,
        "denormal": bell * 1e-42,
        "huge": bell * 1e37,
        "relu": np.maximum(bell, 0),
        "negated relu": np.minimum(bell, 0),
        "silu": 4 * bell / (1 + np.exp(-4 * bell)),
        "sigmoid": 1 / (1 + np.exp(-3 * bell)),
        "heavy-tailed": generator.standard_t(1.2, bell.shape),
        "far from zero": bell * 0.01 + 7,
        "dead channel": channels,
        "seventy decades": np.sign(bell) * 10.0 ** generator.uniform(-44, 26, bell.shape),
        "two values": np.where(bell > 0, 1.0, -100.0),
    }
    return {name: values.astype(np.float32) for name, values in tensors.items()}


TENSORS = _tensors()


@pytest.fixture(params=sorted(CALIBRATORS))
def calibrator(request: pytest.FixtureRequest) -> Calibrator:
    return calibrator_named(request.param)


@pytest.fixture(params=SCHEMES, ids=lambda scheme: f"{scheme} {'narrow' if scheme.narrow else ''}")
def scheme(request: pytest.FixtureRequest) -> Scheme:
    chosen: Scheme = request.param
    return chosen


@pytest.mark.parametrize("tensor", TENSORS)
def test_a_range_holds_zero_lies_inside_minmax_and_has_an_encoding(
    calibrator: Calibrator, scheme: Scheme, tensor: str
) -> None:
    statistics = statistics_of(TENSORS[tensor])
    chosen, full = calibrator.range_of(statistics, scheme), MinMax().range_of(statistics, scheme)
    assert chosen.low.shape == chosen.high.shape == ()
    assert chosen.low.dtype == chosen.high.dtype == np.float64
    assert chosen.low <= 0 <= chosen.high
    assert chosen.low >= full.low - statistics.width
    assert chosen.high <= full.high + statistics.width
    if full.low < full.high:
        assert chosen.low < chosen.high
    encoding = encoding_from_range(chosen, scheme)
    assert np.isfinite(encoding.scale)
    assert encoding.scale > 0


@pytest.mark.parametrize("scheme", DEPLOYED, ids=str)
@pytest.mark.parametrize("tensor", TENSORS)
def test_statistics_are_left_unchanged_and_the_answer_is_repeated(
    calibrator: Calibrator, scheme: Scheme, tensor: str
) -> None:
    statistics = statistics_of(TENSORS[tensor])
    first = calibrator.range_of(statistics, scheme)
    assert calibrator.range_of(statistics, scheme).same_as(first)
    assert statistics.same_as(statistics_of(TENSORS[tensor]))


def _counted(values: npt.NDArray[np.float32], batch_size: int) -> TensorStatistics:
    counter = TensorCounter()
    for start in range(0, len(values), batch_size):
        counter.add(values[start : start + batch_size])
    return counter.statistics()


def _by_three_workers(values: npt.NDArray[np.float32]) -> TensorStatistics:
    tables = [Statistics({"t": _counted(part, 4)}, len(part)) for part in np.array_split(values, 3)]
    return tables[2].merge(tables[0]).merge(tables[1]).tensors["t"]


@pytest.mark.parametrize("scheme", DEPLOYED, ids=str)
@pytest.mark.parametrize("tensor", TENSORS)
def test_batch_size_order_and_workers_change_no_byte_of_the_encoding(
    calibrator: Calibrator, scheme: Scheme, tensor: str
) -> None:
    values = TENSORS[tensor]
    expected = encoding_from_range(calibrator.range_of(statistics_of(values), scheme), scheme)
    shuffled = np.random.default_rng(5).permutation(values)
    ways = [_counted(values, 1), _counted(values, 7), _counted(values, 64), _counted(shuffled, 7)]
    for statistics in (*ways, _by_three_workers(values)):
        encoding = encoding_from_range(calibrator.range_of(statistics, scheme), scheme)
        assert encoding.same_as(expected)


@pytest.mark.parametrize("power", [-60, -3, 1, 50])
def test_scaling_by_a_power_of_two_scales_the_range(calibrator: Calibrator, power: int) -> None:
    values = TENSORS["heavy-tailed"]
    for scheme in SCHEMES:
        chosen = calibrator.range_of(statistics_of(values), scheme)
        scaled = calibrator.range_of(statistics_of(np.ldexp(values, power)), scheme)
        assert float(scaled.low) == np.ldexp(float(chosen.low), power)
        assert float(scaled.high) == np.ldexp(float(chosen.high), power)


def test_mirrored_values_give_a_mirrored_symmetric_range(calibrator: Calibrator) -> None:
    # One side takes 128 steps, the other 127: only the scheme without the 128th is its own mirror image.
    scheme = Scheme("int8", narrow=True)
    values = TENSORS["heavy-tailed"]
    chosen, mirrored = (calibrator.range_of(statistics_of(sign * values), scheme) for sign in (1, -1))
    assert (float(mirrored.low), float(mirrored.high)) == (-float(chosen.high), -float(chosen.low))


def test_nothing_seen_and_a_scheme_with_an_axis_are_refused(calibrator: Calibrator) -> None:
    with pytest.raises(CalibrationError, match="no value was seen"):
        calibrator.range_of(statistics_of(np.zeros(0)), Scheme("int8"))
    with pytest.raises(CalibrationError, match="without axis"):
        calibrator.range_of(statistics_of(np.ones(3)), Scheme("int8", axis=0))


@pytest.mark.parametrize("scheme", DEPLOYED, ids=str)
@pytest.mark.parametrize("tensor", TENSORS)
def test_a_zero_bound_has_no_sign(calibrator: Calibrator, scheme: Scheme, tensor: str) -> None:
    chosen = calibrator.range_of(statistics_of(TENSORS[tensor]), scheme)
    assert "-0" not in (f"{float(chosen.low):g}", f"{float(chosen.high):g}")
