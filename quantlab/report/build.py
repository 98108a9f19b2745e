"""A run's outcome → its `Report`."""

from __future__ import annotations

import datetime as dt
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from quantlab.affine import Encodings
from quantlab.audit import Audit
from quantlab.evaluation import Evaluation, verdict
from quantlab.graph.model import Model
from quantlab.job import Job
from quantlab.plan import Plan
from quantlab.report.report import SCHEMA_VERSION, Report
from quantlab.report.tensors import tensor_rows
from quantlab.stats.table import Statistics


@dataclass(frozen=True, eq=False, slots=True)
class Quantized:
    """One target's INT8 model and what it was made of.

    Attributes:
        plan: what is quantized, and why the rest is not.
        encodings: scales and zero points by tensor.
        model: the INT8 model.
        audit: what the runtime really does in integers, or None where this machine cannot tell.
    """

    plan: Plan
    encodings: Encodings
    model: Model
    audit: Audit | None


@dataclass(frozen=True, eq=False, slots=True)
class Outcome:
    """What a run made, before it is told.

    Attributes:
        job: model, data and recipe.
        statistics: what was seen.
        quantized: by target.
        evaluation: the comparison.
        warnings: sentences that came up after the job was opened.
    """

    job: Job
    statistics: Statistics
    quantized: Mapping[str, Quantized]
    evaluation: Evaluation
    warnings: tuple[str, ...] = ()


def build_report(outcome: Outcome) -> Report:
    """Return the report of a run."""
    job = outcome.job
    content = {
        "schema_version": SCHEMA_VERSION,
        "quantlab": _quantlab_version(),
        "created": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        "recipe": job.recipe.to_plain(),
        "model": _model_section(job.model),
        "notes": list(job.notes),
        "warnings": [*job.warnings, *outcome.warnings],
        "calibration_samples": outcome.statistics.samples,
        "targets": {name: _target_section(made, outcome.statistics) for name, made in outcome.quantized.items()},
        "evaluation": outcome.evaluation.to_json(),
        "verdict": verdict(outcome.evaluation),
    }
    return Report(content)


def _model_section(model: Model) -> dict[str, Any]:
    return {
        "name": model.name,
        "opset": model.opset,
        "nodes": len(model.graph),
        "weight_bytes": model.size_bytes,
        "inputs": [str(spec) for spec in model.inputs],
        "outputs": list(model.outputs),
    }


def _target_section(made: Quantized, statistics: Statistics) -> dict[str, Any]:
    return {
        "tensors": [row.to_json() for row in tensor_rows(made.plan, made.encodings, statistics)],
        "skips": [{"tensor": skip.tensor, "reason": skip.reason} for skip in made.plan.skips],
        "integer_nodes": list(made.plan.integer_nodes),
        "float_nodes": [{"node": name, "reason": reason} for name, reason in made.plan.float_nodes],
        "audit": None if made.audit is None else json.loads(made.audit.to_json()),
    }


def _quantlab_version() -> str:
    try:
        return version("quantlab")
    except PackageNotFoundError:
        return "unknown (not installed)"
