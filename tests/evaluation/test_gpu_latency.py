"""Times on a GPU are told with and without copies, per batch size."""

from __future__ import annotations

import json

import numpy as np
import pytest

from quantlab.data.batch import Feeds
from quantlab.errors import RecipeError
from quantlab.evaluation.gpu_latency import GpuLatencySettings, measure_gpu_latency


class Clockwork:
    """A session whose run n takes n ms, half of it in kernels, and that counts seconds by runs."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def time_parts(self, feeds: Feeds) -> tuple[float, float]:
        self.batches.append(feeds["x"].shape[0])
        return float(len(self.batches)), len(self.batches) / 2

    def clock(self) -> float:
        return float(len(self.batches))


def test_every_batch_size_is_warmed_up_and_timed() -> None:
    session = Clockwork()
    settings = GpuLatencySettings(runs=3, warmup_seconds=2.0)
    one, four = measure_gpu_latency(session, {"x": np.zeros((2, 1))}, (1, 4), settings, clock=session.clock)
    assert session.batches == [1] * 5 + [4] * 5
    assert (one.batch_size, one.runs, one.median_ms, one.gpu_median_ms) == (1, 3, 4.0, 2.0)
    assert (four.median_ms, four.images_per_second) == (9.0, 4000 / 9)
    assert json.loads(json.dumps(four.to_json()))["gpu_median_ms"] == 4.5
    assert str(one).startswith("batch 1: median 4.000 ms")


def test_settings_out_of_their_limits_are_refused() -> None:
    with pytest.raises(RecipeError, match="runs ≥ 1"):
        GpuLatencySettings(runs=0)
