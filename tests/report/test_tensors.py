import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantlab.affine import Range, encoding_from_range
from quantlab.plan import Plan, Point, Reader
from quantlab.report.tensors import clipped_share, tensor_rows
from quantlab.stats.count import statistics_of
from quantlab.stats.table import Statistics
from tests.models import ACTIVATION, BIAS, WEIGHT

READERS = (Reader("conv", 0),)


@given(st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=200), st.floats(0, 100), st.floats(0, 100))
def test_the_clipped_share_is_that_of_the_values_to_one_bin(values, below, high):
    seen = statistics_of(np.array(values, np.float32))
    array = np.array(values, np.float32).astype(np.float64)
    width = seen.width if seen.exponent is not None else 0.0

    def share(margin: float) -> float:
        return float(((array < -below - margin) | (array > high + margin)).mean())

    found = clipped_share(seen, -below, high)
    assert share(width) - 1e-9 <= found <= share(-width) + 1e-9


def test_what_the_range_holds_is_not_clipped():
    seen = statistics_of(np.linspace(-1, 1, 100, dtype=np.float32))
    assert clipped_share(seen, -1.001, 1.001) == 0.0
    assert clipped_share(seen, 0.0, 1.001) == pytest.approx(0.5, abs=0.01)


def rows_of(*points: Point) -> list[dict[str, object]]:
    encodings = {
        "x": encoding_from_range(Range.of(0, 2), ACTIVATION),
        "w": encoding_from_range(Range(np.array([-1.0, -2.0]), np.array([1.0, 2.0])), WEIGHT),
        "s": encoding_from_range(Range.of(0, 1), ACTIVATION),
    }
    seen = {name: statistics_of(np.array([0.0, 1.0, 4.0, 0.0], np.float32)) for name in ("x", "y")}
    plan = Plan("onnxruntime", points)
    return [row.to_json() for row in tensor_rows(plan, encodings, Statistics(seen, 1))]


def test_a_calibrated_tensor_tells_its_range_and_what_was_clipped():
    (row,) = rows_of(Point("x", ACTIVATION, "activation", READERS))
    assert row["origin"] == "calibrated"
    assert (row["low"], row["high"]) == (0.0, pytest.approx(2.0))
    assert (row["minimum"], row["maximum"]) == (0.0, 4.0)
    assert row["clipped_share"] == pytest.approx(0.25)
    assert row["zeros_share"] == pytest.approx(0.5)


def test_a_shared_tensor_tells_whose_encoding_it_has_and_what_itself_held():
    rows = rows_of(
        Point("x", ACTIVATION, "activation", READERS), Point("y", ACTIVATION, "activation", READERS, shared_with="x")
    )
    assert rows[1]["origin"] == "shared with x"
    assert rows[1]["scale"] == rows[0]["scale"]
    assert rows[1]["maximum"] == 4.0


def test_a_weight_tells_its_smallest_and_largest_scale_and_a_bias_none():
    weight = Point("w", WEIGHT, "weight", READERS)
    bias = Point("b", BIAS, "bias", READERS, derived_from=("x", "w"))
    _, told, derived = rows_of(Point("x", ACTIVATION, "activation", READERS), weight, bias)
    assert told["scale"] == [pytest.approx(1 / 127), pytest.approx(2 / 127)]
    assert told["zero_point"] is None
    assert told["clipped_share"] is None
    assert (derived["origin"], derived["scale"]) == ("derived", None)


def test_a_range_known_without_data_is_called_fixed():
    (row,) = rows_of(Point("s", ACTIVATION, "activation", READERS, fixed_range=(0.0, 1.0)))
    assert row["origin"] == "fixed"
    assert row["clipped_share"] is None
