"""A run on disk: what each file is called, atomic writes, and what resuming needs.

    DIR/recipe.toml   what was asked for                  DIR/model.fp32.onnx            the prepared float model
    DIR/plan.json     the plan of each target             DIR/model.<target>.int8.onnx   what to deploy
    DIR/stats.npz     the statistics                      DIR/report.json                what came out
    DIR/state.json    whose statistics stats.npz holds, and whether they are complete

A file appears under its name only when it is whole: it is written to a temporary name and renamed.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from quantlab.errors import CalibrationError, RunError
from quantlab.files import replacing
from quantlab.graph.model import Model
from quantlab.graph.save import save
from quantlab.plan import Plan
from quantlab.recipe import Recipe
from quantlab.stats.table import Statistics


class SavedStatistics(NamedTuple):
    """Statistics found in a folder, and whether they hold every calibration sample."""

    statistics: Statistics
    is_complete: bool


class RunFolder:
    """The folder of one run; it is made when the object is."""

    def __init__(self, path: str | Path) -> None:
        """Make the folder and see that it can be written to.

        Raises:
            RunError: the path is a file, or the folder cannot be made or written to.
        """
        self.path = Path(path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except OSError as error:
            reason = error.strerror or str(error)
            raise RunError(
                f"{self.path}: the output folder cannot be written to ({reason}); choose another --out"
            ) from error

    def float_model(self) -> Path:
        """Path of the prepared float model."""
        return self.path / "model.fp32.onnx"

    def int8_model(self, target: str) -> Path:
        """Path of a target's INT8 model."""
        return self.path / f"model.{target}.int8.onnx"

    def write_recipe(self, recipe: Recipe) -> None:
        """Write `recipe.toml`."""
        write_text(self.path / "recipe.toml", recipe.to_toml())

    def write_plans(self, plans: Mapping[str, Plan]) -> None:
        """Write `plan.json`: every plan by the name of its target."""
        text = json.dumps({name: json.loads(plan.to_json()) for name, plan in plans.items()}, indent=1)
        write_text(self.path / "plan.json", text)

    def write_report(self, text: str) -> Path:
        """Write `report.json` and return its path."""
        path = self.path / "report.json"
        write_text(path, text)
        return path

    def write_models(self, float_model: Model, int8_models: Mapping[str, Model]) -> None:
        """Write the float model and every INT8 model."""
        save(float_model, self.float_model())
        for target, model in int8_models.items():
            save(model, self.int8_model(target))

    def write_statistics(self, statistics: Statistics, fingerprint: str, *, is_complete: bool) -> None:
        """Write the statistics so far and whose they are.

        The statistics say themselves how many samples they hold, so a stop between the two writes costs at most
        the mark that they are complete.
        """
        _guard(self.path / "stats.npz", lambda: statistics.save(self.path / "stats.npz"))
        state = {"fingerprint": fingerprint, "samples": statistics.samples, "is_complete": is_complete}
        write_text(self.path / "state.json", json.dumps(state))

    def saved_statistics(self, fingerprint: str) -> SavedStatistics | None:
        """Return saved statistics, or None if there are none with this fingerprint."""
        try:
            state = json.loads((self.path / "state.json").read_text(encoding="utf-8"))
            if state["fingerprint"] != fingerprint:
                return None
            statistics = Statistics.load(self.path / "stats.npz")
        except (OSError, ValueError, KeyError, TypeError, CalibrationError):
            return None  # nothing usable is there: start anew
        return SavedStatistics(statistics, bool(state["is_complete"]) and statistics.samples == state["samples"])


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically.

    Raises:
        RunError: the file cannot be written; an existing one is unchanged and nothing else is left behind.
    """

    def write() -> None:
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")

    _guard(path, write)


def _guard(path: Path, write: Callable[[], None]) -> None:
    try:
        write()
    except OSError as error:
        reason = error.strerror or str(error)
        raise RunError(f"{path}: cannot be written ({reason}); free space or choose another --out") from error
