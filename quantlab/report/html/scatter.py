"""Models as points in a plane → a drawing that needs no script: numbered dots with intervals, and a list of them.

Names beside dots would cover each other where models are alike; a number finds room.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from quantlab.markup import Child, element

_WIDTH, _HEIGHT = 640.0, 300.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 100.0, 24.0, 20.0, 48.0
# Where the middle of a number may stand, from its dot: the first place that is free is taken. Above and below,
# where the interval is drawn, come last.
_SIDES = ((17, 0), (-17, 0), (17, -17), (-17, -17), (17, 17), (-17, 17), (0, -17), (0, 17))
_PLACES = tuple((far * right, far * down) for far in (1, 2, 3) for right, down in _SIDES)
# From the middle of a number to where nothing else may be: to that of another number, and to a dot.
_TO_NUMBER, _TO_DOT = (17.0, 15.0), (12.0, 13.0)
# From the middle of a digit to the line it stands on.
_TO_LINE = 5.0

Spot = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Dot:
    """One model.

    Attributes:
        name: what it is called.
        x: how far to the right, above 0.
        y: how far up.
        interval: the ends of what y may be, or None.
        group: dots of one group have one colour.
    """

    name: str
    x: float
    y: float
    interval: tuple[float, float] | None
    group: int


@dataclass(frozen=True, slots=True)
class Axes:
    """What the axes mean.

    Attributes:
        x_name: of the axis across.
        x_form: how a number on it is written, with its unit: `{:.3g} ms`.
        y_name: of the axis up.
        y_form: likewise.
        y_most: the largest value there is on it.
    """

    x_name: str
    x_form: str
    y_name: str
    y_form: str
    y_most: float


def scatter(caption: str, dots: Sequence[Dot], axes: Axes) -> Element:
    """Return the drawing; there is at least one dot."""
    ends = [end for dot in dots for end in (dot.interval or (dot.y, dot.y))]
    low, high = min(ends), max(ends)
    margin = 0.08 * (high - low) or 1.0
    bottom, top, right = low - margin, min(high + margin, axes.y_most), 1.1 * max(dot.x for dot in dots)
    spots = [
        (
            _LEFT + dot.x / right * (_WIDTH - _LEFT - _RIGHT),
            _HEIGHT - _BOTTOM - (dot.y - bottom) / (top - bottom) * (_HEIGHT - _TOP - _BOTTOM),
        )
        for dot in dots
    ]
    scale = (_HEIGHT - _TOP - _BOTTOM) / (top - bottom)
    parts: list[Child] = [*_frame((bottom, top, right), axes)]
    for number, (dot, spot, place) in enumerate(zip(dots, spots, _places(spots), strict=True), 1):
        parts += _drawn(number, dot, spot, place, scale)
    told = [_told(dot, axes) for dot in dots]
    size = f"0 0 {_WIDTH:g} {_HEIGHT:g}"
    said = f"{axes.y_name} against {axes.x_name}. {'; '.join(told)}"
    drawing = element("svg", *parts, viewBox=size, role="img", aria_label=said, class_="curves")
    keys = element("ol", *(element("li", line) for line in told), class_="numbered")
    return element("figure", drawing, element("figcaption", caption), keys)


def _told(dot: Dot, axes: Axes) -> str:
    return f"{dot.name}: {axes.x_form.format(dot.x)}, {axes.y_form.format(dot.y)}"


def _frame(ends: tuple[float, float, float], axes: Axes) -> Iterator[Element]:
    bottom, top, right = ends
    floor, edge = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    yield element("path", d=f"M{_LEFT:g},{_TOP:g} V{floor:g} H{edge:g}", class_="axis")
    yield _text(axes.y_form.format(top), (_LEFT - 8, _TOP + 5), "end")
    yield _text(axes.y_form.format(bottom), (_LEFT - 8, floor + 5), "end")
    yield _text("0", (_LEFT, floor + 18), "middle")
    yield _text(axes.x_form.format(right), (edge, floor + 18), "end")
    yield _text(axes.x_name, ((_LEFT + edge) / 2, floor + 36), "middle")
    yield _text(axes.y_name, (_LEFT + 8, _TOP + 2), "start")


def _places(spots: Sequence[Spot]) -> Iterator[Spot]:
    """Yield the middle of each dot's number: beside it, away from all dots and from the numbers before."""
    numbers: list[Spot] = []
    for x, y in spots:
        around = [(x + right, y + down) for right, down in _PLACES]
        free = (
            place
            for place in around
            if not any(_is_near(place, number, _TO_NUMBER) for number in numbers)
            and not any(_is_near(place, spot, _TO_DOT) for spot in spots)
        )
        numbers.append(next(free, around[0]))
        yield numbers[-1]


def _is_near(one: Spot, other: Spot, reach: Spot) -> bool:
    return abs(one[0] - other[0]) < reach[0] and abs(one[1] - other[1]) < reach[1]


def _drawn(number: int, dot: Dot, spot: Spot, place: Spot, scale: float) -> Iterator[Element]:
    x, y = spot
    colour = dot.group % 4
    if dot.interval is not None:
        ends = [y + (dot.y - end) * scale for end in dot.interval]
        yield element("polyline", points=f"{x:.1f},{ends[0]:.1f} {x:.1f},{ends[1]:.1f}", class_=f"spread k{colour}")
    told = element("title", dot.name)
    yield element("circle", told, cx=f"{x:.1f}", cy=f"{y:.1f}", r="5", class_=f"point k{colour}")
    yield _text(str(number), (place[0], place[1] + _TO_LINE), "middle", class_="number-of-dot")


def _text(said: str, at: Spot, anchor: str, **attributes: str) -> Element:
    return element("text", said, x=f"{at[0]:.1f}", y=f"{at[1]:.1f}", text_anchor=anchor, **attributes)
