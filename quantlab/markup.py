"""Names, texts and values → elements of HTML, escaped where they are written and nowhere else.

Pages are built as trees, never by joining strings: no name of a tensor or a file can become markup.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from xml.etree.ElementTree import Element, tostring

Child = Element | str | None


def element(tag: str, *children: Child, **attributes: str) -> Element:
    """Return an element.

    Args:
        tag: its name.
        children: texts and elements in order; None is left out.
        attributes: by name; `class_` stands for `class`, and `_` within a name for `-`.
    """
    made = Element(tag, {name.rstrip("_").replace("_", "-"): _clean(value) for name, value in attributes.items()})
    for child in children:
        _append(made, child)
    return made


def table(heads: Sequence[str], rows: Iterable[Element], *, caption: str, **attributes: str) -> Element:
    """Return a table whose caption names it for a screen reader, in a box that scrolls where it is too wide."""
    lines = list(rows)
    head = element("tr", *(_head(name, index, lines) for index, name in enumerate(heads)))
    made = element("table", element("caption", caption), element("thead", head), element("tbody", *lines), **attributes)
    return element("div", made, class_="scrolls", tabindex="0", role="region", aria_label=caption)


def row(head: Child, *cells: Child) -> Element:
    """Return a table row: what it is about, then one cell each; an element that is a cell stays as it is."""
    return element("tr", element("th", head, scope="row"), *map(_cell, cells))


def number(text: str, value: float | None = None) -> Element:
    """Return a cell with a number.

    Args:
        text: the number as it is read.
        value: what the table is sorted by; None where there is nothing to sort.
    """
    return element("td", text, class_="number", data_value="" if value is None else repr(value))


def to_markup(elements: Iterable[Element]) -> str:
    """Return elements as HTML text."""
    return "\n".join(tostring(made, encoding="unicode", method="html") for made in elements)


def to_data(value: object) -> str:
    """Return JSON that can stand in a script element: no `<` in it ends the element."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _head(name: str, column: int, rows: Sequence[Element]) -> Element:
    """Return a column's head, to the right where its numbers are."""
    cells = [line[column] for line in rows if column < len(line)]
    is_number = any(cell.get("class") == "number" for cell in cells)
    return element("th", name, scope="col", **({"class_": "number"} if is_number else {}))


def _cell(cell: Child) -> Element:
    return cell if isinstance(cell, Element) and cell.tag == "td" else element("td", cell)


def _append(parent: Element, child: Child) -> None:
    if isinstance(child, Element):
        parent.append(child)
    elif child is not None and len(parent):
        parent[-1].tail = (parent[-1].tail or "") + _clean(child)
    elif child is not None:
        parent.text = (parent.text or "") + _clean(child)


def _clean(text: str) -> str:
    """Replace what no UTF-8 file can hold: half a surrogate pair, which a file name may bring along."""
    return text.encode("utf-8", "replace").decode("utf-8")
