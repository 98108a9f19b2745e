"""Job + folder → statistics: those that an earlier run left there, else from a pass over the samples.

A pass saves the statistics so far every few seconds, so that an interrupted one goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import reduce
from typing import NamedTuple

from quantlab.collect import CollectSettings, collect
from quantlab.data.batch import Batches
from quantlab.engines.engine import engine_in_words
from quantlab.errors import CalibrationError
from quantlab.job import Job
from quantlab.progress import Progress, silent
from quantlab.ranks import ALONE, Ranks
from quantlab.run_folder import RunFolder, SavedStatistics
from quantlab.stats.table import Statistics

_SECONDS_BETWEEN_SAVES = 10.0
# Where an earlier version left the first part of the statistics.
_NOT_NOTED = "an engine that was not noted"


class Collected(NamedTuple):
    """Statistics, a sentence for the report if a pass over all samples is not where they come from, and what computed.

    Statistics of an interrupted run may come from several engines or devices; those of older versions do not tell.
    """

    statistics: Statistics
    note: str | None = None
    collected_by: tuple[str, ...] = ()


def collect_for(
    job: Job, *, folder: RunFolder | None = None, progress: Progress = silent, ranks: Ranks = ALONE
) -> Collected:
    """Return the statistics of a job, and leave them in the folder.

    Several processes take a part of the samples each; all return the same, which is what one alone would.

    Args:
        job: model, samples and the tensors to observe.
        folder: where statistics of the same model and samples may be, or None.
        progress: how the pass shows itself.
        ranks: the processes that share the samples; the folder is the first one's.

    Raises:
        CalibrationError: there is not a single sample, or a value is NaN or infinite.
        RunError: the folder cannot be written to.
    """
    if ranks.size > 1:
        return _collect_together(job, folder, progress, ranks)
    ours = engine_in_words(job.collector)
    if folder is None:
        return Collected(_pass(job, job.calibration, None, None, progress), None, (ours,))
    fingerprint = job.fingerprint()
    folder.begin(fingerprint)
    saved = folder.saved_statistics(fingerprint)
    if saved is not None and saved.is_complete:
        return Collected(saved.statistics, _used_again(saved.statistics.samples), saved.collected_by)
    collected_by = _both(saved, ours)

    def save(statistics: Statistics) -> None:
        folder.write_statistics(statistics, fingerprint, is_complete=False, collected_by=collected_by)

    statistics = _pass(job, job.calibration, saved, save, progress)
    folder.write_statistics(statistics, fingerprint, is_complete=True, collected_by=collected_by)
    return Collected(statistics, None if saved is None else _gone_on(saved.statistics.samples), collected_by)


def part_of(batches: Batches, ranks: Ranks) -> Batches:
    """Return this process's part of the samples: whole batches, so that each is run as one process alone runs it."""
    size = sum(batch.size for batch in batches) if batches.size is None else batches.size
    count = -(-size // batches.batch_size)
    first, last = (count * number // ranks.size * batches.batch_size for number in (ranks.number, ranks.number + 1))
    return batches.beyond(first).head(min(last, size) - first)


def _collect_together(job: Job, folder: RunFolder | None, progress: Progress, ranks: Ranks) -> Collected:
    """Collect a part in each process and merge; an interrupted pass begins anew."""
    fingerprint, known = "", Statistics({}, 0)
    saved: SavedStatistics | None = None
    if ranks.is_first and folder is not None:
        fingerprint = job.fingerprint()
        folder.begin(fingerprint)
        saved = folder.saved_statistics(fingerprint)
        known = known if saved is None else saved.statistics
    known = Statistics.from_bytes(ranks.from_first(known.to_bytes()))
    part = part_of(job.calibration.beyond(known.samples), ranks)
    found = _pass(job, part, None, None, progress) if part.size != 0 else Statistics({}, 0)
    merged = reduce(Statistics.merge, map(Statistics.from_bytes, ranks.gathered(found.to_bytes())), known)
    if merged.samples == 0:
        raise CalibrationError(f"data {job.calibration.name!r}: not a single sample to calibrate with")
    note = _gone_on(known.samples) if known.samples else None
    collected_by = _both(saved, engine_in_words(job.collector, ranks.size))
    if known.samples == merged.samples:
        note, collected_by = _used_again(known.samples), () if saved is None else saved.collected_by
    if ranks.is_first and folder is not None:
        folder.write_statistics(merged, fingerprint, is_complete=True, collected_by=collected_by)
    return Collected(merged, note, collected_by)


def _both(saved: SavedStatistics | None, ours: str) -> tuple[str, ...]:
    """Return what computed the saved statistics, and what computes the rest."""
    if saved is None or not saved.statistics.samples:
        return (ours,)
    return tuple(dict.fromkeys((*(saved.collected_by or (_NOT_NOTED,)), ours)))


def _used_again(samples: int) -> str:
    return f"The statistics of {samples} samples were in the folder already and are used again."


def _gone_on(samples: int) -> str:
    return f"The first {samples} samples were counted by an earlier run that was interrupted."


def _pass(
    job: Job,
    batches: Batches,
    saved: SavedStatistics | None,
    save: Callable[[Statistics], None] | None,
    progress: Progress,
) -> Statistics:
    """Count the samples that are not counted yet."""
    resume = saved.statistics if saved else None
    done = resume.samples if resume else 0
    size = batches.size
    label = f"collecting statistics, going on after {done} samples" if done else "collecting statistics"
    with progress(label, None if size is None else size - done) as advance:
        settings = CollectSettings(
            memory_cap_bytes=job.recipe.memory_cap_mb * 2**20,
            threads=job.recipe.threads,
            on_progress=advance,
            on_partial=_now_and_then(save) if save else None,
        )
        return collect(job.model, job.observed, job.collector, batches, settings=settings, resume=resume)


def _now_and_then(save: Callable[[Statistics], None]) -> Callable[[Callable[[], Statistics]], None]:
    """Return what saves the statistics so far, not more often than every few seconds."""
    last = time.monotonic()

    def look(statistics_so_far: Callable[[], Statistics]) -> None:
        nonlocal last
        if time.monotonic() - last >= _SECONDS_BETWEEN_SAVES:
            save(statistics_so_far())
            last = time.monotonic()

    return look
