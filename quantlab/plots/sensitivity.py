"""What each node costs alone → bars, the costliest on top, and a line for all of them at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quantlab.plots.canvas import COLOURS, axes_or_new, without_frame
from quantlab.search.sensitivity import Sensitivity

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_sensitivity(sensitivity: Sensitivity, *, most: int = 20, axes: Axes | None = None) -> Axes:
    """Draw the noise that each node brings to the output when it alone is quantized.

    A node that changes nothing (its SQNR is infinite) has no bar and is left out.

    Args:
        sensitivity: what was measured.
        most: so many nodes are drawn, the costliest.
        axes: where to draw, or None for a new figure.

    Raises:
        EngineMissing: matplotlib is not installed.
    """
    noisy = [node for node in sensitivity.nodes if not node.sqnr.is_identical]
    shown = noisy[:most]
    axes = axes_or_new(axes, width=8, height=1.4 + 0.24 * max(4, len(shown)))
    labels = [f"{node.node} ({node.operator})" for node in shown]
    # Noise over signal, not signal over noise, so that a longer bar is a costlier node.
    noise = [-node.sqnr.db for node in shown]
    floor = min([*noise, -sensitivity.all_nodes.db]) - 5
    axes.barh(labels, [value - floor for value in noise], left=floor, color="#9aa7b4")
    if not sensitivity.all_nodes.is_identical:
        together = -sensitivity.all_nodes.db
        axes.axvline(together, color=COLOURS[0], label=f"all {len(sensitivity.nodes)} at once: {together:.1f} dB")
        axes.legend(fontsize="small", loc="lower right")
    axes.invert_yaxis()
    axes.set_xlabel(f"noise in {sensitivity.output!r} relative to its signal, dB ({sensitivity.samples} samples)")
    left_out = len(sensitivity.nodes) - len(shown)
    beside = f", {left_out} more cost less" if left_out else ""
    axes.set_title(f"{sensitivity.target}: each node quantized alone{beside}", fontsize="medium")
    axes.tick_params(axis="y", labelsize="small")
    without_frame(axes)
    return axes
