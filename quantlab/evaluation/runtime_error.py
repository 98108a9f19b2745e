"""INT8 model on its runtime → the error that the runtime adds to that of quantization.

    FP32 ──────── quantization error ────────▶ INT8, every Q/DQ pair computed step by step
                                               INT8, step by step ──── runtime error ────▶ INT8 as the runtime fuses it
    FP32 ───────────────────────────── both together ────────────────────────────────────▶ INT8 as the runtime fuses it

A runtime computes no Q/DQ pair: it multiplies integers and rounds where its kernels round, so a number may fall on the
next integer, and may saturate. Outputs are compared as deployed. Inner tensors that are quantized are compared by
asking for what their readers see; where that makes a runtime compute other outputs, a note says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from quantlab.data.batch import Batches
from quantlab.engines.engine import Engine
from quantlab.engines.parts import DEFAULT_MEMORY_CAP_BYTES
from quantlab.evaluation.differences import LayerDifference, RuntimeDiff
from quantlab.evaluation.layers import compare_pairs, matching_tensors
from quantlab.graph.model import Model
from quantlab.qdq import read

_CHANGED = (
    "asking for inner tensors made the runtime compute other outputs than it does deployed, so the runtime errors of "
    "inner tensors are only near those of the deployed model"
)


def compare_runtime(
    first: Model,
    second: Model,
    engines: tuple[Engine, Engine],
    batches: Batches,
    *,
    memory_cap_bytes: int = DEFAULT_MEMORY_CAP_BYTES,
    with_tensors: bool = True,
) -> RuntimeDiff:
    """Return what a runtime adds to the error of a quantized model.

    Args:
        first: the float model.
        second: the quantized model.
        engines: the one that computes Q/DQ pairs step by step, and the runtime.
        batches: the samples; passed over once per comparison, of which there are three.
        memory_cap_bytes: the most bytes of tensors held at once.
        with_tensors: whether to look at inner tensors besides the outputs.

    Raises:
        EngineError: the models have no tensor in common, or an engine refuses one.
        DataError: there is not a single sample, or the data do not fit.
    """
    literal, running = engines
    shared = matching_tensors(first, second) if with_tensors else {}
    inner = {theirs: ours for ours, theirs in shared.items() if theirs != ours and theirs not in second.outputs}
    # By the name of the quantized model, which the float one may call otherwise.
    deployed = {name: name for name in second.outputs}
    cap = {"memory_cap_bytes": memory_cap_bytes}
    outputs = compare_pairs((second, second), (literal, running), batches, deployed, **cap)
    common = {name: name for name in first.outputs if name in deployed}
    total = compare_pairs((first, second), (literal, running), batches, common, **cap).layers if common else ()
    tensors: tuple[LayerDifference, ...] = ()
    notes: tuple[str, ...] = ()
    if inner:
        asked = {name: name for name in (*inner, *deployed)}
        found = compare_pairs((second, second), (literal, running), batches, asked, **cap).layers
        tensors = tuple(replace(each, tensor=inner[each.tensor]) for each in found if each.tensor in inner)
        tapped = {each.tensor: each.sqnr for each in found if each.tensor in deployed}
        changed = any(tapped[each.tensor] != each.sqnr for each in outputs.layers)
        notes = (_CHANGED,) if changed else ()
    described = running.describe()
    name = f"{described.get('runtime', described['engine'])} {described['version']}"
    steps = _steps(second)
    return RuntimeDiff(name, _with_steps(outputs.layers, steps), _with_steps(tensors, steps), total, notes)


def _steps(model: Model) -> dict[str, float]:
    """Return the scale of every tensor that is quantized with one scale."""
    plan, encodings = read(model)
    scales = {point.tensor: encodings[point.shared_with or point.tensor].scale for point in plan.points}
    return {name: float(scale.reshape(())) for name, scale in scales.items() if scale.size == 1}


def _with_steps(layers: tuple[LayerDifference, ...], steps: Mapping[str, float]) -> tuple[LayerDifference, ...]:
    return tuple(replace(layer, step=steps.get(layer.tensor)) for layer in layers)
