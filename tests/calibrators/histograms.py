"""Statistics made from given histograms, and the histograms that searches go wrong on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from quantlab.stats import TensorStatistics
from quantlab.stats.tensor import Counts, bin_exponent, trim


def statistics_from(positive: npt.ArrayLike, negative: npt.ArrayLike = (), zeros: int = 0) -> TensorStatistics:
    """Statistics with bins of width 1: the longer histogram needs its last occupied bin at 1024 or above."""
    up, down = trim(np.asarray(positive, np.int64)), trim(np.asarray(negative, np.int64))
    maximum = up.size - 0.5 if up.size else (0.0 if zeros or not down.size else -_first(down) - 0.5)
    minimum = -(down.size - 0.5) if down.size else (0.0 if zeros or not up.size else _first(up) + 0.5)
    count = int(up.sum()) + int(down.sum()) + zeros
    return TensorStatistics(minimum, maximum, count, zeros, bin_exponent(max(-minimum, maximum)), up, down)


def centres(statistics: TensorStatistics) -> tuple[npt.NDArray[np.float64], Counts]:
    """Bin centres of both signs, and their counts; the last bin of a side ends with the extremum."""
    parts = []
    for sign, histogram, extremum in (
        (1.0, statistics.positive, statistics.maximum),
        (-1.0, statistics.negative, -statistics.minimum),
    ):
        middle = np.arange(histogram.size) + 0.5
        if histogram.size:
            middle[-1] = (histogram.size - 1 + extremum / statistics.width) / 2
        parts.append(sign * middle * statistics.width)
    return np.concatenate(parts), np.concatenate([statistics.positive, statistics.negative])


def _first(histogram: Counts) -> int:
    return int(np.flatnonzero(histogram)[0])


def _histogram(kind: str, seed: int) -> Counts:
    generator = np.random.default_rng(seed)
    bins: npt.NDArray[Any] = np.zeros(2048, np.int64)
    last = int(generator.integers(1024, 2048))
    if kind == "bell":
        values = np.abs(generator.standard_normal(20_000)) * last / 5
        bins += np.bincount(np.minimum(values, last).astype(int), minlength=2048)
    elif kind == "heavy":
        values = np.minimum(np.abs(generator.standard_t(1.5, 20_000)) * last / 60, last)
        bins += np.bincount(values.astype(int), minlength=2048)
    elif kind == "sparse":
        bins[generator.choice(last, int(generator.integers(100, 400)), replace=False)] = generator.integers(1, 9)
    elif kind == "spikes":
        bins[:last] = generator.integers(0, 3, last)
        bins[generator.integers(0, last, 5)] = 10**6
    elif kind == "gaps":
        bins[:last] = generator.poisson(5, last) * (np.arange(last) // 37 % 2)
    elif kind == "clusters":
        bins[:150] = generator.poisson(100, 150)
        bins[last - 150 : last] = generator.poisson(0.5, 150)
    elif kind == "empty start":
        bins[last - 600 : last] = generator.poisson(3, 600)
    elif kind == "at the end":
        bins[last] = 10**6
        bins[:last] = generator.integers(0, 2, last)
    elif kind == "huge":
        bins[:last] = generator.integers(0, 2**49, last)
        bins[int(generator.integers(0, last))] = 2**60
    elif kind == "flat":
        bins[: last + 1] = 7
    bins[last] = max(1, int(bins[last]))
    return bins


KINDS: Sequence[str] = (
    *("bell", "heavy", "sparse", "spikes", "gaps", "clusters", "empty start", "at the end", "huge", "flat", "single"),
)


def histograms(kinds: Sequence[str] = KINDS) -> st.SearchStrategy[Counts]:
    """Histograms of 2048 bins, the last occupied one in the upper half."""
    return st.builds(_histogram, st.sampled_from(kinds), st.integers(0, 2**32 - 1))
