"""Times open sessions in turns, A B A B ..., so that a machine that speeds up or slows down does so for all of them.

A turn is one untimed run, then `RUNS_PER_TURN` timed ones; every round starts with the next model. All sessions stay
open: they do not spin, so the threads of the waiting ones sleep. Measured on two cores, 20 convolutions, 2 threads
(median, p90 in ms): alone 1.68, 1.75; in turns with a second session 1.69, 1.77; with spinning 1.29, 1.33 alone but
2.56, 6.55 in turns. The untimed run brings the model's weights back into the cache: for 38 MB of weights, runs
strictly in turns took 5 % longer than alone, with it 3 %.

What is timed is the call of `Session.run`, from arrays to arrays.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from quantlab.data.batch import Feeds
from quantlab.engines.engine import Session
from quantlab.errors import DataError, RecipeError
from quantlab.evaluation.accuracy import CONFIDENCE, Interval

RUNS_PER_TURN = 4
_FEWEST_TURNS = 3
_MOST_KEPT = 1000
_MOST_TOLD = 200
_RESAMPLES = 2000

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class LatencySettings:
    """How long to measure.

    Attributes:
        runs: timed runs per model and batch size, at least 1; rounded up to whole turns.
        warmup: untimed runs before, at least 0.
        seconds: the most time for one batch size, all models together; after it at least three turns are timed.
    """

    runs: int = 100
    warmup: int = 10
    seconds: float = 20.0

    def __post_init__(self) -> None:
        if self.runs < 1 or self.warmup < 0 or not self.seconds > 0:
            raise RecipeError(f"latency: {self} is out of limits; runs ≥ 1, warmup ≥ 0, seconds > 0")

    @property
    def turns(self) -> int:
        """How many turns of `RUNS_PER_TURN` runs each model gets for one batch size, if the time allows it."""
        return max(_FEWEST_TURNS, -(-self.runs // RUNS_PER_TURN))


@dataclass(frozen=True, slots=True)
class Latency:
    """How long one run takes, from arrays to arrays.

    Attributes:
        batch_size: samples per run.
        threads: the engine's threads, in its own words.
        runs: timed runs.
        median_ms: half of the runs are faster.
        p90_ms: nine of ten runs are faster.
        p99_ms: 99 of 100 runs are faster; of fewer runs, nearly the slowest.
        mean_ms: the mean of all runs.
        samples_ms: the first runs one by one, at most 1,000, in turns of `RUNS_PER_TURN`.
    """

    batch_size: int
    threads: str
    runs: int
    median_ms: float
    p90_ms: float
    p99_ms: float
    mean_ms: float
    samples_ms: tuple[float, ...]

    @property
    def images_per_second(self) -> float:
        """Samples per second at the median."""
        return 1000 * self.batch_size / self.median_ms

    @property
    def is_unsteady(self) -> bool:
        """Whether one run in ten took over twice the median, as on a machine that is busy with other things."""
        return self.p90_ms > 2 * self.median_ms

    def to_json(self) -> dict[str, Any]:
        """Return plain values; of the single runs the first `_MOST_TOLD`, to four digits."""
        names = ("batch_size", "threads", "runs", "median_ms", "p90_ms", "p99_ms", "mean_ms", "images_per_second")
        told = [float(f"{value:.4g}") for value in self.samples_ms[:_MOST_TOLD]]
        return {**{name: getattr(self, name) for name in names}, "runs_ms": told}

    def __str__(self) -> str:
        return (
            f"batch {self.batch_size}: median {self.median_ms:.3g} ms, p90 {self.p90_ms:.3g}, p99 {self.p99_ms:.3g}, "
            f"{self.images_per_second:,.0f} images/s ({self.runs} runs, threads: {self.threads})"
        )


@dataclass(frozen=True, slots=True)
class Speedup:
    """How many times faster a model is than the reference; below 1 it is slower.

    Attributes:
        ratio: median of the reference / median of the other.
        interval: 95 % bootstrap interval over rounds, of both models together.
    """

    ratio: float
    interval: Interval

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"ratio": self.ratio, "interval": list(self.interval)}

    def __str__(self) -> str:
        return f"{self.ratio:.2f}x [{self.interval[0]:.2f}, {self.interval[1]:.2f}]"


def measure_latency(
    sessions: Mapping[str, Session],
    feeds: Feeds,
    settings: LatencySettings,
    *,
    threads: Mapping[str, str],
    clock: Clock = time.perf_counter,
    on_turn: Callable[[int], None] | None = None,
) -> dict[str, Latency]:
    """Return the latency of each session for the same feeds.

    Args:
        sessions: by the name of the model; all open.
        feeds: one batch, of the size to measure.
        settings: how long.
        threads: by the name of the model, what to report.
        clock: seconds, increasing.
        on_turn: called with 1 after each turn of all models, between timed runs.

    Raises:
        DataError, EngineError: as `Session.run`.
    """
    if not sessions:
        return {}
    begin = clock()
    _warm_up(sessions, feeds, settings, clock)
    names = list(sessions)
    times: dict[str, list[float]] = {name: [] for name in names}
    with _no_garbage_collection():
        for turn in range(settings.turns):
            if turn >= _FEWEST_TURNS and clock() - begin > settings.seconds:
                break
            first = turn % len(names)
            for name in names[first:] + names[:first]:
                times[name] += _turn(sessions[name], feeds, clock)
            if on_turn:
                on_turn(1)
    batch_size = next(iter(feeds.values())).shape[0]
    return {name: _latency(times[name], batch_size, threads[name]) for name in names}


def speedup(reference: Latency, other: Latency, seed: int = 0) -> Speedup:
    """Return how many times faster `other` is, from runs that were measured in the same rounds.

    Raises:
        DataError: the two were not measured together: batch sizes or numbers of runs differ.
    """
    if reference.batch_size != other.batch_size or len(reference.samples_ms) != len(other.samples_ms):
        raise DataError("speedup: the two latencies are not of the same rounds; measure both models in one call")
    ours, theirs = _rounds(other), _rounds(reference)
    picks = np.random.default_rng(seed).integers(len(ours), size=(_RESAMPLES, len(ours)))
    medians = [np.median(rounds[picks].reshape(_RESAMPLES, -1), axis=1) for rounds in (theirs, ours)]
    low, high = np.quantile(medians[0] / medians[1], [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Speedup(reference.median_ms / other.median_ms, (float(low), float(high)))


def repeated(feeds: Feeds, batch_size: int) -> dict[str, npt.NDArray[Any]]:
    """Return a batch of the size wanted: the first samples, from the start again where there are too few."""
    rows = {name: np.arange(batch_size) % array.shape[0] for name, array in feeds.items()}
    return {name: np.ascontiguousarray(array[rows[name]]) for name, array in feeds.items()}


def _rounds(latency: Latency) -> npt.NDArray[np.float64]:
    return np.array(latency.samples_ms).reshape(-1, RUNS_PER_TURN)


def _warm_up(sessions: Mapping[str, Session], feeds: Feeds, settings: LatencySettings, clock: Clock) -> None:
    """Run each session untimed, for at most a quarter of the time; the turns have untimed runs of their own."""
    begin = clock()
    for _ in range(settings.warmup):
        for session in sessions.values():
            session.run(feeds)
        if clock() - begin > settings.seconds / 4:
            return


def _turn(session: Session, feeds: Feeds, clock: Clock) -> list[float]:
    session.run(feeds)
    times = []
    for _ in range(RUNS_PER_TURN):
        begin = clock()
        session.run(feeds)
        times.append(clock() - begin)
    return times


def _latency(seconds: list[float], batch_size: int, threads: str) -> Latency:
    milliseconds = 1000 * np.array(seconds)
    median, p90, p99 = (float(q) for q in np.quantile(milliseconds, [0.5, 0.9, 0.99]))
    kept = tuple(float(value) for value in milliseconds[:_MOST_KEPT])
    return Latency(batch_size, threads, len(seconds), median, p90, p99, float(milliseconds.mean()), kept)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Keep Python's collector out of the timed runs."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
