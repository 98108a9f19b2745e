"""Model + engine + batches → statistics of named tensors, in one streaming pass.

Never more than one part of one batch of activations is in memory: the tapped session splits a batch to stay under
the cap; an engine that counts by itself, as on a GPU, keeps one tensor at a time and copies none. What is collected
knows nothing of INT8, so one pass serves every calibrator, target and bit width.

The tensors of a part are counted side by side, by as many threads as run the model (the loops release the GIL): one
thread alone takes longer to count what a MobileNetV2 computes than to compute it [measured: 0.56 s, 0.49 s].
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from quantlab.cores import usable_cores
from quantlab.data.batch import Array, Batches, Feeds
from quantlab.engines.engine import CountingSession, CountsItself, Engine
from quantlab.engines.parts import DEFAULT_MEMORY_CAP_BYTES, TappedModel
from quantlab.errors import CalibrationError, PlanError
from quantlab.graph.model import Model
from quantlab.plan import Plan
from quantlab.stats.count import TensorCounter
from quantlab.stats.table import Statistics
from quantlab.stats.tensor import TensorStatistics

_logger = logging.getLogger(__name__)

OnProgress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class CollectSettings:
    """How to collect; none of it changes what is counted.

    Attributes:
        memory_cap_bytes: the most bytes of tapped activations held at once, where they are copied to be counted.
        threads: how many threads count, or None for one per core that this process may use.
        on_progress: called with the number of samples just counted.
        on_partial: called after every batch with a function that returns the statistics so far, so that a caller
            can save them from time to time and resume later.
    """

    memory_cap_bytes: int = DEFAULT_MEMORY_CAP_BYTES
    threads: int | None = None
    on_progress: OnProgress | None = None
    on_partial: Callable[[Callable[[], Statistics]], None] | None = None


class _Counting:
    """Counts what a session without counters of its own hands out; the same verbs as a `CountingSession`."""

    def __init__(self, tapped: TappedModel, tensors: Sequence[str], workers: Executor) -> None:
        self._tapped = tapped
        self._counters = {name: TensorCounter(name) for name in tensors}
        self._workers = workers

    def add(self, feeds: Feeds, *, batch: str) -> None:
        self._count({name: array for name, array in feeds.items() if name in self._counters}, batch)
        for part in self._tapped.run(feeds):
            self._count(part, batch)

    def statistics(self) -> dict[str, TensorStatistics]:
        return {name: counter.statistics() for name, counter in self._counters.items()}

    def _count(self, arrays: Mapping[str, Array], batch: str) -> None:
        """Count arrays side by side; each has a counter of its own."""
        for _ in self._workers.map(lambda name: self._counters[name].add(arrays[name], batch=batch), arrays):
            pass  # asking for the results raises what a thread raised, of the first tensor first


def observed_tensors(plans: Iterable[Plan]) -> tuple[str, ...]:
    """Return the union of the tensors that plans need statistics of, in first-seen order."""
    return tuple(dict.fromkeys(name for plan in plans for name in plan.observed))


def collect(
    model: Model,
    tensors: Sequence[str],
    engine: Engine,
    batches: Batches,
    *,
    settings: CollectSettings | None = None,
    resume: Statistics | None = None,
) -> Statistics:
    """Return the statistics of named tensors over all samples of `batches`.

    The result does not depend on the batch size, nor on the order of the samples, for an engine whose activations
    do not.

    Args:
        model: the prepared float model.
        tensors: ONNX names of activations or model inputs.
        engine: what runs the model.
        batches: the calibration samples.
        settings: memory cap and callbacks.
        resume: statistics of the first `resume.samples` samples, which are then skipped.

    Raises:
        PlanError: the model has no tensor of a given name, or `resume` holds other tensors.
        CalibrationError: there is not a single sample, or a value is NaN or infinite.
    """
    settings = settings or CollectSettings()
    _check_names(model, tensors, resume)
    remaining = batches if resume is None else batches.beyond(resume.samples)
    samples = 0

    def so_far() -> Statistics:
        collected = Statistics(counting.statistics(), samples)
        return collected if resume is None else resume.merge(collected)

    with _opened(engine, model, tensors, settings) as counting:
        for batch in remaining:
            counting.add(batch.feeds, batch=f"samples {batch.first}..{batch.first + batch.size - 1}")
            samples += batch.size
            if settings.on_progress:
                settings.on_progress(batch.size)
            if settings.on_partial:
                settings.on_partial(so_far)
        statistics = so_far()
    if statistics.samples == 0:
        raise CalibrationError(
            f"data {batches.name!r}: not a single sample to calibrate with; check the path and --samples"
        )
    _logger.info("collected %d tensors over %d samples", len(tensors), statistics.samples)
    return statistics


@contextmanager
def _opened(
    engine: Engine, model: Model, tensors: Sequence[str], settings: CollectSettings
) -> Iterator[CountingSession]:
    if isinstance(engine, CountsItself):
        with engine.open_counting(model, tensors) as counting:
            yield counting
        return
    inputs = {spec.name for spec in model.inputs}
    taps = [name for name in tensors if name not in inputs]
    with (
        ThreadPoolExecutor(settings.threads or usable_cores()) as workers,
        TappedModel(engine, model, taps, memory_cap_bytes=settings.memory_cap_bytes) as tapped,
    ):
        yield _Counting(tapped, tensors, workers)


def _check_names(model: Model, tensors: Sequence[str], resume: Statistics | None) -> None:
    known = model.values_by_name()
    missing = [name for name in tensors if name not in known]
    if missing:
        raise PlanError(f"{model.name}: no tensor named {missing[0]!r}; plans belong to the prepared model")
    if resume is not None and set(resume.tensors) != set(tensors):
        raise PlanError("resume: the saved statistics are of other tensors; delete stats.npz to start anew")
