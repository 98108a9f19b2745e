"""The runs of a folder → the page that lists them: sorted, searched, and picked for a comparison."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from xml.etree.ElementTree import Element

from quantlab.markup import Child, element, number, row, table
from quantlab.report.tables import SIMULATED
from quantlab.serve.page import address, page
from quantlab.serve.run_list import ModelRow, RunEntry

_NONE = "–"
_HEADS = (
    *("Run", "Compare", "Model", "Calibrator", "Target", "Accuracy", "Drop in points", "95 % interval"),
    *("Median ms", "Times faster", "Made"),
)


def list_page(folder: str, entries: Sequence[RunEntry]) -> str:
    """Return the page.

    Args:
        folder: what the served folder is called.
        entries: its runs.
    """
    shown = [entry for entry in entries if entry.fault is None]
    faulty = [entry for entry in entries if entry.fault is not None]
    head = element("header", element("h1", f"Runs in {folder}"), element("p", _count(shown, faulty), class_="quiet"))
    sections = [head, *([_runs(shown)] if shown else []), *([_faulty(faulty)] if faulty else [])]
    return page(f"quantlab: {folder}", sections)


def _count(shown: Sequence[RunEntry], faulty: Sequence[RunEntry]) -> str:
    if not shown and not faulty:
        return "There is no run here yet: `quantlab ptq --out DIR/NAME` makes one; then reload this page."
    count = f"{len(shown)} run{'' if len(shown) == 1 else 's'}"
    broken = f", {len(faulty)} more that cannot be shown" if faulty else ""
    return f"{count}{broken}. Choose two or more and compare them, or open one."


def _runs(entries: Sequence[RunEntry]) -> Element:
    lines = [_line(entry, model) for entry in entries for model in entry.rows or (None,)]
    button = element("button", "Compare the chosen runs", type="submit", id="compare")
    said = element("span", class_="quiet", id="chosen", role="status")
    listed = table(_HEADS, lines, caption="INT8 models, a row each; the last run first", class_="searchable runs")
    is_simulated = any(model.is_simulated for entry in entries for model in entry.rows)
    foot = element("p", SIMULATED, class_="quiet") if is_simulated else None
    form = element("form", listed, element("p", button, said, class_="actions"), action="/compare", method="get")
    return element("section", form, foot)


def _line(entry: RunEntry, model: ModelRow | None) -> Element:
    name = element("a", entry.name, href=address("/report", run=entry.name))
    label = f"Compare {entry.name}" + (f" ({model.name})" if model else "")
    box = element("input", type="checkbox", name="run", value=entry.name, aria_label=label)
    if model is None:
        return row(name, element("td", box, class_="choice"), *[_NONE] * (len(_HEADS) - 2))
    target = f"{model.name}*" if model.is_simulated else model.name
    return row(
        element("span", name, " ", element("a", "Try a sample", href=address("/try", run=entry.name), class_="try")),
        element("td", box, class_="choice"),
        model.model,
        model.calibrator,
        target,
        _number(model.accuracy, "{:.2%}"),
        _number(model.drop, "{:+.2f}"),
        number(_NONE if model.drop_interval is None else "{:+.2f} to {:+.2f}".format(*model.drop_interval)),
        _number(model.median_ms, "{:.3f}"),
        _number(model.speedup, "{:.2f}×"),
        _date(model.created),
    )


def _number(value: float | None, form: str) -> Element:
    return number(_NONE if value is None else form.format(value), value)


def _date(created: str) -> Child:
    """Return the day and the minute, in the time of this machine."""
    try:
        made = dt.datetime.fromisoformat(created).astimezone()
    except (ValueError, OverflowError):
        return created
    return element("td", f"{made:%Y-%m-%d %H:%M}", class_="number", data_value=repr(made.timestamp()))


def _faulty(entries: Sequence[RunEntry]) -> Element:
    lines = [row(entry.name, entry.fault or "") for entry in entries]
    return element(
        "section",
        element("h2", "Cannot be shown"),
        table(["Folder", "Why"], lines, caption="Folders with a broken or an unfinished run"),
    )
