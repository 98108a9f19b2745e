"""INT8 models → what a runtime makes of them: built plans, and audits.

A source is a model (an `.onnx` file, `digits`, a `Model`) or the folder of a run, which may hold one model per target.
Of a run the plan is known; of any other Q/DQ model it is read from the graph.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from quantlab.audit import Audit, AuditRow, audit_onnxruntime, audit_tensorrt
from quantlab.data.batch import Batches, InputSpec
from quantlab.data.open import first_shapes, open_source
from quantlab.deployable import Deployable, Precision, deployables, in_precision
from quantlab.engines.tensorrt import (
    RUNTIMES,
    BuildSettings,
    PlanRecord,
    TensorRT,
    build_engines,
    build_plan,
    installed_runtime,
    profile_for,
)
from quantlab.engines.tensorrt.shapes import Shape, ShapeRange, worth_telling
from quantlab.engines.tensorrt.trtexec import command_lines
from quantlab.errors import EngineError, PlanError, RecipeError
from quantlab.evaluation.gpu_latency import GpuLatency, measure_gpu_latency
from quantlab.graph.model import Model
from quantlab.graph.save import save
from quantlab.opening import check_torch_settings
from quantlab.torchmodels import TorchSettings
from quantlab.zoo import digits_model_path

ENGINES = ("onnxruntime", *RUNTIMES)
"""The runtimes that can be audited, by the names that users type."""


@dataclass(frozen=True, eq=False, slots=True)
class Deployment:
    """A built plan, and what there is to know about it.

    Attributes:
        plan: where it is; its side-car lies beside it.
        record: what the side-car says.
        audit: what became of the nodes of an INT8 model; None for a float one.
        command_lines: by tool, the shell line that builds and times the same model.
        latencies: on this machine's GPU, by batch size; empty where none was asked for.
    """

    plan: Path
    record: PlanRecord
    audit: Audit | None
    command_lines: Mapping[str, str]
    latencies: tuple[GpuLatency, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain values; the layers are in the side-car."""
        record = {**json.loads(self.record.to_json()), "layers": len(self.record.layers)}
        audit = None if self.audit is None else json.loads(self.audit.to_json())
        latencies = [latency.to_json() for latency in self.latencies]
        lines = dict(self.command_lines)
        return {"plan": str(self.plan), **record, "audit": audit, "latencies": latencies, "command_lines": lines}

    @property
    def cells(self) -> tuple[str, ...]:
        """Layers, those that multiply in INT8, weights, activations, share of multiply-adds in INT8, latency."""
        layers = self.record.layers
        return (
            str(len(layers)),
            str(sum(layer.multiplies_int8 for layer in layers)),
            _megabytes(self.record.weights_bytes),
            _megabytes(self.record.activations_bytes),
            "-" if self.audit is None else f"{self.audit.multiply_add_share:.1%}",
            str(self.latencies[0]) if self.latencies else "not measured",
        )

    def __str__(self) -> str:
        record, layers = self.record, self.record.layers
        megabytes = self.plan.stat().st_size / 1e6
        lines = [
            f"{self.plan}: {megabytes:.2f} MB, built by {record.runtime} {record.version} in {record.seconds:.1f} s",
            f"for {record.built_for}",
            f"weights {_megabytes(record.weights_bytes)}, activations {_megabytes(record.activations_bytes)}",
            f"{len(layers)} layers, {sum(layer.multiplies_int8 for layer in layers)} of them multiply in INT8",
            *(f"input {name}: {shape}" for name, shape in record.shapes.items()),
            *(f"warning: {warning}" for warning in record.warnings),
            *([] if self.audit is None else [str(self.audit)]),
            *(f"latency at {latency}" for latency in self.latencies),
        ]
        return "\n".join(lines)


def build(
    source: object,
    out: str | Path | None = None,
    *,
    settings: BuildSettings | None = None,
    data: object = None,
    latency_batches: Sequence[int] = (),
    torch: TorchSettings | None = None,
) -> Deployment:
    """Build a TensorRT plan and look into it.

    Args:
        source: a model, float or with Q/DQ pairs, or the folder of a run, whose model for `tensorrt` is built; or one
            of these in a precision, see `in_precision`.
        out: where the plan goes; None for beside the model, or for the bundled network in the working folder, with
            the suffix `.plan`. A model that is turned into half precision is written beside the plan, with its
            precision in the name.
        settings: how to build.
        data: samples that tell the sizes of free axes, as for `--data`; None if the settings or the model do.
        latency_batches: time the plan on this machine's GPU at these batch sizes.
        torch: how a torch model is filled with weights and exported.

    Raises:
        ModelError, RunError: the model cannot be opened, or the folder is no run.
        DataError: the samples do not fit the model.
        RecipeError: the settings do not fit the model or the runtime, or nothing says where the plan goes.
        EngineError: see `build_plan`.
    """
    check_torch_settings([source], torch or TorchSettings())
    deployable = source if isinstance(source, Deployable) else in_precision(source, torch=torch)
    precision = deployable.precision
    model, settings = deployable.model, settings or BuildSettings()
    if out is None and model.path is None:
        raise RecipeError("build: this model is in no file, so nothing says where its plan goes; give `out`")
    path = Path(out) if out is not None else _beside(Path(str(model.path)), precision)
    onnx = model.path or Path("MODEL.onnx")
    if precision is not None and precision.endswith("fp16"):
        # NVIDIA's tools take a file. It must not be that of the float model, wherever the plan goes.
        onnx = path.with_name(f"{path.stem.removesuffix(f'.{precision}')}.{precision}.onnx")
        if onnx != model.path:
            save(model, onnx)
    shapes = profile_for(model.inputs, settings.shapes, None if data is None else seen_shapes(data, model.inputs))
    if latency_batches and any(shape.is_values for shape in shapes.values()):
        raise RecipeError("latency batches: an input holds sizes, which no batch tells; time the plan with its samples")
    made = build_deployable(deployable, onnx, path, replace(settings, shapes=shapes))
    return replace(made, latencies=_timed(model, path, made.record, latency_batches))


def build_deployable(
    deployable: Deployable, onnx: Path, path: Path, settings: BuildSettings, *, written: Path | None = None
) -> Deployment:
    """Build the plan of a model and look into it.

    Args:
        deployable: the model.
        onnx: the file it is in, for the command lines.
        path: where the plan goes.
        settings: how to build, every shape included.
        written: where it is written for now, if the caller moves it; None for `path` itself.

    Raises:
        RecipeError, EngineError: see `build_plan`.
    """
    model = deployable.model
    told = worth_telling(settings.shapes, model.inputs)
    record = build_plan(model, written or path, replace(settings, shapes=told))
    audit = None if deployable.plan is None else _audit_plan(deployable, record)
    lines = command_lines(onnx, path, told, replace(settings, runtime=record.runtime))
    return Deployment(path, record, audit, lines)


def audit(
    source: object, *, runtime: str | None = None, settings: BuildSettings | None = None, data: object = None
) -> tuple[Audit, ...]:
    """Return what runtimes make of an INT8 model, or of every model of a run.

    Args:
        source: an INT8 model, or the folder of a run.
        runtime: `onnxruntime`, `tensorrt` or `tensorrt_rtx`; None for the one each model was made for, and for
            models of other tools ONNX Runtime.
        settings: how to build for TensorRT; the runtime in it is not used.
        data: samples that tell TensorRT the sizes of free axes, as for `--data`; None if the settings or the model do.

    Raises:
        RecipeError: the runtime is unknown, or nothing tells the size of a free axis.
        DataError: the samples do not fit the model.
        PlanError: a model is not quantized.
        EngineError, EngineMissing: the runtime refuses the model, or is not installed.
    """
    if runtime is not None and runtime not in ENGINES:
        raise RecipeError(f"runtime {runtime!r} is unknown; choose one of {', '.join(ENGINES)}")
    found = deployables(source, target=None if runtime is None else _target_of(runtime))
    return tuple(_audited(each, runtime, settings or BuildSettings(), data) for each in found)


def _megabytes(size_bytes: int | None) -> str:
    return "unknown" if size_bytes is None else f"{size_bytes / 1e6:.2f} MB"


def _beside(model: Path, precision: Precision | None) -> Path:
    """Return where the plan of a model goes: `net.plan`, or with a precision `net.fp16.plan`.

    That of the bundled network goes to the working folder: the package is no place for results.
    """
    if model == digits_model_path():
        model = Path(model.name)
    if precision is None:
        return model.with_suffix(".plan")
    return model.with_name(f"{model.stem.removesuffix('.int8').removesuffix('.fp32')}.{precision}.plan")


def seen_shapes(data: object, inputs: Sequence[InputSpec]) -> dict[str, list[Shape]]:
    """Return the shapes that the first samples have, by input, with a batch of 1.

    Raises:
        DataError: there are no such samples, or they do not fit the inputs.
    """
    return first_shapes(Batches(open_source(data, inputs), batch_size=1))


def require_share(audits: Sequence[Audit], required: float) -> None:
    """Check that enough of the work is done in INT8.

    Args:
        audits: of one model each.
        required: the least share of multiply-adds, 0 to 1.

    Raises:
        EngineError: less runs on integers; the message names the node that weighs most.
    """
    for each in audits:
        if each.multiply_add_share < required:
            floats = [row for row in each.rows if not row.is_integer]
            largest = max(floats, key=lambda row: row.multiply_adds, default=None)
            where = f"; the largest that does not is {_why_not(largest)}" if largest is not None else ""
            raise EngineError(
                f"{each.engine}: {each.multiply_add_share:.2%} of the multiply-adds run in INT8, "
                f"less than the {100 * required:g}% required{where}"
            )


def _why_not(row: AuditRow) -> str:
    return f"{row.node} ({row.op_type}): {row.reason or row.planned_reason or row.ran_as}"


def _target_of(runtime: str) -> str:
    return "tensorrt" if runtime in RUNTIMES else runtime


def _audited(deployable: Deployable, runtime: str | None, settings: BuildSettings, data: object) -> Audit:
    model, plan = deployable.model, deployable.plan
    if plan is None:
        raise PlanError(f"{model.name}: it has no Q/DQ pairs, so there is nothing to audit; give an INT8 model")
    if runtime == "onnxruntime" or (runtime is None and deployable.target != "tensorrt"):
        return audit_onnxruntime(model, plan)
    settings = replace(settings, runtime=installed_runtime(runtime))
    shapes = profile_for(model.inputs, settings.shapes, None if data is None else seen_shapes(data, model.inputs))
    try:
        engine = build_engines({"model": model}, replace(settings, shapes=worth_telling(shapes, model.inputs)))["model"]
    except EngineError as error:
        if deployable.target != "unknown":
            raise
        raise EngineError(f"{error}; `quantlab lint {model.name}` names what TensorRT refuses, and mends it") from error
    name = f"{engine.runtime} {engine.version}"
    return audit_tensorrt(model, plan, engine.layers, engine=name, shapes=_per_sample(shapes))


def _timed(model: Model, path: Path, record: PlanRecord, batches: Sequence[int]) -> tuple[GpuLatency, ...]:
    """Return the latency of a plan on noise of the usual shapes."""
    if not batches:
        return ()
    generator = np.random.default_rng(0)
    feeds = {
        spec.name: generator.normal(size=record.shapes[spec.name].usual).astype(spec.dtype) for spec in model.inputs
    }
    with TensorRT(plan=path).open(model) as session:
        return measure_gpu_latency(session, feeds, batches)


def _audit_plan(deployable: Deployable, record: PlanRecord) -> Audit | None:
    if deployable.plan is None:
        return None
    name, shapes = f"{record.runtime} {record.version}", _per_sample(record.shapes)
    return audit_tensorrt(deployable.model, deployable.plan, record.layers, engine=name, shapes=shapes)


def _per_sample(shapes: Mapping[str, ShapeRange]) -> dict[str, Shape]:
    """Return the usual shapes, with a batch of 1; of inputs that are shapes themselves, nothing."""
    usual = {name: shape.usual for name, shape in shapes.items() if not shape.is_values}
    return {name: (1, *shape[1:]) if shape else shape for name, shape in usual.items()}
