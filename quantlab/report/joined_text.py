"""Joined runs → the terminal, Markdown for a pull request, and CSV for a spreadsheet.

No text of a run becomes markup: in Markdown what could begin some is escaped, in CSV a text that a spreadsheet would
take for a formula gets an apostrophe in front.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rich.console import Group, RenderableType
from rich.text import Text

from quantlab.report.joining import Joined, JoinedRow
from quantlab.report.prose import Prose
from quantlab.report.tables import SIMULATED, decibels, plain_table

_MARKUP = re.compile(r"([\\`*_{}\[\]<>|~#!&])")
_NONE = "–"

HEADS = (
    *("Run", "Model", "Accuracy", "95 % interval", "Drop in points", "Against the first run", "Agrees", "SQNR"),
    *("Median ms", "Times faster", "File MB", "Peak MB"),
)
"""The columns of the Markdown table and of the page."""


class Cell(NamedTuple):
    """One cell: what is read, and the number it is sorted by, if there is one."""

    text: str
    value: float | None = None


def cells(row: JoinedRow) -> list[Cell]:
    """Return one row's cells, in the order of `HEADS`."""
    content, accuracy, timed = row.content, _first(row.content["accuracies"]), _first(row.content["latencies"])
    agreement, gain, memory = content["agreement"], _first(content["speedups"]), content["memory"]
    return [
        Cell(row.run),
        Cell(f"{row.model}*" if content["is_simulated"] else row.model),
        _cell("{:.2%}", _field(accuracy, "share")),
        Cell(_NONE if accuracy is None else _interval([100 * end for end in accuracy["interval"]], "{:.1f}")),
        _with_interval(_field(content["drop"], "points"), _field(content["drop"], "interval")),
        _against(row),
        _cell("{:.2%}", _field(agreement, "share")),
        Cell(_NONE if content["sqnr"] is None else decibels(content["sqnr"]), _field(content["sqnr"], "sqnr_db")),
        _cell("{:.3f}", _field(timed, "median_ms")),
        Cell(_NONE)
        if gain is None
        else Cell(f"{gain['ratio']:.2f}× {_interval(gain['interval'], '{:.2f}')}", gain["ratio"]),
        _cell("{:.2f}", content["size"]["file_bytes"] / 1e6),
        _cell("{:.1f}", None if memory is None else memory["peak_bytes"] / 1e6),
    ]


def plain_setting(value: Any) -> str:  # noqa: ANN401 (a setting is of any type)
    """Return a setting as a cell."""
    if value is None or value in ([], {}):
        return _NONE
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={item}" for name, item in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def render_joined(joined: Joined) -> RenderableType:
    """Return what rich prints of joined runs: at most 100 columns."""
    parts: list[RenderableType] = [*(Prose(line, style="bold") for line in joined.sentences()), Text()]
    table = plain_table(["run", "model", "accuracy", "drop in\npoints", "against the\nfirst run"], texts=2)
    for name in ("SQNR", "median\nms", "times\nfaster", "file\nMB"):
        table.add_column(name, justify="right", no_wrap=True, vertical="bottom")
    for row in joined.rows:
        named = {head: cell.text for head, cell in zip(HEADS, cells(row), strict=True)}
        difference, drop, gain = row.difference, row.content["drop"], _first(row.content["speedups"])
        table.add_row(
            *(named[name] for name in ("Run", "Model", "Accuracy")),
            _NONE if drop is None else f"{drop['points']:+.2f}",
            _NONE if difference is None or difference.points is None else f"{difference.points:+.2f}",
            *(named[name] for name in ("SQNR", "Median ms")),
            _NONE if gain is None else f"{gain['ratio']:.2f}x",
            named["File MB"],
        )
    parts += [table, Text()]
    parts += [Prose(SIMULATED)] if _has_simulated(joined) else []
    for name, values in joined.settings.items():
        told = ", ".join(f"{run}: {plain_setting(value)}" for run, value in zip(joined.runs, values, strict=True))
        parts.append(Prose(f"{name}: {told}"))
    return Group(*parts)


def to_markdown(joined: Joined) -> str:
    """Return joined runs as GitHub-flavoured Markdown."""
    lines = [f"* {_escaped(line)}" for line in joined.sentences()]
    lines += [""] if lines else []
    lines += _markdown_table(HEADS, [[cell.text for cell in cells(row)] for row in joined.rows], texts=2)
    lines += ["", _escaped(SIMULATED)] if _has_simulated(joined) else []
    if joined.settings:
        rows = [[name, *map(plain_setting, values)] for name, values in joined.settings.items()]
        lines += ["", *_markdown_table(["Setting", *joined.runs], rows, texts=len(joined.runs) + 1)]
    return "\n".join(lines) + "\n"


def to_csv(joined: Joined) -> str:
    """Return joined runs as CSV: a line per model and batch size, numbers as they are, units in the heads."""
    rows = [line for row in joined.rows for line in _csv_rows(row)]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _harmless(value) for name, value in line.items()} for line in rows)
    return text.getvalue()


def _csv_rows(row: JoinedRow) -> list[dict[str, Any]]:
    content, difference = row.content, row.difference
    accuracy, drop = _first(content["accuracies"]), content["drop"]
    answers = {
        "run": row.run,
        "model": row.model,
        "is_simulated": content["is_simulated"],
        "accuracy": _field(accuracy, "share"),
        **_ends("accuracy", _field(accuracy, "interval")),
        "samples": _field(accuracy, "total"),
        "drop_points": _field(drop, "points"),
        **_ends("drop_points", _field(drop, "interval")),
        "difference_points": difference and difference.points,
        **_ends("difference_points", None if difference is None else difference.interval),
        "difference_counterpart": difference and difference.counterpart,
        "not_paired_because": difference and difference.reason,
        "agreement": _field(content["agreement"], "share"),
        "sqnr_db": _field(content["sqnr"], "sqnr_db"),
        "file_bytes": content["size"]["file_bytes"],
        "peak_bytes": _field(content["memory"], "peak_bytes"),
    }
    return [{**answers, **_times(content, index)} for index in range(max(1, len(content["latencies"])))]


def _times(content: Mapping[str, Any], index: int) -> dict[str, Any]:
    timed = content["latencies"][index] if content["latencies"] else {}
    gain = content["speedups"][index] if index < len(content["speedups"]) else None
    names = ("batch_size", "median_ms", "p90_ms", "p99_ms", "images_per_second")
    return {
        **{name: timed.get(name) for name in names},
        "speedup": _field(gain, "ratio"),
        **_ends("speedup", _field(gain, "interval")),
    }


def _ends(name: str, interval: Sequence[float] | None) -> dict[str, float | None]:
    low, high = interval or (None, None)
    return {f"{name}_low": low, f"{name}_high": high}


def _harmless(value: Any) -> Any:  # noqa: ANN401 (a cell is of any type)
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" and value else value


def _markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, texts: int) -> list[str]:
    rules = ["---" if index < texts else "---:" for index in range(len(heads))]
    lines = [[_escaped(cell) for cell in line] for line in (heads, *rows)]
    return [f"| {' | '.join(line)} |" for line in [lines[0], rules, *lines[1:]]]


def _escaped(text: str) -> str:
    return _MARKUP.sub(r"\\\1", " ".join(str(text).split()))


def _field(part: Mapping[str, Any] | None, name: str) -> Any:  # noqa: ANN401 (JSON is of any type)
    return None if part is None else part[name]


def _cell(form: str, value: float | None) -> Cell:
    return Cell(_NONE) if value is None else Cell(form.format(value), value)


def _with_interval(points: float | None, interval: Sequence[float] | None) -> Cell:
    if points is None or interval is None:
        return Cell(_NONE)
    return Cell(f"{points:+.2f} {_interval(interval, '{:+.2f}')}", points)


def _against(row: JoinedRow) -> Cell:
    """Return a row's difference from the first run, or that it cannot be paired."""
    difference = row.difference
    if difference is None:
        return Cell(_NONE)
    if difference.interval is not None:
        return _with_interval(difference.points, difference.interval)
    points = difference.points
    return Cell("not paired") if points is None else Cell(f"{points:+.2f}, not paired", points)


def _interval(ends: Sequence[float], form: str) -> str:
    return f"[{form.format(ends[0])}, {form.format(ends[1])}]"


def _first(items: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    return items[0] if items else None


def _has_simulated(joined: Joined) -> bool:
    return any(row.content["is_simulated"] for row in joined.rows)
