"""A table of statistics → what a notebook shows of it: a row per tensor, with a small histogram."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element

import numpy as np

from quantlab.fragments import fragment, small_table, sparkline
from quantlab.stats.tensor import Counts, TensorStatistics

_BARS_PER_SIDE = 16


def statistics_fragment(tensors: Mapping[str, TensorStatistics], samples: int) -> str:
    """Return HTML of what was seen of each tensor over so many samples."""
    rows = [(name, *_numbers(seen), _drawing(seen)) for name, seen in tensors.items()]
    heads = ("tensor", "smallest", "largest", "values", "zeros", "below and above 0, log of counts")
    title = f"Statistics of {len(tensors)} tensors over {samples} samples"
    return fragment(title, small_table(heads, rows, numbers=(1, 2, 3, 4)))


def _numbers(seen: TensorStatistics) -> tuple[str, str, str, str]:
    zeros = f"{seen.zeros / max(1, seen.count):.1%}"
    return f"{seen.minimum:.4g}", f"{seen.maximum:.4g}", f"{seen.count:,}", zeros


def _drawing(seen: TensorStatistics) -> Element:
    """Return the histogram on an axis that is symmetric around 0."""
    sides = [_in_bars(histogram, seen.magnitudes.size) for histogram in (seen.negative, seen.positive)]
    counts = np.log1p(np.concatenate([sides[0][::-1], sides[1]]))
    tallest = counts.max(initial=0.0) or 1.0
    return sparkline((counts / tallest).tolist(), label=f"histogram from {-seen.absmax:.3g} to {seen.absmax:.3g}")


def _in_bars(histogram: Counts, bins: int) -> Counts:
    """Return int64 [_BARS_PER_SIDE]: the histogram's counts, of `bins` bins in all, in equal parts."""
    places = np.arange(histogram.size) * _BARS_PER_SIDE // max(1, bins)
    return np.bincount(places, weights=histogram, minlength=_BARS_PER_SIDE).astype(np.int64)
