"""A folder → the runs below it, by their paths from there; one that cannot be read is listed with its reason.

Nothing that a browser sends ever becomes a path: it names a run of the list, or nothing. Links are not followed, and
a file that lies outside the folder once its links are resolved is refused.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from quantlab.errors import RunError
from quantlab.report.report import Report
from quantlab.run_folder import REPORT, UNFINISHED

_MOST_REPORT_BYTES = 64 * 2**20
_DEEPEST = 5
_MOST_RUNS = 2000


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One INT8 model of one run, as the list shows it.

    Attributes:
        model: the float model's name.
        name: what the run calls the INT8 model: its target, and perhaps more words.
        calibrator: how activation ranges were chosen.
        is_simulated: whether another runtime stood in for the target's.
        accuracy: the share of right answers, or None without labels.
        drop: points lost against the float model, or None.
        drop_interval: 95 % of it, in points, or None.
        median_ms: of one run at the first batch size, or None where nothing was timed.
        speedup: how many times faster than the float model, or None.
        created: date and time, ISO 8601.
    """

    model: str
    name: str
    calibrator: str
    is_simulated: bool
    accuracy: float | None
    drop: float | None
    drop_interval: tuple[float, float] | None
    median_ms: float | None
    speedup: float | None
    created: str


@dataclass(frozen=True, slots=True)
class RunEntry:
    """One run of the list.

    Attributes:
        name: the folder's path from the served one, with `/`; `.` for that itself.
        path: the folder.
        rows: one per INT8 model.
        fault: why the run cannot be shown, or None.
    """

    name: str
    path: Path
    rows: tuple[ModelRow, ...] = ()
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class _Cached:
    stamp: tuple[int, int]
    entry: RunEntry


@dataclass(eq=False, slots=True)
class RunList:
    """The runs below a folder; every look sees what is there now.

    Attributes:
        root: the folder, with its links resolved.
    """

    root: Path
    _cache: dict[Path, _Cached] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def open(cls, folder: Path) -> RunList:
        """Return the list of a folder.

        Raises:
            RunError: there is no such folder.
        """
        if not folder.is_dir():
            kind = "this is a file" if folder.exists() else "there is no such folder"
            raise RunError(f"{folder}: {kind}; give a folder that holds runs, such as `runs`")
        return cls(folder.resolve())

    def entries(self) -> list[RunEntry]:
        """Return the runs, the last one first; those that cannot be shown stand at the end."""
        with self._lock:
            found = [self._entry(path) for path in self._folders()]
            kept = {entry.path for entry in found}
            self._cache = {path: cached for path, cached in self._cache.items() if path in kept}
        found.sort(key=lambda entry: entry.rows[0].created if entry.rows else "", reverse=True)
        return found

    def entry(self, name: str) -> RunEntry:
        """Return the run of a name.

        Raises:
            RunError: no run of the list is called so.
        """
        for entry in self.entries():
            if entry.name == name:
                return entry
        raise RunError(f"{name!r}: there is no such run in {self.root.name}; reload the list of runs")

    def report(self, name: str) -> Report:
        """Return a run's report.

        Raises:
            RunError: there is no such run, or its report cannot be shown.
        """
        entry = self.entry(name)
        if entry.fault is not None:
            raise RunError(f"{name}: {entry.fault}")
        return self._load(entry.path)

    def file(self, entry: RunEntry, name: str) -> Path:
        """Return the path of a run's file.

        Raises:
            RunError: it is not there, is no plain file, or lies outside the served folder.
        """
        path = entry.path / name
        try:
            resolved = path.resolve(strict=True)
        except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle, before Python 3.13
            raise RunError(f"{entry.name}: its {name} is missing; make the run again") from error
        if not resolved.is_relative_to(self.root):
            raise RunError(f"{entry.name}: its {name} is a link out of the served folder, which is not followed")
        if not resolved.is_file():
            raise RunError(f"{entry.name}: its {name} is no plain file")
        return resolved

    def _folders(self) -> Iterator[Path]:
        found = 0
        for at, folders, files in os.walk(self.root, followlinks=False):
            path = Path(at)
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            if len(path.relative_to(self.root).parts) >= _DEEPEST:
                folders.clear()
            if REPORT in files or REPORT in folders or UNFINISHED in folders:
                found += 1
                yield path
            if UNFINISHED in folders:
                folders.remove(UNFINISHED)
            if found >= _MOST_RUNS:
                return

    def _entry(self, path: Path) -> RunEntry:
        """Return a run, from memory where its report is the same file as before."""
        name = path.relative_to(self.root).as_posix()
        try:
            status = (path / REPORT).stat()
        except OSError:
            status = None
        stamp = (0, 0) if status is None else (status.st_mtime_ns, status.st_size)
        cached = self._cache.get(path)
        if cached is None or cached.stamp != stamp:
            cached = _Cached(stamp, self._read(name, path))
            self._cache[path] = cached
        return cached.entry

    def _read(self, name: str, path: Path) -> RunEntry:
        if not os.path.lexists(path / REPORT):
            return RunEntry(name, path, fault="it did not finish; the command that began it goes on from there")
        try:
            return RunEntry(name, path, _model_rows(self._load(path).content))
        except RunError as error:
            return RunEntry(name, path, fault=str(error).replace(f"{path}/", ""))

    def _load(self, path: Path) -> Report:
        file = self.file(RunEntry(path.name, path), REPORT)
        if file.stat().st_size > _MOST_REPORT_BYTES:
            raise RunError(f"{REPORT}: it is larger than {_MOST_REPORT_BYTES >> 20} MB, so it is none of quantlab's")
        report = Report.load(file)
        _model_rows(report.content)
        return report


def _model_rows(content: Mapping[str, Any]) -> tuple[ModelRow, ...]:
    try:
        return tuple(_model_row(content, row) for row in content["evaluation"]["rows"][1:])
    except (KeyError, TypeError, IndexError, ValueError, AttributeError) as error:
        raise RunError(f"{REPORT}: it is damaged ({type(error).__name__}: {error}); make the run again") from error


def _model_row(content: Mapping[str, Any], row: Mapping[str, Any]) -> ModelRow:
    accuracy, timed, gain = (next(iter(row[name]), None) for name in ("accuracies", "latencies", "speedups"))
    drop = row["drop"]
    return ModelRow(
        model=str(content["model"]["name"]),
        name=str(row["name"]),
        calibrator=str(content["recipe"]["calibrator"]),
        is_simulated=bool(row["is_simulated"]),
        accuracy=None if accuracy is None else float(accuracy["share"]),
        drop=None if drop is None else float(drop["points"]),
        drop_interval=None if drop is None else (float(drop["interval"][0]), float(drop["interval"][1])),
        median_ms=None if timed is None else float(timed["median_ms"]),
        speedup=None if gain is None else float(gain["ratio"]),
        created=str(content["created"]),
    )
