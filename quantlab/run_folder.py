"""A run on disk: what each file is called, atomic writes, and what resuming needs.

    DIR/recipe.toml   what was asked for                  DIR/model.fp32.onnx            the prepared float model
    DIR/plan.json     the plan of each target             DIR/model.<target>.int8.onnx   what to deploy
    DIR/stats.npz     the statistics                      DIR/report.json                what came out
    DIR/state.json    whose statistics are in stats.npz   DIR/report.html                the same, as a page
    DIR/model.tensorrt.int8.plan, .plan.json              with `--build`: the built plan and what it belongs to

While a run goes on it writes to `DIR/unfinished/`; at its end the files move up together, the report last, in the
place of those of the run before. So DIR holds one whole run or none, whatever happens on the way, and its report
speaks of the files beside it. An interrupted run leaves its statistics so far in `DIR/unfinished/`, and an interrupted
training its last epoch in `DIR/qat.safetensors`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from quantlab.errors import CalibrationError, RunError
from quantlab.files import replacing
from quantlab.graph.model import Model
from quantlab.graph.save import save
from quantlab.plan import Plan
from quantlab.recipe import Recipe
from quantlab.stats.table import Statistics

REPORT = "report.json"
PAGE = "report.html"
UNFINISHED = "unfinished"
CHECKPOINT = "qat.safetensors"
_STATISTICS = ("stats.npz", "state.json")
# What else a run leaves; `model.*` covers data files of models above 2 GB.
_RESULTS = (
    *(REPORT, PAGE, "import.json", "recipe.toml", "qat.toml", "plan.json"),
    *("model.*.onnx", "model.*.onnx.data", "model.*.plan", "model.*.plan.json"),
)


class SavedStatistics(NamedTuple):
    """Statistics found in a folder, whether they hold every calibration sample, and what computed them."""

    statistics: Statistics
    is_complete: bool
    collected_by: tuple[str, ...] = ()


class FileEntry(NamedTuple):
    """One file of a run, for its report."""

    size_bytes: int
    sha256: str


class RunFolder:
    """The folder of one run; it is made when the first file is written."""

    def __init__(self, path: str | Path) -> None:
        """See that the folder can be made and written to, and leave nothing behind.

        Raises:
            RunError: the path is a file, or the folder cannot be made or written to.
        """
        self.path = Path(path)
        missing = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
            for folder in missing:
                folder.rmdir()
        except FileExistsError as error:
            raise RunError(f"{self.path}: this is a file, not a folder to write to; choose another --out") from error
        except OSError as error:
            raise RunError(
                f"{self.path}: the output folder cannot be written to ({_reason(error)}); choose another --out"
            ) from error

    @property
    def unfinished(self) -> Path:
        """Where the files lie until the run is whole."""
        return self.path / UNFINISHED

    def int8_model(self, target: str) -> Path:
        """Return where the INT8 model of a target is, once the run is whole."""
        return self.path / int8_name(target)

    def begin(self, fingerprint: str | None = None) -> None:
        """Clear what another interrupted run left; statistics with this fingerprint stay."""
        if not self.unfinished.is_dir():
            return
        kept = _STATISTICS if fingerprint and _load_statistics(self.unfinished, fingerprint) else ()
        for path in self.unfinished.iterdir():
            if path.name not in kept:
                _remove(path)

    def write_recipe(self, recipe: Recipe) -> None:
        """Write `recipe.toml`."""
        self.write_text("recipe.toml", recipe.to_toml())

    def write_plans(self, plans: Mapping[str, Plan]) -> None:
        """Write `plan.json`: every plan by the name of its target."""
        plain = {name: json.loads(plan.to_json()) for name, plan in plans.items()}
        self.write_text("plan.json", json.dumps(plain, indent=1))

    def write_models(self, float_model: Model, int8_models: Mapping[str, Model]) -> None:
        """Write the float model as `model.fp32.onnx` and every INT8 model by its target."""
        self._make_unfinished()
        save(float_model, self.unfinished / "model.fp32.onnx")
        for target, model in int8_models.items():
            save(model, self.unfinished / int8_name(target))

    def write_statistics(
        self, statistics: Statistics, fingerprint: str, *, is_complete: bool, collected_by: Sequence[str] = ()
    ) -> None:
        """Write the statistics so far, whose they are, and what computed them.

        The statistics say themselves how many samples they hold, so a stop between the two writes costs at most
        the mark that they are complete.
        """
        self._make_unfinished()
        path = self.unfinished / "stats.npz"
        _guard(path, lambda: statistics.save(path))
        state: dict[str, object] = {"fingerprint": fingerprint, "samples": statistics.samples}
        state |= {"is_complete": is_complete, "collected_by": list(collected_by)}
        self.write_text("state.json", json.dumps(state))

    def write_text(self, name: str, text: str) -> None:
        """Write a text file of the run."""
        self._make_unfinished()
        write_text(self.unfinished / name, text)

    def saved_statistics(self, fingerprint: str) -> SavedStatistics | None:
        """Return statistics with this fingerprint: of an interrupted run, else of the finished one, else None."""
        return _load_statistics(self.unfinished, fingerprint) or _load_statistics(self.path, fingerprint)

    def entries(self) -> dict[str, FileEntry]:
        """Return the files that this run has written, and the statistics it has used again, by name."""
        paths = {name: self.path / name for name in _STATISTICS if (self.path / name).is_file()}
        paths |= {path.name: path for path in self._written()}
        return {name: _entry(path) for name, path in sorted(paths.items()) if name != "state.json"}

    def publish(self) -> None:
        """Put what this run has written in the place of the files of the run before, the report last."""
        written = self._written()
        if not written:
            return
        names = {path.name for path in written}
        for pattern in _RESULTS:  # REPORT first: without one the folder tells nothing that does not hold
            for old in self.path.glob(pattern):
                if old.name == REPORT or old.name not in names:
                    _remove(old)
        for path in sorted(written, key=lambda path: path.name == REPORT):
            _guard(path, partial(path.replace, self.path / path.name))
        _guard(self.unfinished, self.unfinished.rmdir)

    def _make_unfinished(self) -> None:
        _guard(self.unfinished, partial(self.unfinished.mkdir, parents=True, exist_ok=True))

    def _written(self) -> list[Path]:
        return sorted(self.unfinished.iterdir()) if self.unfinished.is_dir() else []


def int8_name(target: str) -> str:
    """Return what the INT8 model of a target is called."""
    return f"model.{target}.int8.onnx"


def plan_name(target: str) -> str:
    """Return what the built plan of a target's INT8 model is called."""
    return f"model.{target}.int8.plan"


def kept_statistics(path: Path, begun: float) -> tuple[Path, int]:
    """Return where a run that is interrupted leaves statistics in its folder, and of how many samples; 0 for none.

    Args:
        path: the folder.
        begun: when the run began, in seconds of the epoch: what is published by then is of a run before it.
    """
    for place in (path / UNFINISHED, path):
        state = place / "state.json"
        try:
            if place == path and state.stat().st_mtime < begun:
                continue
            return place, int(json.loads(state.read_text(encoding="utf-8"))["samples"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return path, 0


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically.

    Raises:
        RunError: the file cannot be written; an existing one is unchanged and nothing else is left behind.
    """

    def write() -> None:
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")

    _guard(path, write)


def _load_statistics(folder: Path, fingerprint: str) -> SavedStatistics | None:
    try:
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        if state["fingerprint"] != fingerprint:
            return None
        statistics = Statistics.load(folder / "stats.npz")
        is_complete = bool(state["is_complete"]) and statistics.samples == state["samples"]
        return SavedStatistics(statistics, is_complete, tuple(map(str, state.get("collected_by", ()))))
    except (OSError, ValueError, KeyError, TypeError, CalibrationError):
        return None  # nothing usable is there: start anew


def _entry(path: Path) -> FileEntry:
    with path.open("rb") as file:
        return FileEntry(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def _remove(path: Path) -> None:
    _guard(path, partial(shutil.rmtree, path) if path.is_dir() else partial(path.unlink, missing_ok=True))


def _guard(path: Path, write: Callable[[], object]) -> None:
    try:
        write()
    except OSError as error:
        raise RunError(f"{path}: cannot be written ({_reason(error)}); free space or choose another --out") from error


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
