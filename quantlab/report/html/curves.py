"""Numbers by epoch → a drawing that needs no script: lines with dots that tell their value, and the axis' two ends.

Where the largest value is over ten times the smallest, and none is zero or less, the axis is logarithmic, and says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from quantlab.markup import Child, element

_WIDTH, _HEIGHT = 640.0, 200.0
# At the left numbers have room also where the style sheet writes them larger, on a narrow page.
_LEFT, _RIGHT, _TOP, _BOTTOM = 100.0, 24.0, 14.0, 28.0
_SPREAD_OF_LOGARITHMS = 10.0

Place = Callable[[float], float]


@dataclass(frozen=True, slots=True)
class Curve:
    """One line.

    Attributes:
        name: what it shows.
        points: (epoch, value), in the order of the epochs; values are finite.
    """

    name: str
    points: Sequence[tuple[int, float]]


def curves(title: str, lines: Sequence[Curve]) -> Element:
    """Return lines on common axes.

    Args:
        title: what is drawn.
        lines: at most four; those without points are left out.
    """
    shown = [line for line in lines if line.points]
    values = [value for line in shown for _, value in line.points]
    epochs = [epoch for line in shown for epoch, _ in line.points]
    if not values:
        return element("p", f"{title}: no finite number to draw.", class_="quiet")
    low, high = min(values), max(values)
    is_logarithmic = low > 0 and high > _SPREAD_OF_LOGARITHMS * low
    across, up = _across(epochs), _up(low, high, is_logarithmic=is_logarithmic)
    parts: list[Child] = [*_frame(low, high, epochs, across)]
    for place, line in enumerate(shown):
        parts += _line(line, place, across, up)
    head = f"{title}, logarithmic" if is_logarithmic else title
    said = "; ".join(f"{line.name}: {', '.join(f'{value:.4g}' for _, value in line.points)}" for line in shown)
    size = f"0 0 {_WIDTH:g} {_HEIGHT:g}"
    drawing = element("svg", *parts, viewBox=size, role="img", aria_label=f"{head} by epoch. {said}", class_="curves")
    return element("figure", element("figcaption", f"{head}, by epoch", *_keys(shown)), drawing)


def _keys(lines: Sequence[Curve]) -> list[Element]:
    """Return what each line is called beside a piece of it; below the drawing it would be read too late."""
    pieces = (element("span", class_=f"key c{place}", aria_hidden="true") for place in range(len(lines)))
    return [element("span", piece, line.name, class_="keyed") for piece, line in zip(pieces, lines, strict=False)]


def _across(epochs: Sequence[int]) -> Place:
    first, last = min(epochs), max(max(epochs), min(epochs) + 1)
    return lambda epoch: _LEFT + (epoch - first) / (last - first) * (_WIDTH - _LEFT - _RIGHT)


def _up(low: float, high: float, *, is_logarithmic: bool) -> Place:
    scaled: Place = math.log if is_logarithmic else float
    bottom, top = scaled(low), scaled(high)
    spread = top - bottom or 1.0
    return lambda value: _HEIGHT - _BOTTOM - (scaled(value) - bottom) / spread * (_HEIGHT - _TOP - _BOTTOM)


def _frame(low: float, high: float, epochs: Sequence[int], across: Place) -> list[Element]:
    floor = _HEIGHT - _BOTTOM
    ends = [(high, _TOP)] if low == high else [(high, _TOP), (low, floor)]
    labels = [_text(f"{value:.3g}", _LEFT - 8, y + 4, anchor="end") for value, y in ends]
    labels += [_text(str(e), across(e), floor + 18, anchor="middle") for e in sorted({min(epochs), max(epochs)})]
    axis = element(
        "path",
        d=f"M{_LEFT:g},{_TOP:g} V{floor:g} H{_WIDTH - _RIGHT:g}",
        class_="axis",
    )
    return [axis, *labels]


def _line(line: Curve, place: int, across: Place, up: Place) -> list[Element]:
    at = [(across(epoch), up(value)) for epoch, value in line.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
    parts = [element("polyline", points=path, class_=f"curve k{place}")]
    for (epoch, value), (x, y) in zip(line.points, at, strict=True):
        told = element("title", f"{line.name}, {'epoch ' + str(epoch) if epoch else 'start'}: {value:.4g}")
        parts.append(element("circle", told, cx=f"{x:.1f}", cy=f"{y:.1f}", r="3.5", class_=f"point k{place}"))
    return parts


def _text(said: str, x: float, y: float, *, anchor: str) -> Element:
    return element("text", said, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor)
