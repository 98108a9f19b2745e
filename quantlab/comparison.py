"""Every calibrator from one pass over the data: ranges, accuracy, agreement and latency side by side.

The statistics are collected once, or read from a run's folder; every range is decided from them anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from quantlab.calibrators import CALIBRATORS, calibrator_named
from quantlab.errors import RecipeError
from quantlab.evaluation import Evaluation
from quantlab.evaluation.evaluation import Row
from quantlab.job import Job
from quantlab.pipeline import FLOAT, evaluate_for, quantize
from quantlab.progress import Progress, silent
from quantlab.report.build import Quantized
from quantlab.resume import Collected, collect_for
from quantlab.run_folder import RunFolder


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
        collected: what every range was decided from.
        quantized: by target, then by calibrator.
        evaluation: of the float model and all of these, called "TARGET CALIBRATOR".
    """

    job: Job
    collected: Collected
    quantized: Mapping[str, Mapping[str, Quantized]]
    evaluation: Evaluation

    def ranges(self) -> tuple[RangeRow, ...]:
        """Return a row for every activation whose range was chosen from data, in graph order, by target."""
        return tuple(
            self._range_row(target, point.tensor)
            for target, plan in self.job.plans.items()
            for point in plan.of_role("activation")
            if point.shared_with is None and point.fixed_range is None
        )

    def sentences(self) -> tuple[str, ...]:
        """Return for each target which calibrator stays closest to the float model, and whether accuracies differ."""
        return tuple(self._sentence(target) for target, plan in self.job.plans.items() if plan.points)

    def to_json(self) -> dict[str, Any]:
        """Return plain values: the evaluation, the ranges, and sentences about both."""
        return {
            "summary": list(self.sentences()),
            "evaluation": self.evaluation.to_json(),
            "ranges": [asdict(row) for row in self.ranges()],
            "samples": self.job.notes[0],
            "notes": [*([self.collected.note] if self.collected.note else []), *self.job.notes[1:]],
            "warnings": list(self.job.warnings),
        }

    def __str__(self) -> str:
        return "\n".join([*self.sentences(), str(self.evaluation)])

    def _range_row(self, target: str, tensor: str) -> RangeRow:
        seen = self.collected.statistics.tensors[tensor]
        ranges = {}
        for name, made in self.quantized[target].items():
            reached = made.encodings[tensor].range
            ranges[name] = (float(reached.low), float(reached.high))
        return RangeRow(target, tensor, seen.minimum, seen.maximum, ranges)

    def _sentence(self, target: str) -> str:
        rows = {name: self.evaluation.row(_label(target, name)) for name in self.quantized[target]}
        closest = max(rows, key=lambda name: _decibels(rows[name]))
        said = f"{target}: {closest} stays closest to {FLOAT} ({rows[closest].sqnr or 'not compared'})."
        shares = {name: row.accuracies[0].share for name, row in rows.items() if row.accuracies}
        if len(shares) < 2:
            return said
        best, worst = max(shares, key=shares.__getitem__), min(shares, key=shares.__getitem__)
        drop = self.evaluation.drop_between(_label(target, best), _label(target, worst))
        if drop is None or drop.interval[0] <= 0:
            return f"{said} By accuracy, {self.evaluation.labelled} samples do not tell the calibrators apart."
        low, high = drop.interval
        return f"{said} {best} is more accurate than {worst}, by {drop.points:.2f} points [{low:.2f}, {high:.2f}]."


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
        RecipeError: a calibrator is unknown, or the recipe asks for a TensorRT plan.
    """
    if job.recipe.build:
        raise RecipeError("build: comparing builds no plan; leave it out, and run `quantlab ptq --build` on the best")
    chosen = {name: calibrator_named(name) for name in calibrators}
    run_folder = None if folder is None else RunFolder(folder)
    collected = collect_for(job, folder=run_folder, progress=progress)
    if run_folder:
        run_folder.publish()
    quantized: dict[str, dict[str, Quantized]] = {target: {} for target in job.plans}
    for target, plan in job.plans.items():
        for name, calibrator in chosen.items():
            quantized[target][name] = quantize(job, plan, collected.statistics, calibrator, progress)
    models = {_label(target, name): made.model for target, row in quantized.items() for name, made in row.items()}
    return Comparison(job, collected, quantized, evaluate_for(job, models, progress=progress))


def _label(target: str, calibrator: str) -> str:
    return f"{target} {calibrator}"


def _decibels(row: Row) -> float:
    return float("-inf") if row.sqnr is None else row.sqnr.db
