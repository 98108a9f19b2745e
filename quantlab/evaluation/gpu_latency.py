"""Times a session on a GPU by the GPU's own events: with the copies, and the kernels alone.

    end to end   from the first copy to the GPU to the last copy from it
    gpu          the kernels between them: what `trtexec` calls GPU Compute Time

Wall-clock time of the call, with what Python adds, is what `measure_latency` tells. Warm-up is by time, since a GPU
needs longer to reach its clock than one run takes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from quantlab.data.batch import Feeds
from quantlab.errors import RecipeError
from quantlab.evaluation.latency import repeated


@runtime_checkable
class TimedSession(Protocol):
    """A session that can time its parts, such as TensorRT's."""

    def time_parts(self, feeds: Feeds) -> tuple[float, float]:
        """Run once; return the time with the copies and that of the kernels alone, in ms."""


@dataclass(frozen=True, slots=True)
class GpuLatency:
    """How long one run takes on the GPU.

    Attributes:
        batch_size: samples per run.
        runs: timed runs.
        median_ms: of the time with the copies; half of the runs are faster.
        p90_ms: likewise, nine of ten runs are faster.
        p99_ms: likewise, 99 of 100 runs are faster.
        gpu_median_ms: of the kernels alone.
        gpu_p90_ms: of the kernels alone.
    """

    batch_size: int
    runs: int
    median_ms: float
    p90_ms: float
    p99_ms: float
    gpu_median_ms: float
    gpu_p90_ms: float

    @property
    def images_per_second(self) -> float:
        """Samples per second at the median, with the copies."""
        return 1000 * self.batch_size / self.median_ms

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {**asdict(self), "images_per_second": self.images_per_second}

    def __str__(self) -> str:
        return (
            f"batch {self.batch_size}: median {self.median_ms:.3f} ms, p90 {self.p90_ms:.3f}, p99 {self.p99_ms:.3f}, "
            f"{self.images_per_second:,.0f} images/s; kernels alone {self.gpu_median_ms:.3f} ms ({self.runs} runs)"
        )


@dataclass(frozen=True, slots=True)
class GpuLatencySettings:
    """How long to measure.

    Attributes:
        runs: timed runs per batch size, at least 1.
        warmup_seconds: of untimed runs before.
    """

    runs: int = 200
    warmup_seconds: float = 0.5

    def __post_init__(self) -> None:
        if self.runs < 1 or not self.warmup_seconds >= 0:
            raise RecipeError(f"latency: {self} is out of limits; runs ≥ 1, warmup_seconds ≥ 0")


def measure_gpu_latency(
    session: TimedSession,
    feeds: Feeds,
    batch_sizes: Sequence[int],
    settings: GpuLatencySettings | None = None,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[GpuLatency, ...]:
    """Return the latency at every batch size.

    Args:
        session: an open session.
        feeds: some samples; they are repeated to fill a batch.
        batch_sizes: how many samples per run.
        settings: how long.
        clock: seconds, increasing; for the warm-up only.

    Raises:
        DataError, EngineError: as `Session.run`.
    """
    settings = settings or GpuLatencySettings()
    return tuple(_measured(session, repeated(feeds, size), size, settings, clock) for size in batch_sizes)


def _measured(
    session: TimedSession, feeds: Feeds, batch_size: int, settings: GpuLatencySettings, clock: Callable[[], float]
) -> GpuLatency:
    begin = clock()
    session.time_parts(feeds)
    while clock() - begin < settings.warmup_seconds:
        session.time_parts(feeds)
    times = [session.time_parts(feeds) for _ in range(settings.runs)]
    median, p90, p99 = _quantiles((whole for whole, _ in times), (0.5, 0.9, 0.99))
    gpu_median, gpu_p90 = _quantiles((kernels for _, kernels in times), (0.5, 0.9))
    return GpuLatency(batch_size, settings.runs, median, p90, p99, gpu_median, gpu_p90)


def _quantiles(times_ms: Iterable[float], shares: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(float(value) for value in np.quantile(list(times_ms), shares))
