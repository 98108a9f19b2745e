"""A float and an INT8 model → what each layer costs: how much noise has arisen by there, and how long it takes.

    noise:  the SQNR of every tensor the two models share, with all that arose before it, on the first few samples, and
            at the outputs that of quantization and that of the runtime apart
    time:   of every node in both models, from the runtime's profiler, where the INT8 model runs as deployed

What cannot be measured is left out with a sentence that says why: a run does not fail over it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from quantlab.audit.node_times import NodeTimes, node_times
from quantlab.data.batch import Batches, Feeds
from quantlab.engines.onnxruntime import OnnxRuntime
from quantlab.errors import QuantlabError
from quantlab.evaluation.differences import LayerDiff
from quantlab.evaluation.judge import fixed_batch
from quantlab.evaluation.latency import repeated
from quantlab.evaluation.layers import compare_layers
from quantlab.evaluation.runtime_error import compare_runtime
from quantlab.graph.model import Model


@dataclass(frozen=True, eq=False, slots=True)
class Layerwise:
    """Two models layer by layer.

    Attributes:
        noise: the SQNR of the tensors and, where the INT8 model runs as deployed, what its runtime adds at the outputs;
            None where it was not measured.
        noise_reason: why not, or None.
        float_times: of the float model's nodes, or None where they were not measured.
        int8_times: of the INT8 model's, likewise.
        times_reason: why not, or None.
    """

    noise: LayerDiff | None = None
    noise_reason: str | None = None
    float_times: NodeTimes | None = None
    int8_times: NodeTimes | None = None
    times_reason: str | None = None


@dataclass(frozen=True, slots=True)
class LayerSettings:
    """How to look at layers.

    Attributes:
        samples: the most samples to measure noise on; 0 for not at all.
        time_batch: the batch size to time nodes at, or None for not at all.
        memory_cap_bytes: the most bytes of tensors held at once.
    """

    samples: int
    time_batch: int | None
    memory_cap_bytes: int


def look_at_layers(
    float_model: Model, int8_model: Model, engine: OnnxRuntime, batches: Batches, settings: LayerSettings
) -> Layerwise:
    """Return what each layer costs.

    Args:
        float_model: the reference.
        int8_model: what `bake` made of it.
        engine: what runs both; one that simulates is not timed.
        batches: the evaluation samples.
        settings: how much to measure.
    """
    noise, noise_reason = _noise(float_model, int8_model, engine, batches, settings)
    times, times_reason = _times(float_model, int8_model, engine, batches, settings)
    return Layerwise(noise, noise_reason, *times, times_reason)


def _noise(
    float_model: Model, int8_model: Model, engine: OnnxRuntime, batches: Batches, settings: LayerSettings
) -> tuple[LayerDiff | None, str | None]:
    if not settings.samples:
        return None, "Not measured: layer_samples is 0."
    simulating = replace(engine, optimization="none")
    few = batches.head(max(settings.samples, fixed_batch(float_model.inputs) or 1))
    try:
        cap = settings.memory_cap_bytes
        noise = compare_layers(float_model, int8_model, simulating, few, memory_cap_bytes=cap)
        if engine.is_simulation:
            return replace(noise, runtime_reason="its runtime is not here"), None
        engines = (simulating, engine)
        runtime = compare_runtime(float_model, int8_model, engines, few, memory_cap_bytes=cap, with_tensors=False)
        return replace(noise, runtime=runtime), None
    except QuantlabError as error:
        return None, f"Not measured: {error}."


def _times(
    float_model: Model, int8_model: Model, engine: OnnxRuntime, batches: Batches, settings: LayerSettings
) -> tuple[tuple[NodeTimes | None, NodeTimes | None], str | None]:
    if engine.is_simulation:
        return (None, None), "Not measured: its runtime is not here."
    if settings.time_batch is None:
        return (None, None), "Not measured: latencies were not asked for."
    try:
        feeds = _feeds(batches, settings.time_batch)
        return (node_times(float_model, engine, feeds), node_times(int8_model, engine, feeds)), None
    except QuantlabError as error:
        return (None, None), f"Not measured: {error}."


def _feeds(batches: Batches, batch_size: int) -> Feeds:
    return repeated(next(iter(batches.in_batches_of(batch_size))).feeds, batch_size)
