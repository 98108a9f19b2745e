"""Models as numbered dots: within their drawing, with numbers apart, and listed in words."""

from __future__ import annotations

import itertools
from xml.etree.ElementTree import Element

import pytest

from quantlab.report.html.scatter import Axes, Dot, scatter

AXES = Axes("median latency", "{:.3g} ms", "accuracy", "{:.2f} %", 100.0)


def numbers_of(made: Element) -> list[tuple[float, float]]:
    texts = [text for text in made.iter("text") if text.get("class") == "number-of-dot"]
    assert [text.text for text in texts] == [str(number) for number in range(1, len(texts) + 1)]
    return [(float(text.get("x", "")), float(text.get("y", ""))) for text in texts]


@pytest.mark.parametrize("count", [1, 3, 12])
def test_numbers_of_equal_models_stand_apart_and_within_the_drawing(count: int) -> None:
    made = scatter("Models.", [Dot(f"m{k}", 2.0, 99.9, (99.5, 100.0), k) for k in range(count)], AXES)
    numbers = numbers_of(made)
    assert len(numbers) == count
    for one, other in itertools.combinations(numbers, 2):
        assert abs(one[0] - other[0]) >= 17 or abs(one[1] - other[1]) >= 15
    assert all(0 < x < 640 and 0 < y < 300 for x, y in numbers)
    for dot in made.iter("circle"):
        assert 100 <= float(dot.get("cx", "")) <= 616
        assert 20 <= float(dot.get("cy", "")) <= 252


def test_a_model_is_higher_where_it_is_more_accurate_and_to_the_right_where_it_is_slower() -> None:
    made = scatter("Models.", [Dot("fast", 1.0, 70.0, None, 0), Dot("good", 4.0, 90.0, (88.0, 92.0), 1)], AXES)
    fast, good = made.iter("circle")
    assert float(fast.get("cx", "")) < float(good.get("cx", ""))
    assert float(fast.get("cy", "")) > float(good.get("cy", ""))
    (spread,) = (line for line in made.iter("polyline") if (line.get("class") or "").startswith("spread"))
    ends = [float(point.split(",")[1]) for point in (spread.get("points") or "").split()]
    assert ends[1] < float(good.get("cy", "")) < ends[0]


def test_every_model_is_told_in_words_too() -> None:
    made = scatter("Models.", [Dot("a, fp32", 1.5, 98.437, None, 0)], AXES)
    assert [item.text for item in made.iter("li")] == ["a, fp32: 1.5 ms, 98.44 %"]
    (drawing,) = made.iter("svg")
    assert drawing.get("aria-label") == "accuracy against median latency. a, fp32: 1.5 ms, 98.44 %"


def test_the_axis_ends_where_nothing_can_be_better() -> None:
    made = scatter("Models.", [Dot("a", 1.0, 99.0, (95.0, 100.0), 0)], AXES)
    assert "100.00 %" in [text.text for text in made.iter("text")]
