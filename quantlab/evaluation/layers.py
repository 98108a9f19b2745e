"""Two models with the same tensors → how far each tensor of the second is from that of the first, worst first.

    a: conv → x →                      x of the float model is compared with
    b: conv → x → Q → DQ → x' →        x', what the readers of x see in the quantized model

A tensor of `b` that is quantized is compared after its DequantizeLinear; any other as it stands. The SQNR of a tensor
holds all the noise that arose before it, not that of its own layer alone: look for where it falls, not for where it
is low.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir

from quantlab.data.batch import Array, Batches, Feeds
from quantlab.engines.engine import Engine, Session
from quantlab.engines.parts import DEFAULT_MEMORY_CAP_BYTES, measure_shapes, tap_bytes, tap_groups
from quantlab.errors import DataError, EngineError
from quantlab.evaluation.agreement import SqnrSum
from quantlab.evaluation.differences import LayerDiff, LayerDifference
from quantlab.evaluation.judge import fixed_batch, run_padded
from quantlab.evaluation.latency import repeated
from quantlab.graph.model import Model


def compare_layers(
    a: Model,
    b: Model,
    engine: Engine,
    batches: Batches,
    tensors: Sequence[str] | None = None,
    *,
    memory_cap_bytes: int = DEFAULT_MEMORY_CAP_BYTES,
) -> LayerDiff:
    """Return how far the tensors of `b` are from those of `a`.

    With an engine that simulates, the differences are those of quantization alone; otherwise also those of the
    runtime, whose fusions give way where a tensor inside of them is asked for.

    Args:
        a: the model taken as right, usually float.
        b: the other, usually quantized.
        engine: what runs both.
        batches: the samples; passed over once, or once per group of tensors where one sample passes the cap.
        tensors: names in `a`, or None for every floating-point tensor that both have.
        memory_cap_bytes: the most bytes of tensors held at once.

    Raises:
        EngineError: a tensor is not in both models, or no tensor is; shapes differ; an engine refuses a model.
        DataError: there is not a single sample, or the data do not fit.
    """
    pairs = matching_tensors(a, b, tensors)
    found = compare_pairs((a, b), (engine, engine), batches, pairs, memory_cap_bytes=memory_cap_bytes)
    for tensor in set(tensors or ()) - {layer.tensor for layer in found.layers}:
        raise EngineError(f"tensor {tensor!r}: its shapes differ, so it cannot be compared; name others")
    return found


def compare_pairs(
    models: tuple[Model, Model],
    engines: tuple[Engine, Engine],
    batches: Batches,
    pairs: Mapping[str, str],
    *,
    memory_cap_bytes: int = DEFAULT_MEMORY_CAP_BYTES,
) -> LayerDiff:
    """Return how far tensors of one model on its engine are from those of another on its own.

    Args:
        models: the one taken as right, and the other.
        engines: what runs each; the first tells the sizes of both models' tensors.
        batches: the samples.
        pairs: by the name of a tensor in the first model, that of its counterpart; those of different shapes are left
            out.
        memory_cap_bytes: the most bytes of tensors held at once.

    Raises:
        EngineError, DataError: as `compare_layers`.
    """
    a, b = models
    engine, other_engine = engines
    fixed = [size for model in (a, b) if (size := fixed_batch(model.inputs)) is not None]
    sample = next(iter(batches.in_batches_of(min(fixed, default=1))), None)
    if sample is None:
        raise DataError(f"data {batches.name!r}: not a single sample to compare with; check the path and the range")
    pairs, sizes = _comparable(a, b, engine, pairs, repeated(sample.feeds, min(fixed, default=1)))
    budget = max(1, memory_cap_bytes // 2)  # one part is still held while the next is computed
    differences = {tensor: _Difference() for tensor in pairs}
    for group in tap_groups(sizes, budget):
        part_size = min(fixed) if fixed else budget // max(1, sum(sizes[tensor] for tensor in group))
        parts = batches.in_batches_of(max(1, min(part_size, batches.batch_size)))
        with engine.open(a, group) as one, other_engine.open(b, [pairs[tensor] for tensor in group]) as other:
            samples = _compare_group(one, other, parts, {tensor: pairs[tensor] for tensor in group}, differences)
    return LayerDiff(a.name, b.name, _layers(a, differences), samples)


def _compare_group(
    one: Session,
    other: Session,
    batches: Batches,
    pairs: Mapping[str, str],
    differences: Mapping[str, _Difference],
) -> int:
    """Add the differences of some tensors over all samples, and return how many these are."""
    samples = 0
    for batch in batches:
        left, right = run_padded(one, batch.feeds), run_padded(other, batch.feeds)
        for tensor, counterpart in pairs.items():
            differences[tensor].add(left[tensor], right[counterpart])
        samples += batch.size
    return samples


def matching_tensors(a: Model, b: Model, tensors: Sequence[str] | None = None) -> dict[str, str]:
    """Return by the name of a tensor in `a` the name of its counterpart in `b`, in execution order of `a`.

    Args:
        a: the model that names tensors.
        b: the model in which they are looked up.
        tensors: names in `a`, or None for every one that both have, less those that cannot differ (inputs that are
            not quantized) and those known to be of integers.

    Raises:
        EngineError: a tensor that was named is missing in one of the models, or there is none in both.
    """
    ours, theirs = _activations(a), _activations(b)
    for tensor in tensors or ():
        for model, values in ((a, ours), (b, theirs)):
            if tensor not in values:
                raise EngineError(f"{model.name}: no input or node gives a tensor {tensor!r}, so it cannot be compared")
    if tensors is None:
        wanted = {name for name in ours if name in theirs and _is_worth_comparing(ours[name], theirs[name])}
    else:
        wanted = set(tensors)
    pairs = {name: _as_read(theirs[name]) for name in ours if name in wanted}
    if not pairs:
        raise EngineError(f"{a.name} and {b.name} have no tensor of the same name; compare models of one origin")
    return pairs


class _Difference:
    """Sums up how far one tensor is off, part by part."""

    def __init__(self) -> None:
        self.sqnr = SqnrSum()
        self.largest_error = 0.0
        self.largest_value = 0.0
        self.changed = 0

    def add(self, left: Array, right: Array) -> None:
        self.sqnr.add(left, right)
        if left.size:
            exact = left.astype(np.float64)
            self.changed += int(np.count_nonzero(left != right))
            self.largest_error = max(self.largest_error, float(np.abs(exact - right).max()))
            self.largest_value = max(self.largest_value, float(np.abs(exact).max()))


def _layers(a: Model, differences: Mapping[str, _Difference]) -> tuple[LayerDifference, ...]:
    labels = {v.name: f"{node.name or 'unnamed'}, {node.op_type}" for node in a.graph for v in node.outputs}
    layers = [
        LayerDifference(
            tensor=tensor,
            node=labels.get(tensor, "model input"),
            index=index,
            sqnr=difference.sqnr.result(),
            largest_error=difference.largest_error,
            largest_value=difference.largest_value,
            changed_share=difference.changed / max(1, difference.sqnr.result().count),
        )
        for index, (tensor, difference) in enumerate(differences.items())
    ]
    return tuple(sorted(layers, key=lambda layer: (layer.sqnr.db, layer.index)))


def _comparable(
    a: Model, b: Model, engine: Engine, pairs: Mapping[str, str], feeds: Feeds
) -> tuple[dict[str, str], dict[str, int]]:
    """Return the pairs of one shape, and the bytes that each takes for some feeds.

    Exporters count up names such as `val_7`, so that two models may have one name for different tensors.
    """
    ours, theirs = measure_shapes(engine, a, list(pairs), feeds), measure_shapes(engine, b, list(pairs.values()), feeds)
    same = {tensor: other for tensor, other in pairs.items() if ours[tensor] == theirs[other]}
    if not same:
        tensor, other = next(iter(pairs.items()))
        raise EngineError(
            f"{a.name} and {b.name}: no tensor of the same name has the same shape ({tensor} is {list(ours[tensor])} "
            f"in the first, {list(theirs[other])} in the second); compare models of one origin"
        )
    taken, by_other = tap_bytes(a, ours), tap_bytes(b, theirs)
    return same, {tensor: taken[tensor] + by_other[other] for tensor, other in same.items()}


def _as_read(value: ir.Value) -> str:
    """Return the name of what the readers of a value see: its dequantized form, where there is one."""
    for quantize in value.consumers():
        if quantize.op_type != "QuantizeLinear" or quantize.inputs[0] is not value:
            continue
        for dequantize in quantize.outputs[0].consumers():
            if dequantize.op_type == "DequantizeLinear":
                return dequantize.outputs[0].name or ""
    return value.name or ""


def _activations(model: Model) -> dict[str, ir.Value]:
    """Return the inputs and what nodes compute, by name, in execution order."""
    inputs = [value for value in model.graph.inputs if value.name not in model.graph.initializers]
    return {value.name: value for value in (*inputs, *(v for n in model.graph for v in n.outputs)) if value.name}


def _is_worth_comparing(ours: ir.Value, theirs: ir.Value) -> bool:
    if ours.producer() is None and _as_read(theirs) == theirs.name:
        return False
    return ours.dtype is None or ours.dtype.is_floating_point()
