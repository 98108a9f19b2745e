"""An evaluation → accuracy against latency, a dot per model, both with their intervals.

Without labels the share of answers that agree with the first model stands for the accuracy, and without answers the
SQNR of the output; the axis says which. A model that was not timed is a line across: its accuracy at any latency.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from quantlab.evaluation import Evaluation
from quantlab.evaluation.evaluation import Row
from quantlab.plots.canvas import COLOURS, MARKERS, axes_or_new, without_frame

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class _Height(NamedTuple):
    """Where a model lies on the vertical axis, with the ends of its interval."""

    value: float
    low: float
    high: float


def plot_tradeoff(evaluation: Evaluation, *, axes: Axes | None = None) -> Axes:
    """Draw what each model of an evaluation costs in accuracy and takes in time.

    The bar of a latency reaches from the median to the 90th percentile, at the first batch size that was timed.

    Args:
        evaluation: the models.
        axes: where to draw, or None for a new figure.

    Raises:
        EngineMissing: matplotlib is not installed.
    """
    axes = axes_or_new(axes, width=7, height=4)
    label, height_of = _measure(evaluation)
    for index, row in enumerate(evaluation.rows):
        height = height_of(row)
        if height is None:
            continue
        colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
        if not row.latencies:
            axes.axhline(height.value, color=colour, linestyle=":", label=f"{row.name}: not timed")
            continue
        timed = row.latencies[0]
        axes.errorbar(
            timed.median_ms,
            height.value,
            xerr=[[0.0], [timed.p90_ms - timed.median_ms]],
            yerr=[[height.value - height.low], [height.high - height.value]],
            fmt=marker,
            color=colour,
            capsize=3,
            label=f"{row.name}: {timed.median_ms:.3g} ms",
        )
    batches = {row.latencies[0].batch_size for row in evaluation.rows if row.latencies}
    axes.set_xlabel(f"ms per batch of {min(batches)}, median to 90th percentile" if batches else "nothing was timed")
    axes.set_ylabel(label)
    axes.set_title(f"{evaluation.data}: {evaluation.samples} samples", fontsize="medium")
    if batches:
        axes.set_xlim(left=0)
    axes.legend(fontsize="small")
    without_frame(axes)
    return axes


def _measure(evaluation: Evaluation) -> tuple[str, Callable[[Row], _Height | None]]:
    """Return what the vertical axis shows, and where a row lies on it."""
    if evaluation.reference.accuracies:
        return "accuracy, % (95 % interval)", _accuracy
    if any(row.agreement for row in evaluation.rows):
        return f"answers that agree with {evaluation.reference.name}, %", _agreement
    return "SQNR of the output, dB", _sqnr


def _accuracy(row: Row) -> _Height | None:
    if not row.accuracies:
        return None
    first = row.accuracies[0]
    return _Height(100 * first.share, 100 * first.interval[0], 100 * first.interval[1])


def _agreement(row: Row) -> _Height | None:
    if row.agreement is None:
        return _Height(100.0, 100.0, 100.0)  # the reference agrees with itself
    low, high = row.agreement.interval or (row.agreement.share, row.agreement.share)
    return _Height(100 * row.agreement.share, 100 * low, 100 * high)


def _sqnr(row: Row) -> _Height | None:
    if row.sqnr is None or row.sqnr.noise == 0.0 or row.sqnr.signal == 0.0:
        return None
    return _Height(row.sqnr.db, row.sqnr.db, row.sqnr.db)
