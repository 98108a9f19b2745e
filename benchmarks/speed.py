"""How much faster INT8 is than FP32 on ONNX Runtime's CPU kernels, at batch 1.

FP32, quantlab's INT8 and the INT8 of ONNX Runtime's own quantizer are timed in turns in one process, so that what
else the machine does is shared between them; see `quantlab/evaluation/latency.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack

from benchmarks.finding import Finding
from benchmarks.jobs import NETWORKS, open_network
from benchmarks.onnxruntime_quantizer import their_int8
from quantlab.data.batch import Feeds
from quantlab.engines.onnxruntime import OnnxRuntime
from quantlab.evaluation.latency import Latency, LatencySettings, measure_latency, speedup
from quantlab.graph.model import Model
from quantlab.job import first_batch
from quantlab.pipeline import quantize
from quantlab.resume import collect_for

TARGETS = {"resnet50": 2.8, "mobilenet_v2": 1.9}
_IMAGES = 16
_SETTINGS = LatencySettings(runs=200, warmup=10, seconds=60.0)


def run() -> Iterator[Finding]:
    """Measure each network with one thread and with one per core."""
    for name in NETWORKS:
        architecture, job = open_network(name, images=_IMAGES)
        statistics = collect_for(job).statistics
        made = quantize(job, job.plans["onnxruntime"], statistics, job.recipe.calibrator_with_options())
        models = {"FP32": job.model, "INT8": made.model, "theirs": their_int8(job.model, job.calibration)}
        assert made.audit is not None, "the target onnxruntime is always audited"
        yield Finding(f"{architecture.title}, planned nodes that run in integers", 100 * made.audit.share, " %")
        feeds = first_batch(job.calibration.in_batches_of(1)).feeds
        for threads in (1, None):
            yield from _speedups(architecture.title, models, feeds, threads, TARGETS[name])


def _speedups(
    title: str, models: Mapping[str, Model], feeds: Feeds, threads: int | None, target: float
) -> Iterator[Finding]:
    latencies = _latencies(models, feeds, OnnxRuntime(threads=threads))
    words = "1 thread" if threads == 1 else "a thread per core"
    ours = speedup(latencies["FP32"], latencies["INT8"])
    theirs = speedup(latencies["FP32"], latencies["theirs"])
    detail = ", ".join(_milliseconds(name, latency) for name, latency in latencies.items() if name != "theirs")
    detail += f", 95 % interval {ours.interval[0]:.2f}..{ours.interval[1]:.2f}"
    yield Finding(f"{title} INT8 speedup, batch 1, {words}", ours.ratio, "x", at_least=target, detail=detail)
    yield Finding(
        f"{title} INT8 of ONNX Runtime's quantizer, batch 1, {words}",
        theirs.ratio,
        "x",
        detail=_milliseconds("INT8", latencies["theirs"]),
    )


def _latencies(models: Mapping[str, Model], feeds: Feeds, engine: OnnxRuntime) -> dict[str, Latency]:
    with ExitStack() as stack:
        sessions = {name: stack.enter_context(engine.open(model)) for name, model in models.items()}
        threads = dict.fromkeys(models, engine.describe()["threads"])
        return measure_latency(sessions, feeds, _SETTINGS, threads=threads)


def _milliseconds(name: str, latency: Latency) -> str:
    return f"{name} {latency.median_ms:.1f} ms, p90 {latency.p90_ms:.1f}"
