"""Reports of several runs → one table: every model of every run, and how it differs from the first run's.

    difference of a model:  accuracy of its counterpart in the first run − its own, in points; positive is a loss

The counterpart is the model of the same name, else the last one for the same target. Where both were judged on the
same samples in the same order, which their reports' `samples_sha256` tells, the difference is paired sample by
sample from the stored answers, as a run's own drop is. Otherwise it is told without an interval, with the reason.
Latencies of different runs were not measured in turns: what holds is each run's own speedup.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from quantlab.errors import RunError
from quantlab.evaluation.accuracy import Bits, paired_drop
from quantlab.report.report import Report


@dataclass(frozen=True, slots=True)
class Difference:
    """What one model loses against its counterpart in the first run.

    Attributes:
        counterpart: the name of that model in the first run.
        points: accuracy lost, in percentage points; negative where it gains; None without labels.
        interval: 95 % interval of the paired difference; None where the two cannot be paired.
        lost: samples that only the counterpart got right; None where they cannot be paired.
        gained: samples that only this model got right; None likewise.
        reason: why the two cannot be paired, as a sentence, or None where they are.
    """

    counterpart: str
    points: float | None = None
    interval: tuple[float, float] | None = None
    lost: int | None = None
    gained: int | None = None
    reason: str | None = None

    @property
    def is_significant(self) -> bool:
        """Whether the interval excludes zero."""
        return self.interval is not None and (self.interval[0] > 0 or self.interval[1] < 0)


@dataclass(frozen=True, slots=True)
class JoinedRow:
    """One model of one run.

    Attributes:
        run: what the run is called beside the others.
        model: what the run calls the model.
        content: its row of the run's evaluation; see `schema.json`.
        difference: against the first run; None for the first run itself, and where that has no counterpart.
    """

    run: str
    model: str
    content: Mapping[str, Any]
    difference: Difference | None


@dataclass(frozen=True, eq=False, slots=True)
class Joined:
    """Runs side by side.

    Attributes:
        runs: the reports by the names of the runs, the one that others are compared with first.
        rows: every model of every run.
    """

    runs: Mapping[str, Report]
    rows: tuple[JoinedRow, ...]

    @property
    def settings(self) -> dict[str, tuple[Any, ...]]:
        """The settings of the recipes that are not the same in all runs: by name, a value per run."""
        recipes = [report.content["recipe"] for report in self.runs.values()]
        names = dict.fromkeys(name for recipe in recipes for name in recipe)
        values = {name: tuple(recipe.get(name) for recipe in recipes) for name in names}
        return {name: each for name, each in values.items() if any(value != each[0] for value in each)}

    @property
    def is_of_one_machine(self) -> bool:
        """Whether all runs were made on machines alike, so that their milliseconds can be set side by side."""
        return len({_machine(report) for report in self.runs.values()}) == 1

    def sentences(self) -> tuple[str, ...]:
        """Return what a reader must know: differences that show, those that cannot be paired, different machines."""
        said = [_sentence(row) for row in self.rows if row.difference is not None and not _is_float(row)]
        if not self.is_of_one_machine:
            said.append("The runs were made on different machines: compare speedups, not milliseconds.")
        elif len(self.runs) > 1:
            said.append("Milliseconds of different runs were not measured in turns; each speedup was, within its run.")
        return tuple(said)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        rows = [
            {
                "run": row.run,
                "model": row.model,
                "difference": None if row.difference is None else asdict(row.difference),
                **{name: value for name, value in row.content.items() if name not in ("name", "correct")},
            }
            for row in self.rows
        ]
        settings = {name: list(values) for name, values in self.settings.items()}
        return {"runs": list(self.runs), "summary": list(self.sentences()), "settings": settings, "rows": rows}


def join(runs: Mapping[str, Report]) -> Joined:
    """Return runs side by side.

    Args:
        runs: reports by the names of their runs, at least one; the others are compared with the first.

    Raises:
        RunError: there is no run.
    """
    if not runs:
        raise RunError("report: there is no run to show; name at least one folder of a run")
    first = next(iter(runs.values()))
    rows = [
        JoinedRow(name, str(row["name"]), row, None if report is first else _difference(first, report, row))
        for name, report in runs.items()
        for row in report.rows
    ]
    return Joined(dict(runs), tuple(rows))


def load_runs(paths: Sequence[str | Path]) -> dict[str, Report]:
    """Return the reports of runs by the shortest names that tell them apart: of the folder, else the path.

    Args:
        paths: folders of runs, or their `report.json`.

    Raises:
        RunError: a path holds no report, or is named twice.
    """
    folders = [path if path.is_dir() or path.name != "report.json" else path.parent for path in map(Path, paths)]
    short = [folder.resolve().name for folder in folders]
    names = [name if short.count(name) == 1 else str(folder) for name, folder in zip(short, folders, strict=True)]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise RunError(f"{twice}: this run is named twice; name each once")
    return {name: Report.load(path) for name, path in zip(names, paths, strict=True)}


def bits_of(row: Mapping[str, Any], labelled: int) -> Bits | None:
    """Return bool [labelled samples] whether a model's answers were right, or None where that is not stored.

    Args:
        row: of an evaluation.
        labelled: the number of labelled samples there.
    """
    if row["correct"] is None or not labelled:
        return None
    packed = np.frombuffer(bytes.fromhex(row["correct"]), np.uint8)
    bits: Bits = np.unpackbits(packed)[:labelled].astype(np.bool_)
    return bits if bits.size == labelled else None


def _difference(first: Report, report: Report, row: Mapping[str, Any]) -> Difference | None:
    other = _counterpart(first.rows, str(row["name"]))
    if other is None:
        return None
    name, points = str(other["name"]), None
    if other["accuracies"] and row["accuracies"]:
        points = 100 * (other["accuracies"][0]["share"] - row["accuracies"][0]["share"])
    reason = _why_unpaired(first.content["evaluation"], report.content["evaluation"])
    theirs, ours = (bits_of(r, each.content["evaluation"]["labelled"]) for r, each in ((other, first), (row, report)))
    if reason is None and (theirs is None or ours is None):
        reason = "the samples have no labels"
    if reason is not None or theirs is None or ours is None:
        return Difference(name, points, reason=reason)
    drop = paired_drop(theirs, ours)
    return Difference(name, drop.points, drop.interval, drop.lost, drop.gained)


def _counterpart(rows: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any] | None:
    """Return the row of the same name, else the last of the same target: `onnxruntime` for `onnxruntime qat`."""
    same = [row for row in rows if row["name"] == name]
    related = [row for row in rows if str(row["name"]).split()[0] == name.split()[0]]
    return next(iter([*same, *reversed(related)]), None)


def _why_unpaired(first: Mapping[str, Any], other: Mapping[str, Any]) -> str | None:
    hashes = first.get("samples_sha256"), other.get("samples_sha256")
    if None in hashes:
        return "one of the reports is from before they told which samples they judged on; run it again"
    if hashes[0] != hashes[1]:
        return "the two runs were not judged on the same samples, prepared in the same way"
    return None


def _sentence(row: JoinedRow) -> str:
    difference = row.difference
    assert difference is not None
    who = f"{row.run}, {row.model}, against {difference.counterpart} of the first run"
    drop = "" if difference.points is None else f"drop {difference.points:+.2f} points"
    if difference.interval is None:
        return f"{who}: {drop}{', ' if drop else ''}not paired: {difference.reason}."
    told = f"{drop} [{difference.interval[0]:+.2f}, {difference.interval[1]:+.2f}]"
    if not difference.is_significant:
        return f"{who}: no difference in accuracy shows, {told}."
    return f"{who}: {'less' if difference.interval[0] > 0 else 'more'} accurate, {told}."


def _is_float(row: JoinedRow) -> bool:
    return row.content["drop"] is None and row.content["sqnr"] is None


def _machine(report: Report) -> tuple[Any, ...]:
    environment = report.content["evaluation"]["environment"]
    return tuple(environment.get(name) for name in ("cpu", "usable_cores", "system"))
