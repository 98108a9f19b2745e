"""Intervals → small drawings on one common axis, each readable as a sentence too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from quantlab.markup import element

_WIDTH, _HEIGHT, _MARGIN = 160.0, 20.0, 6.0


@dataclass(frozen=True, slots=True)
class Axis:
    """The values that a column of drawings spans.

    Attributes:
        low: the value at the left end.
        high: the value at the right end, above `low`.
        mark: a value to draw a line at, such as 0 for "no difference", or None.
    """

    low: float
    high: float
    mark: float | None = None

    @classmethod
    def around(cls, intervals: Sequence[Sequence[float]], *, mark: float | None = None) -> Axis:
        """Return the axis on which all intervals and the mark lie."""
        ends = [end for interval in intervals for end in interval] + ([] if mark is None else [mark])
        low, high = min(ends, default=0.0), max(ends, default=1.0)
        return cls(low, high if high > low else low + 1.0, mark)

    def position(self, value: float) -> str:
        """Return where a value lies, in units of the drawing."""
        share = (value - self.low) / (self.high - self.low)
        return f"{_MARGIN + share * (_WIDTH - 2 * _MARGIN):.2f}"


def interval_plot(axis: Axis, value: float, interval: Sequence[float], *, label: str) -> Element:
    """Return a drawing of a value within its interval.

    Args:
        axis: what the drawing spans.
        value: the dot.
        interval: (low, high), the bar.
        label: the same in words, for those who do not see it.
    """
    middle = f"{_HEIGHT / 2:g}"
    low, high, at = axis.position(interval[0]), axis.position(interval[1]), axis.position(value)
    parts = [] if axis.mark is None else [_upright(axis.position(axis.mark))]
    parts += [
        element("line", x1=low, x2=high, y1=middle, y2=middle, class_="bar"),
        element("circle", cx=at, cy=middle, r="4", class_="dot"),
    ]
    size = f"0 0 {_WIDTH:g} {_HEIGHT:g}"
    return element(
        "svg", *parts, viewBox=size, width=f"{_WIDTH:g}", height=f"{_HEIGHT:g}", role="img", aria_label=label
    )


def _upright(at: str) -> Element:
    return element("line", x1=at, x2=at, y1="0", y2=f"{_HEIGHT:g}", class_="mark")
