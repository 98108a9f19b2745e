"""What TensorRT-RTX builds of the five architectures on a machine without a GPU: which layers, in which precision.

Of each network: FP32, FP16, INT8 and INT8+FP16 engines side by side, the share of the multiply-adds that are done on
integers, how many attentions are one kernel; and what lint finds in the model that ONNX Runtime's own quantizer makes
with the settings it documents, and how many nodes run in INT8 once that is repaired. No engine is run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from benchmarks.architectures import ARCHITECTURES, Architecture
from benchmarks.finding import Finding
from benchmarks.onnxruntime_quantizer import their_int8
from benchmarks.photographs import crops
from quantlab.audit import audit_tensorrt
from quantlab.data.batch import Batches
from quantlab.data.open import open_source
from quantlab.engines.tensorrt import BuildSettings, BuiltEngine, build_engines
from quantlab.graph.model import Model
from quantlab.interop.requantize import requantize
from quantlab.lint import lint
from quantlab.pipeline import ptq
from quantlab.plan import Plan
from quantlab.precision import to_half

_CALIBRATING = 16
_JUDGING = 4
_BATCHES = (1, 8, 32)
_SETTINGS = BuildSettings(runtime="tensorrt_rtx", timeout_s=1800)


def run() -> Iterator[Finding]:
    """Build everything of each architecture."""
    for architecture in ARCHITECTURES.values():
        yield from findings_of(architecture)


def findings_of(architecture: Architecture) -> Iterator[Finding]:
    """Build everything of one architecture."""
    images = crops(_CALIBRATING, architecture.side)
    judging = crops(_JUDGING, architecture.side, seed=1)
    settings = {"targets": ("tensorrt",), "samples": _CALIBRATING, "latency_batches": ()}
    made = ptq(architecture.model(), images, eval_data=judging, **settings)
    quantized = made.quantized["tensorrt"]
    models = {"fp32": made.model, "fp16": to_half(made.model), "int8": quantized.model}
    models["int8+fp16"] = to_half(quantized.model)
    for precision, model in models.items():
        engine = _built(model)
        yield _size(f"{architecture.title} {precision}", engine)
        if precision.startswith("int8"):
            yield from _in_integers(f"{architecture.title} {precision}", model, quantized.plan, engine)
    yield from _repaired(architecture.title, made.model, images)


def _built(model: Model) -> BuiltEngine:
    return build_engines({"model": model}, _SETTINGS, batches=_BATCHES)["model"]


def _size(what: str, engine: BuiltEngine) -> Finding:
    weights, activations = ((size or 0) / 1e6 for size in (engine.weights_bytes, engine.activations_bytes))
    detail = (
        f"weights {weights:.1f} MB, activations {activations:.1f} MB at batch {_BATCHES[-1]}, {engine.seconds:.0f} s"
    )
    return Finding(f"{what} layers", len(engine.layers), "", detail=detail)


def _in_integers(what: str, model: Model, plan: Plan, engine: BuiltEngine) -> Iterator[Finding]:
    audit = audit_tensorrt(model, plan, engine.layers, engine=engine.runtime)
    planned = [row for row in audit.rows if row.planned == "integer"]
    left = ", ".join(str(row) for row in audit.leftovers) or "none left over"
    made = sum(row.is_integer for row in planned)
    yield Finding(f"{what} planned nodes in INT8", made, f" of {len(planned)}", detail=left)
    yield Finding(f"{what} multiply-adds in INT8", 100 * audit.multiply_add_share, " %")
    attentions = sum(layer.name.startswith("_gemm_mha") for layer in engine.layers)
    softmaxes = sum(node.op_type == "Softmax" for node in model.graph)
    if softmaxes:
        yield Finding(f"{what} attentions in one kernel", attentions, f" of {softmaxes}")


def _repaired(title: str, model: Model, images: object) -> Iterator[Finding]:
    theirs = their_int8(model, Batches(open_source(images, model.inputs), batch_size=4))
    found = lint(theirs, "tensorrt").findings
    rules: Mapping[str, int] = {rule: sum(f.rule == rule for f in found) for rule in sorted({f.rule for f in found})}
    counts = ", ".join(f"{rule} {count}" for rule, count in rules.items())
    yield Finding(f"{title} of ONNX Runtime's quantizer, lint", len(found), " findings", detail=counts)
    migration = requantize(theirs, "tensorrt").migration
    after = len(lint(migration.int8_model, "tensorrt").findings)
    audit = audit_tensorrt(migration.int8_model, migration.plan, _built(migration.int8_model).layers, engine="")
    planned = [row for row in audit.rows if row.planned == "integer"]
    yield Finding(
        f"{title} repaired, planned nodes in INT8",
        sum(row.is_integer for row in planned),
        f" of {len(planned)}",
        detail=f"{after} findings left, {audit.multiply_add_share:.1%} of the multiply-adds",
    )
