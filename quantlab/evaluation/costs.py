"""What models cost while they run: latency of all in turns, then the peak memory of each.

Models of an engine that only simulates are left out: their time and memory are those of float arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

from quantlab.data.batch import Batches, Feeds
from quantlab.engines.engine import Engine
from quantlab.errors import EngineError
from quantlab.evaluation.gpu_latency import GpuLatency, GpuLatencySettings, TimedSession, measure_gpu_latency
from quantlab.evaluation.judge import fixed_batch
from quantlab.evaluation.latency import Latency, LatencySettings, measure_latency, repeated
from quantlab.evaluation.memory import Memory, measure_memory
from quantlab.evaluation.settings import EvaluationSettings
from quantlab.graph.model import Model
from quantlab.progress import Advance, Progress, silent


@dataclass(frozen=True, slots=True)
class Costs:
    """Costs by the name of the model.

    Attributes:
        latencies: one per batch size; models that were not timed are missing.
        reasons: why a model was not timed.
        memories: the peak memory; models where it was not measured are missing.
        gpu_latencies: by the GPU's own events, one per batch size; models that ran elsewhere are missing.
        notes: what the reader should know besides.
    """

    latencies: Mapping[str, tuple[Latency, ...]] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    memories: Mapping[str, Memory] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    gpu_latencies: Mapping[str, tuple[GpuLatency, ...]] = field(default_factory=dict)


def measure_costs(
    models: Mapping[str, Model],
    engines: Mapping[str, Engine],
    batches: Batches,
    settings: EvaluationSettings,
    *,
    progress: Progress = silent,
) -> Costs:
    """Return what the models cost, on the first samples of the data.

    Args:
        models: by name.
        engines: by the same names, what runs each.
        batches: the evaluation samples.
        settings: what to measure.
        progress: how timing, in turns, and measuring memory, model by model, show themselves.

    Raises:
        EngineError: an engine refuses a model, or fails while it runs.
    """
    timed = {name: model for name, model in models.items() if not engines[name].is_simulation}
    sizes, note = _batch_sizes(timed, settings.latency_batch_sizes)
    notes = [*([note] if note else []), *_engine_notes(engines[name] for name in timed)]
    if not sizes:
        return Costs(reasons=dict.fromkeys(models, "not measured"), notes=tuple(notes))
    feeds = [_feeds(batches, size) for size in sizes]
    with progress("timing", len(sizes) * settings.latency.turns) as advance:
        latencies, gpu_latencies = _latencies(timed, engines, feeds, settings.latency, advance)
    if any(latency.is_unsteady for timed_ones in latencies.values() for latency in timed_ones):
        notes.append("latencies vary widely (p90 over twice the median): the machine was busy; measure on an idle one")
    memories: dict[str, Memory] = {}
    on_cpu = {name: model for name, model in timed.items() if name not in gpu_latencies}
    if settings.has_memory and on_cpu:
        with progress("measuring memory", len(on_cpu)) as advance:
            memories, failures = _memories(on_cpu, engines, feeds[0], advance)
        notes += failures
    reasons = {name: "not measured: its engine only simulates" for name in models if name not in timed}
    return Costs(latencies, reasons, memories, tuple(notes), gpu_latencies)


def _latencies(
    models: Mapping[str, Model],
    engines: Mapping[str, Engine],
    batches: Iterable[Feeds],
    settings: LatencySettings,
    advance: Advance,
) -> tuple[dict[str, tuple[Latency, ...]], dict[str, tuple[GpuLatency, ...]]]:
    """Return the latencies by wall clock and, of sessions that tell, by the GPU's events."""
    threads = {name: engines[name].describe().get("threads", "unknown") for name in models}
    found: dict[str, tuple[Latency, ...]] = dict.fromkeys(models, ())
    on_gpu: dict[str, tuple[GpuLatency, ...]] = {}
    with ExitStack() as stack:
        sessions = {name: stack.enter_context(engines[name].open(model)) for name, model in models.items()}
        for feeds in batches:
            measured = measure_latency(sessions, feeds, settings, threads=threads, on_turn=advance)
            for name, latency in measured.items():
                found[name] += (latency,)
            for name, session in sessions.items():
                if isinstance(session, TimedSession):
                    on_gpu[name] = on_gpu.get(name, ()) + _on_gpu(session, feeds, settings)
    return found, on_gpu


def _on_gpu(session: TimedSession, feeds: Feeds, settings: LatencySettings) -> tuple[GpuLatency, ...]:
    size = next(iter(feeds.values())).shape[0]
    return measure_gpu_latency(session, feeds, (size,), GpuLatencySettings(runs=settings.runs))


def _memories(
    models: Mapping[str, Model], engines: Mapping[str, Engine], feeds: Feeds, advance: Advance
) -> tuple[dict[str, Memory], list[str]]:
    """Return the peak memories, and a sentence for each that could not be measured."""
    found, failures = {}, []
    for name, model in models.items():
        try:
            found[name] = measure_memory(engines[name], model, feeds)
        except EngineError as error:
            failures.append(f"{name}: peak memory not measured ({error})")
        advance(1)
    return found, failures


def _batch_sizes(models: Mapping[str, Model], asked: tuple[int, ...]) -> tuple[tuple[int, ...], str | None]:
    """Return the batch sizes at which every model can run, and what to say where these are not the ones asked for."""
    fixed = sorted({size for model in models.values() if (size := fixed_batch(model.inputs)) is not None})
    if not models or not asked:
        return (), None
    if not fixed or list(asked) == fixed:
        return asked, None
    if len(fixed) > 1:
        return (), f"latency not measured: the models are fixed to different batch sizes, {fixed}"
    return (fixed[0],), f"latency at batch {fixed[0]} only, to which a model is fixed"


def _feeds(batches: Batches, batch_size: int) -> Feeds:
    """Return a batch of one size, made of the first samples."""
    return repeated(next(iter(batches.in_batches_of(batch_size))).feeds, batch_size)


def _engine_notes(engines: Iterable[Engine]) -> list[str]:
    """Return a warning where timed models ran under different settings."""
    described = [engine.describe() for engine in engines]
    # How many of its products run in which type belongs to a plan, not to the settings.
    descriptions = {tuple(sorted((k, v) for k, v in each.items() if k != "products")) for each in described}
    return ["the timed models ran under different engine settings"] if len(descriptions) > 1 else []
