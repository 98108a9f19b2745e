"""One tensor's statistics → its histogram, with the range that each calibrator gives it.

Exact zeros are in no bin; their share stands in the title. Counts are drawn on a logarithmic axis: the values that
a range cuts off are few, and decide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from quantlab.plots.canvas import COLOURS, STYLES, axes_or_new, without_frame
from quantlab.report.histograms import histogram_of
from quantlab.stats.tensor import TensorStatistics

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_histogram(
    seen: TensorStatistics,
    ranges: Mapping[str, Sequence[float]],
    *,
    title: str = "",
    axes: Axes | None = None,
) -> Axes:
    """Draw a tensor's histogram and the ranges that calibrators chose.

    Args:
        seen: the statistics.
        ranges: (low, high) that the integers reach, by what the legend calls them.
        title: what the tensor is called.
        axes: where to draw, or None for a new figure.

    Raises:
        EngineMissing: matplotlib is not installed.
    """
    axes = axes_or_new(axes, width=9, height=3.4)
    drawn = histogram_of(seen)
    sides = [np.asarray(drawn[name], np.int64) for name in ("negative", "positive")]
    counts = np.concatenate([sides[0][::-1], sides[1]])
    edges = drawn["width"] * np.arange(-sides[0].size, sides[1].size + 1)
    axes.stairs(counts, edges, fill=True, color="#9aa7b4", label=f"{seen.count - seen.zeros:,} values")
    if counts.any():
        axes.set_yscale("log")
    for index, (name, (low, high)) in enumerate(ranges.items()):
        colour, style = COLOURS[index % len(COLOURS)], STYLES[index % len(STYLES)]
        axes.axvline(high, color=colour, linestyle=style, label=f"{name}  {low:.4g} .. {high:.4g}")
        if low < 0:
            axes.axvline(low, color=colour, linestyle=style)
    axes.set_xlabel("value")
    axes.set_ylabel("how many, log scale")
    axes.set_title(f"{title}   {seen.zeros / max(1, seen.count):.1%} exact zeros".strip(), fontsize="medium")
    axes.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    without_frame(axes)
    return axes
