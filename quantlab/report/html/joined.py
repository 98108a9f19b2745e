"""Joined runs → one page: what differs in accuracy, cost and settings, side by side."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from quantlab.markup import element, number, row, table
from quantlab.report.html.plots import Axis, interval_plot
from quantlab.report.html.shell import page_of
from quantlab.report.joined_text import HEADS, cells, plain_setting
from quantlab.report.joining import Joined, JoinedRow
from quantlab.report.tables import SIMULATED


def joined_to_html(joined: Joined) -> str:
    """Return joined runs as one self-contained page of HTML."""
    names = ", ".join(joined.runs)
    return page_of(f"quantlab: {names}", joined_sections(joined))


def joined_sections(joined: Joined) -> list[Element]:
    """Return the parts of the page, for those who have a page of their own."""
    head = element(
        "header",
        element("h1", f"{len(joined.runs)} runs side by side" if len(joined.runs) > 1 else next(iter(joined.runs))),
        *(element("p", line, class_="verdict") for line in joined.sentences()),
    )
    foot = element("p", SIMULATED, class_="quiet") if any(r.content["is_simulated"] for r in joined.rows) else None
    models = element("section", element("h2", "Models"), _models(joined), foot)
    return [head, models, *_drawn(joined), *_settings(joined)]


def _models(joined: Joined) -> Element:
    lines = [_line(joined_row) for joined_row in joined.rows]
    return table(HEADS, lines, caption="Every model of every run", class_="searchable")


def _line(joined_row: JoinedRow) -> Element:
    run, model, *numbers = cells(joined_row)
    return row(run.text, model.text, *(number(cell.text, cell.value) for cell in numbers))


def _drawn(joined: Joined) -> list[Element]:
    # A table of its own: beside the numbers, the drawings push columns out of a window 1280 pixels wide.
    intervals = [r.difference.interval for r in joined.rows if r.difference is not None and r.difference.interval]
    if not intervals:
        return []
    axis = Axis.around(intervals, mark=0.0)
    lines = [line for joined_row in joined.rows for line in _drawn_line(joined_row, axis)]
    drawn = table(["Run", "Model", "Drawn"], lines, caption="Points against the first run, with their intervals")
    return [element("section", element("h2", "Against the first run"), drawn)]


def _drawn_line(joined_row: JoinedRow, axis: Axis) -> list[Element]:
    run, model, *_ = cells(joined_row)
    difference = joined_row.difference
    if difference is None or difference.interval is None or difference.points is None:
        return []
    said = f"{difference.points:+.2f} points against {difference.counterpart} of the first run"
    return [row(run.text, model.text, interval_plot(axis, difference.points, difference.interval, label=said))]


def _settings(joined: Joined) -> list[Element]:
    if not joined.settings:
        return []
    lines = [row(name, *map(plain_setting, values)) for name, values in joined.settings.items()]
    heads = ["Setting", *joined.runs]
    return [element("section", element("h2", "What differs"), table(heads, lines, caption="Settings that differ"))]
