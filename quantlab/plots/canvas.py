"""The axes that every plot draws on, and the one place where matplotlib is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quantlab.errors import EngineMissing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#0a58ca", "#b54708", "#067647", "#9e1f9e", "#57606a")
"""Told apart by people who see few colours; each is used with a line style or marker of its own."""
STYLES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D", "v")


def axes_or_new(axes: Axes | None, *, width: float, height: float) -> Axes:
    """Return the axes given, or those of a new figure.

    Args:
        axes: where to draw, or None.
        width: of a new figure, in inches.
        height: likewise.

    Raises:
        EngineMissing: matplotlib is not installed.
    """
    try:
        import matplotlib.pyplot as plt
    except ModuleNotFoundError as error:
        raise EngineMissing(
            "plots need the package 'matplotlib', which is not installed: pip install 'quantlab[notebook]'"
        ) from error
    if axes is not None:
        return axes
    _, made = plt.subplots(figsize=(width, height), layout="constrained")
    return made


def without_frame(axes: Axes) -> None:
    """Take away the lines that say nothing."""
    axes.spines[["top", "right"]].set_visible(False)
