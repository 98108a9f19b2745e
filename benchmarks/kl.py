"""How long the KL search takes for one tensor: all candidates at 2,048 bins, on what ResNet-50's tensors hold.

Beside it stands ONNX Runtime's search at 2,048 bins and 128 levels (its default is 128 bins, which leave it one
candidate). Its bins lie on both sides of 0, so it tries half as many thresholds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from statistics import median

import numpy as np
import numpy.typing as npt

from benchmarks.finding import Finding
from benchmarks.jobs import open_network
from quantlab.calibrators import Entropy
from quantlab.resume import collect_for
from quantlab.scheme import Scheme
from quantlab.stats.tensor import BINS, Counts, TensorStatistics, coarsen

Edges = npt.NDArray[np.float32]

_IMAGES = 16
_THEIR_TENSORS = 3
_THEIR_LEVELS = 128


def run() -> Iterator[Finding]:
    """Time the search for the schemes of both targets, on tensors with one sign and with two."""
    _, job = open_network("resnet50", images=_IMAGES)
    tensors = list(collect_for(job).statistics.tensors.values())
    one_sided = [tensor for tensor in tensors if tensor.minimum >= 0.0]
    two_sided = [tensor for tensor in tensors if tensor.minimum < 0.0]
    int8, uint8 = Scheme("int8"), Scheme("uint8", symmetric=False)
    yield _ours("int8 symmetric", tensors, int8)
    yield _ours("uint8, one-sided", one_sided, uint8)
    yield _ours("uint8, two-sided", two_sided, uint8)
    yield _theirs(tensors[:_THEIR_TENSORS])


def _ours(what: str, tensors: Sequence[TensorStatistics], scheme: Scheme) -> Finding:
    times = []
    for statistics in tensors:
        begin = time.perf_counter()
        Entropy().range_of(statistics, scheme)
        times.append(1000 * (time.perf_counter() - begin))
    detail = f"slowest {max(times):.1f} ms, {len(times)} tensors"
    return Finding(f"KL search, {what}, median per tensor", median(times), " ms", detail=detail)


def _theirs(tensors: Sequence[TensorStatistics]) -> Finding:
    from onnxruntime.quantization.calibrate import HistogramCollector

    settings = {"method": "entropy", "symmetric": False, "percentile": None, "scenario": None}
    collector = HistogramCollector(num_bins=BINS, num_quantized_bins=_THEIR_LEVELS, **settings)
    times = []
    for statistics in tensors:
        histogram = _their_histogram(statistics)
        begin = time.perf_counter()
        collector.get_entropy_threshold(histogram, _THEIR_LEVELS)
        times.append(1000 * (time.perf_counter() - begin))
    detail = f"{len(times)} tensors"
    return Finding("KL search, ONNX Runtime's at 2,048 bins, median per tensor", median(times), " ms", detail=detail)


def _their_histogram(statistics: TensorStatistics) -> tuple[Counts | Edges | np.float32, ...]:
    """Return counts and edges of `BINS` bins from -absmax to absmax, zeros among them, and the extrema."""
    half = BINS // 2
    counts = np.zeros(BINS, np.int64)
    negative, positive = (coarsen(side, 1) for side in (statistics.negative, statistics.positive))
    counts[half : half + positive.size] = positive
    counts[half - negative.size : half] = negative[::-1]
    counts[half] += statistics.zeros
    edge = half * 2 * statistics.width
    edges = np.linspace(-edge, edge, BINS + 1, dtype=np.float32)
    extrema = (np.float32(statistics.minimum), np.float32(statistics.maximum))
    return counts, edges, *extrema, np.float32(edge)
