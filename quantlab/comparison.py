"""Every calibrator from one pass over the data: ranges, accuracy, agreement and latency side by side.

The statistics are collected once, or read from a run's folder; every range is decided from them anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from quantlab.calibrators import CALIBRATORS, calibrator_named
from quantlab.evaluation import Evaluation
from quantlab.job import Job
from quantlab.pipeline import collect_for, evaluate_for, quantize
from quantlab.progress import Progress, silent
from quantlab.report.build import Quantized
from quantlab.report.to_terminal import answers_table, costs_table
from quantlab.run_folder import RunFolder
from quantlab.stats.table import Statistics


@dataclass(frozen=True, slots=True)
class RangeRow:
    """The range that every calibrator chose for one tensor.

    Attributes:
        target: whose plan quantizes it.
        tensor: its ONNX name.
        minimum: the smallest value seen.
        maximum: the largest.
        ranges: (low, high) that the integers reach, by calibrator.
    """

    target: str
    tensor: str
    minimum: float
    maximum: float
    ranges: Mapping[str, tuple[float, float]]


@dataclass(frozen=True, eq=False, slots=True)
class Comparison:
    """Calibrators side by side.

    Attributes:
        job: model and data.
        statistics: what every range was decided from.
        quantized: by target and calibrator, as "onnxruntime entropy".
        evaluation: of the float model and all of these.
    """

    job: Job
    statistics: Statistics
    quantized: Mapping[str, Quantized]
    evaluation: Evaluation

    def ranges(self) -> tuple[RangeRow, ...]:
        """Return a row for every activation whose range was chosen from data, in graph order, by target."""
        return tuple(
            self._range_row(target, point.tensor)
            for target, plan in self.job.plans.items()
            for point in plan.of_role("activation")
            if point.shared_with is None and point.fixed_range is None
        )

    def _range_row(self, target: str, tensor: str) -> RangeRow:
        seen = self.statistics.tensors[tensor]
        ranges = {}
        for name, made in self.quantized.items():
            if name.split()[0] == target:
                reached = made.encodings[tensor].range
                ranges[name.split()[1]] = (float(reached.low), float(reached.high))
        return RangeRow(target, tensor, seen.minimum, seen.maximum, ranges)

    def render(self) -> RenderableType:
        """Return what rich prints: answers, costs, and the largest value that every calibrator keeps."""
        evaluation = self.evaluation.to_json()
        parts: list[RenderableType] = [answers_table(evaluation), Text(), costs_table(evaluation), Text()]
        parts += [ranges_table(target, self.ranges()) for target in self.job.plans]
        parts += [Text(f"WARNING: {warning}", style="bold red") for warning in self.job.warnings]
        return Group(*parts)

    def to_json(self) -> dict[str, Any]:
        """Return plain values: the evaluation and the ranges."""
        rows = [
            {
                "target": row.target,
                "tensor": row.tensor,
                "minimum": row.minimum,
                "maximum": row.maximum,
                "ranges": {name: list(bounds) for name, bounds in row.ranges.items()},
            }
            for row in self.ranges()
        ]
        return {"evaluation": self.evaluation.to_json(), "ranges": rows, "warnings": list(self.job.warnings)}


def compare(
    job: Job,
    calibrators: Sequence[str] = tuple(CALIBRATORS),
    *,
    folder: str | Path | None = None,
    progress: Progress = silent,
) -> Comparison:
    """Quantize a job's model with several calibrators from one pass over the data, and evaluate all of them.

    Args:
        job: model, data and targets; its recipe's own calibrator plays no part.
        calibrators: names of calibrators.
        folder: a run's folder whose statistics are used, or where they are left, or None.
        progress: how long steps show themselves.

    Raises:
        RecipeError: a calibrator is unknown.
    """
    chosen = {name: calibrator_named(name) for name in calibrators}
    statistics = collect_for(job, folder=None if folder is None else RunFolder(folder), progress=progress)
    quantized = {
        f"{target} {name}": quantize(job, plan, statistics, calibrator)
        for target, plan in job.plans.items()
        for name, calibrator in chosen.items()
    }
    evaluation = evaluate_for(job, {name: made.model for name, made in quantized.items()}, progress=progress)
    return Comparison(job, statistics, quantized, evaluation)


def ranges_table(target: str, rows: Sequence[RangeRow]) -> Table:
    """Return the range that every calibrator chose, a row per tensor of a target."""
    mine = [row for row in rows if row.target == target]
    table = Table(title=f"Ranges for {target}", title_justify="left", box=None, pad_edge=False, header_style="bold")
    calibrators = list(mine[0].ranges) if mine else []
    for column in ("tensor", "seen", *calibrators):
        table.add_column(column, justify="left" if column == "tensor" else "right", overflow="fold")
    for row in mine:
        chosen = [_bounds(*row.ranges[name]) for name in calibrators]
        table.add_row(row.tensor, _bounds(row.minimum, row.maximum), *chosen)
    return table


def _bounds(low: float, high: float) -> str:
    return f"{low:.3g}..{high:.3g}"
