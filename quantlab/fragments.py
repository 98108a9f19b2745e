"""Sentences, tables and small drawings → the piece of HTML that a notebook shows for a result.

A notebook's page is light or dark, and only it knows which: text keeps the page's colour, lines and bars are grey
enough to be seen on both. Every style stands on its element, since pages that show notebooks remove style sheets.
Names come in as texts and are escaped where the tree is written (see `markup.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from quantlab.markup import Child, element, to_markup

MOST_ROWS = 40
"""So many rows of a table are shown; a line says how many more there are."""

_LINE = "1px solid rgba(128,128,128,0.4)"
_CELL = f"padding:2px 10px 2px 0;border:0;border-bottom:{_LINE};background:none;vertical-align:top"
_TEXT = f"{_CELL};text-align:left;overflow-wrap:anywhere"
_TABLE = "border-collapse:collapse;border:0;margin:4px 0;width:auto;font-size:inherit;line-height:inherit;color:inherit"
_NUMBER = f"{_CELL};text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums"
_BAR_WIDTH, _BAR_HEIGHT = 3, 18


def fragment(title: str, *parts: Element | None) -> str:
    """Return what `_repr_html_` returns: a title, then the parts that there are."""
    head = element("div", title, style="font-weight:600;margin:4px 0")
    return to_markup([element("div", head, *parts, style="font-size:13px;line-height:1.4")])


def sentence(text: str) -> Element:
    """Return a line of prose."""
    return element("div", text, style="margin:4px 0;max-width:60em")


def folded(title: str, *parts: Element) -> Element:
    """Return parts that open with a click on their title."""
    summary = element("summary", title, style="cursor:pointer")
    return element("details", summary, *parts, style="margin:4px 0")


def small_table(heads: Sequence[str], rows: Sequence[Sequence[Child]], *, numbers: Sequence[int] = ()) -> Element:
    """Return a table of the first `MOST_ROWS` rows.

    Args:
        heads: the names of the columns.
        rows: a cell per column.
        numbers: the columns, from 0, whose cells stand to the right.
    """
    styles = [_NUMBER if column in numbers else _TEXT for column in range(len(heads))]
    names = [element("th", name, scope="col", style=style) for name, style in zip(heads, styles, strict=True)]
    body = [
        element("tr", *(element("td", cell, style=style) for cell, style in zip(row, styles, strict=True)))
        for row in rows[:MOST_ROWS]
    ]
    style = (
        "border-collapse:collapse;border:0;margin:4px 0;width:auto;font-size:inherit;line-height:inherit;color:inherit"
    )
    table = element("table", element("thead", element("tr", *names)), element("tbody", *body), style=style)
    more = len(rows) - MOST_ROWS
    left_out = sentence(f"and {more} more; print() shows all") if more > 0 else None
    return element("div", table, left_out, style="overflow-x:auto")


def sparkline(heights: Sequence[float], *, label: str) -> Element:
    """Return a drawing of bars beside each other.

    Args:
        heights: 0 to 1 each.
        label: what is seen, in words.
    """
    bars = [
        element(
            "rect",
            x=str(index * _BAR_WIDTH),
            y=f"{_BAR_HEIGHT * (1 - height):.1f}",
            width=str(_BAR_WIDTH - 1),
            height=f"{_BAR_HEIGHT * height:.1f}",
            fill="rgb(110,140,180)",
        )
        for index, height in enumerate(heights)
        if height > 0
    ]
    width = str(_BAR_WIDTH * len(heights))
    return element(
        "svg", *bars, width=width, height=str(_BAR_HEIGHT), role="img", aria_label=label, style="display:inline-block"
    )
