"""Joined runs → one page: what differs in accuracy, cost and settings, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import Element

from quantlab.markup import element, number, row, table
from quantlab.report.html.plots import Axis, interval_plot
from quantlab.report.html.scatter import Axes, Dot, scatter
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
    return [head, models, *_tradeoffs(joined), *_drawn(joined), *_settings(joined)]


def _models(joined: Joined) -> Element:
    lines = [_line(joined_row) for joined_row in joined.rows]
    return table(HEADS, lines, caption="Every model of every run", class_="searchable")


def _line(joined_row: JoinedRow) -> Element:
    run, model, *numbers = cells(joined_row)
    return row(run.text, model.text, *(number(cell.text, cell.value) for cell in numbers))


def _tradeoffs(joined: Joined) -> list[Element]:
    """Return accuracy against speed at each batch size that two models were timed at."""
    sizes = dict.fromkeys(
        timed["batch_size"] for joined_row in joined.rows for timed in joined_row.content["latencies"]
    )
    figures = [_tradeoff(joined, size, dots) for size in sizes if len(dots := _dots(joined, size)) > 1]
    return [element("section", element("h2", "Accuracy against latency"), *figures)] if figures else []


def _tradeoff(joined: Joined, batch_size: int, dots: list[Dot]) -> Element:
    judged = "accuracy" if _has_labels(joined) else "agreement with the float model"
    if joined.is_of_one_machine:
        axes, better = Axes("median latency", "{:.3g} ms", judged, "{:.2f} %", 100.0), "up and to the left is better"
    else:
        # Milliseconds of two machines say nothing about two models.
        axes, better = (
            Axes("speedup against fp32", "{:.2f}×", judged, "{:.2f} %", 100.0),
            "up and to the right is better",
        )
    caption = f"At batch {batch_size}, a colour per run, with the 95 % interval: {better}."
    return scatter(caption, dots, axes)


def _dots(joined: Joined, batch_size: int) -> list[Dot]:
    runs = list(joined.runs)
    dots = []
    for joined_row in joined.rows:
        x, judged = _x(joined, joined_row, batch_size), _judged(joined_row, has_labels=_has_labels(joined))
        if x is not None and judged is not None:
            interval = judged["interval"] and (100 * judged["interval"][0], 100 * judged["interval"][1])
            name, group = f"{joined_row.run}, {joined_row.model}", runs.index(joined_row.run)
            dots.append(Dot(name, x, 100 * judged["share"], interval, group))
    return dots


def _x(joined: Joined, joined_row: JoinedRow, batch_size: int) -> float | None:
    """Return a model's latency, or, where runs are of several machines, its speedup within its run."""
    for index, timed in enumerate(joined_row.content["latencies"]):
        if timed["batch_size"] == batch_size:
            if joined.is_of_one_machine:
                return float(timed["median_ms"])
            gains = joined_row.content["speedups"]
            return float(gains[index]["ratio"]) if gains else 1.0
    return None


def _has_labels(joined: Joined) -> bool:
    return all(each.content["accuracies"] for each in joined.rows if each.content["latencies"])


def _judged(joined_row: JoinedRow, *, has_labels: bool) -> Mapping[str, Any] | None:
    if has_labels:
        accuracy: Mapping[str, Any] = joined_row.content["accuracies"][0]
        return accuracy
    agreement: Mapping[str, Any] | None = joined_row.content["agreement"]
    is_reference = joined_row.content["sqnr"] is None
    return {"share": 1.0, "interval": None} if agreement is None and is_reference else agreement


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
