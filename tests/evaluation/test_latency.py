"""Latency with a clock that the test sets, so that no test depends on the machine's speed."""

from __future__ import annotations

import gc
import json
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantlab.data.batch import Array, Feeds
from quantlab.engines import OnnxRuntime
from quantlab.engines.engine import Session
from quantlab.errors import DataError, RecipeError
from quantlab.evaluation.latency import (
    RUNS_PER_TURN,
    Latency,
    LatencySettings,
    measure_latency,
    repeated,
    speedup,
)
from tests.engines.models import chain

FEEDS = {"x": np.ones((2, 4), np.float32)}


class Clock:
    """Seconds that pass only while a session runs."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class TimedSession(Session):
    """Takes the times given, again and again, and writes its name into a log."""

    def __init__(self, name: str, clock: Clock, seconds: list[float], log: list[str]) -> None:
        super().__init__((), ())
        self._name, self._clock, self._seconds, self._log = name, clock, seconds, log
        self._runs = 0

    def run(self, feeds: Feeds) -> dict[str, Array]:
        self._clock.now += self._seconds[self._runs % len(self._seconds)]
        self._runs += 1
        self._log.append(self._name)
        return {}

    def _run(self, feeds: Feeds) -> Mapping[str, Array]:
        raise NotImplementedError


def measure(seconds: Mapping[str, list[float]], settings: LatencySettings) -> tuple[dict[str, Latency], list[str]]:
    clock, log = Clock(), list[str]()
    sessions = {name: TimedSession(name, clock, times, log) for name, times in seconds.items()}
    latencies = measure_latency(sessions, FEEDS, settings, threads=dict.fromkeys(seconds, "1"), clock=clock)
    return latencies, log


def test_models_take_turns_and_each_round_starts_with_the_next():
    _, log = measure({"A": [1.0], "B": [1.0]}, LatencySettings(runs=12, warmup=1, seconds=1000))
    turn = RUNS_PER_TURN + 1
    a, b = ["A"] * turn, ["B"] * turn
    assert log == ["A", "B", *a, *b, *b, *a, *a, *b]


def test_the_first_run_of_a_turn_is_not_timed():
    slow_first = [0.9, 0.1, 0.1, 0.1, 0.1]
    latencies, _ = measure({"A": slow_first}, LatencySettings(runs=20, warmup=0, seconds=1000))
    assert latencies["A"].runs == 20
    assert latencies["A"].p99_ms == pytest.approx(100)


def test_quantiles_are_those_of_numpy():
    # The first number is that of the untimed run.
    times = [0.5, *(0.001 * i for i in range(1, 5))]
    latencies, _ = measure({"A": times}, LatencySettings(runs=12, warmup=0, seconds=1000))
    expected = np.tile([1.0, 2.0, 3.0, 4.0], 3)
    found = latencies["A"]
    assert (found.median_ms, found.p90_ms) == pytest.approx((2.5, np.quantile(expected, 0.9)))
    assert found.mean_ms == pytest.approx(2.5)
    assert found.batch_size == 2
    assert found.images_per_second == pytest.approx(2000 / 2.5)
    assert found.samples_ms == pytest.approx(expected)


def test_a_busy_machine_shows_in_the_slowest_tenth():
    steady, _ = measure({"A": [0.1, 0.1, 0.1, 0.1, 0.15]}, LatencySettings(runs=12, warmup=0, seconds=1000))
    busy, _ = measure({"A": [0.1, 0.1, 0.1, 0.1, 0.3]}, LatencySettings(runs=12, warmup=0, seconds=1000))
    assert not steady["A"].is_unsteady
    assert busy["A"].is_unsteady


def test_time_ends_the_measurement_but_not_before_three_turns():
    latencies, log = measure({"A": [1.0], "B": [1.0]}, LatencySettings(runs=1000, warmup=100, seconds=0.5))
    assert latencies["A"].runs == latencies["B"].runs == 3 * RUNS_PER_TURN
    assert log[:2] == ["A", "B"]  # one round of warm-up, then time was up for it
    assert len(log) == 2 + 2 * 3 * (RUNS_PER_TURN + 1)


def test_only_the_first_thousand_runs_are_kept():
    latencies, _ = measure({"A": [0.001]}, LatencySettings(runs=1200, warmup=0, seconds=1000))
    assert latencies["A"].runs == 1200
    assert len(latencies["A"].samples_ms) == 1000


def test_the_garbage_collector_is_put_back():
    assert gc.isenabled()
    measure({"A": [0.001]}, LatencySettings(runs=1))
    assert gc.isenabled()


def test_without_sessions_there_is_nothing_to_measure():
    assert measure_latency({}, FEEDS, LatencySettings(), threads={}) == {}


def test_the_ratio_of_constant_times_is_exact():
    latencies, _ = measure({"A": [0.3], "B": [0.1]}, LatencySettings(runs=40, seconds=1000))
    found = speedup(latencies["A"], latencies["B"])
    assert found.ratio == pytest.approx(3)
    assert found.interval == pytest.approx((3, 3))
    assert str(found) == "3.00x [3.00, 3.00]"


@settings(deadline=None, max_examples=20)
@given(st.lists(st.floats(0.001, 1.0), min_size=5, max_size=5), st.lists(st.floats(0.001, 1.0), min_size=5, max_size=5))
def test_the_interval_of_the_ratio_holds_it(first: list[float], second: list[float]):
    latencies, _ = measure({"A": first, "B": second}, LatencySettings(runs=12, warmup=0, seconds=1000))
    found = speedup(latencies["A"], latencies["B"])
    # Every turn takes the same times here, so that the bounds meet up to the rounding of the clock's sums.
    assert found.interval == pytest.approx((found.ratio, found.ratio), rel=1e-6)


def test_latencies_of_other_rounds_are_refused():
    first, _ = measure({"A": [0.3]}, LatencySettings(runs=12))
    second, _ = measure({"A": [0.3]}, LatencySettings(runs=16))
    with pytest.raises(DataError, match="same rounds"):
        speedup(first["A"], second["A"])


def test_too_few_samples_are_repeated_in_order():
    feeds = {"x": np.arange(6).reshape(3, 2)}
    np.testing.assert_array_equal(repeated(feeds, 5)["x"][:, 0], [0, 2, 4, 0, 2])
    np.testing.assert_array_equal(repeated(feeds, 2)["x"], feeds["x"][:2])


@pytest.mark.parametrize("wrong", [{"runs": 0}, {"warmup": -1}, {"seconds": 0.0}])
def test_settings_out_of_limits_are_refused(wrong: dict[str, int]):
    with pytest.raises(RecipeError, match="out of limits"):
        LatencySettings(**wrong)


def test_real_sessions_are_measured():
    engine = OnnxRuntime(threads=1)
    with engine.open(chain()) as one, engine.open(chain()) as other:
        latencies = measure_latency(
            {"A": one, "B": other}, FEEDS, LatencySettings(runs=8, warmup=1), threads={"A": "1", "B": "1"}
        )
    assert all(latency.median_ms > 0 and latency.runs == 12 for latency in latencies.values())
    assert json.loads(json.dumps(latencies["A"].to_json()))["batch_size"] == 2
    assert "images/s" in str(latencies["A"])
