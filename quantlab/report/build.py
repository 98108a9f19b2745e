"""A run's outcome → its `Report`."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from quantlab.affine import Encodings
from quantlab.audit import Audit
from quantlab.diagnosis import Diagnosis
from quantlab.evaluation import Evaluation, verdicts
from quantlab.evaluation.resources import Resources
from quantlab.graph.model import Model
from quantlab.job import Job
from quantlab.layerwise import Layerwise
from quantlab.plan import Plan
from quantlab.report.built import build_faults, built_section
from quantlab.report.flips import flips_section
from quantlab.report.histograms import histograms_section
from quantlab.report.layers import layers_section
from quantlab.report.paths import without_private_paths
from quantlab.report.report import SCHEMA_VERSION, Report
from quantlab.report.sensitivity import sensitivity_section
from quantlab.report.tensors import tensor_rows
from quantlab.run_build import Built
from quantlab.run_folder import FileEntry
from quantlab.stats.table import Statistics


@dataclass(frozen=True, eq=False, slots=True)
class Quantized:
    """One target's INT8 model and what it was made of.

    Attributes:
        plan: what is quantized, and why the rest is not.
        encodings: scales and zero points by tensor.
        model: the INT8 model.
        audit: what the runtime really does in integers, or None where this machine cannot tell.
        built: what became of its TensorRT plan, or None where none was asked for.
    """

    plan: Plan
    encodings: Encodings
    model: Model
    audit: Audit | None
    built: Built | None = None

    def with_build(self, built: Built) -> Quantized:
        """Return the same, audited by the build."""
        return replace(self, built=built, audit=built.audit)


@dataclass(frozen=True, eq=False, slots=True)
class Outcome:
    """What a run made, before it is told.

    Attributes:
        job: model, data and recipe.
        statistics: what was seen.
        quantized: by target.
        evaluation: the comparison.
        notes: sentences that came up after the job was opened.
        warnings: likewise, those that a user must see.
        files: what the run has written, by name.
        command: the command line, or None for a call from Python.
        layerwise: what each layer costs, by target; empty where that was not looked at.
        diagnoses: what each node alone costs, likewise.
        resources: what the run took of the machine, or None.
        collected_by: engine, version and device of what computed the statistics; empty where that is not known.
    """

    job: Job
    statistics: Statistics
    quantized: Mapping[str, Quantized]
    evaluation: Evaluation
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    files: Mapping[str, FileEntry] = field(default_factory=dict)
    command: Sequence[str] | None = None
    layerwise: Mapping[str, Layerwise] = field(default_factory=dict)
    diagnoses: Mapping[str, Diagnosis] = field(default_factory=dict)
    resources: Resources | None = None
    collected_by: tuple[str, ...] = ()


def build_report(outcome: Outcome) -> Report:
    """Return the report of a run; paths below the working and the home folder are told relative to these."""
    job = outcome.job
    split, *notes = job.notes
    targets = {name: _target_section(name, outcome) for name in outcome.quantized}
    content = {
        "schema_version": SCHEMA_VERSION,
        "quantlab": _quantlab_version(),
        "created": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "command": None if outcome.command is None else list(outcome.command),
        "recipe": job.recipe.to_plain(),
        "model": _model_section(job.model),
        "samples": {
            "calibration": outcome.statistics.samples,
            "evaluation": outcome.evaluation.samples,
            "labelled": outcome.evaluation.labelled,
            "note": split,
            "collected_by": list(outcome.collected_by),
        },
        "notes": [*outcome.notes, *notes],
        "warnings": [*job.warnings, *outcome.warnings, *build_faults({"targets": targets})],
        "targets": targets,
        **({"histograms": _histograms(outcome)} if outcome.statistics.samples else {}),
        "evaluation": outcome.evaluation.to_json(),
        **_optional("flips", flips_section(outcome.evaluation, job.recipe.preprocess)),
        **_optional("resources", None if outcome.resources is None else outcome.resources.to_json()),
        "verdict": _verdict(outcome),
        "files": {name: entry._asdict() for name, entry in outcome.files.items()},
    }
    return Report(without_private_paths(content))


def _model_section(model: Model) -> dict[str, Any]:
    return {
        "name": model.name,
        "sha256": _sha256_of_source(model),
        "opset": model.opset,
        "nodes": len(model.graph),
        "weight_bytes": model.size_bytes,
        "inputs": [str(spec) for spec in model.inputs],
        "outputs": list(model.outputs),
    }


def _sha256_of_source(model: Model) -> str | None:
    """Return the hash of the file a model was loaded from, or None for one from memory."""
    if model.path is None or not model.path.is_file():
        return None
    with model.path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _target_section(name: str, outcome: Outcome) -> dict[str, Any]:
    made, layerwise = outcome.quantized[name], outcome.layerwise.get(name)
    layers = None if layerwise is None else layers_section(outcome.job.model, made.plan, made.audit, layerwise)
    found = outcome.diagnoses.get(name)
    sensitivity = None if found is None else sensitivity_section(found, outcome.evaluation.row(name))
    return {
        "tensors": [row.to_json() for row in tensor_rows(made.plan, made.encodings, outcome.statistics)],
        "skips": [{"tensor": skip.tensor, "reason": skip.reason} for skip in made.plan.skips],
        "integer_nodes": list(made.plan.integer_nodes),
        "float_nodes": [{"node": node, "reason": reason} for node, reason in made.plan.float_nodes],
        "audit": None if made.audit is None else json.loads(made.audit.to_json()),
        **_optional("layers", layers),
        **_optional("sensitivity", sensitivity),
        **_optional("build", None if made.built is None else built_section(made.built)),
    }


def _optional(name: str, section: Mapping[str, Any] | None) -> dict[str, Any]:
    return {} if section is None else {name: section}


def _histograms(outcome: Outcome) -> dict[str, Any]:
    plans = {name: (made.plan, made.encodings) for name, made in outcome.quantized.items()}
    return histograms_section(plans, outcome.statistics, outcome.job.recipe.calibrator_with_options())


def _verdict(outcome: Outcome) -> str:
    """Return a line per INT8 model; one in which nothing is quantized has nothing to be judged by."""
    found = verdicts(outcome.evaluation)
    for name, made in outcome.quantized.items():
        if not made.plan.points:
            found[name] = "Nothing is quantized: this model computes what the float model does."
    return "\n".join(f"{name}: {text}" for name, text in found.items())


def _quantlab_version() -> str:
    try:
        return version("quantlab")
    except PackageNotFoundError:
        return "unknown (not installed)"
