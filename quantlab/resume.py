"""Job + folder → statistics: those that an earlier run left there, else from a pass over the samples.

A pass saves the statistics so far every few seconds, so that an interrupted one goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from quantlab.collect import CollectSettings, collect
from quantlab.job import Job
from quantlab.progress import Progress, silent
from quantlab.run_folder import RunFolder, SavedStatistics
from quantlab.stats.table import Statistics

_SECONDS_BETWEEN_SAVES = 10.0


class Collected(NamedTuple):
    """Statistics, and a sentence for the report if a pass over all samples is not where they come from."""

    statistics: Statistics
    note: str | None = None


def collect_for(job: Job, *, folder: RunFolder | None = None, progress: Progress = silent) -> Collected:
    """Return the statistics of a job, and leave them in the folder.

    Args:
        job: model, samples and the tensors to observe.
        folder: where statistics of the same model and samples may be, or None.
        progress: how the pass shows itself.

    Raises:
        CalibrationError: there is not a single sample, or a value is NaN or infinite.
        RunError: the folder cannot be written to.
    """
    if folder is None:
        return Collected(_pass(job, None, None, progress))
    fingerprint = job.fingerprint()
    folder.begin(fingerprint)
    saved = folder.saved_statistics(fingerprint)
    if saved is not None and saved.is_complete:
        note = f"The statistics of {saved.statistics.samples} samples were in the folder already and are used again."
        return Collected(saved.statistics, note)

    def save(statistics: Statistics) -> None:
        folder.write_statistics(statistics, fingerprint, is_complete=False)

    statistics = _pass(job, saved, save, progress)
    folder.write_statistics(statistics, fingerprint, is_complete=True)
    if saved is None:
        return Collected(statistics)
    begun = saved.statistics.samples
    return Collected(statistics, f"The first {begun} samples were counted by an earlier run that was interrupted.")


def _pass(
    job: Job, saved: SavedStatistics | None, save: Callable[[Statistics], None] | None, progress: Progress
) -> Statistics:
    """Count the samples that are not counted yet."""
    resume = saved.statistics if saved else None
    done = resume.samples if resume else 0
    size = job.calibration.size
    label = f"collecting statistics, going on after {done} samples" if done else "collecting statistics"
    with progress(label, None if size is None else size - done) as advance:
        settings = CollectSettings(
            memory_cap_bytes=job.recipe.memory_cap_mb * 2**20,
            threads=job.recipe.threads,
            on_progress=advance,
            on_partial=_now_and_then(save) if save else None,
        )
        return collect(job.model, job.observed, job.engine, job.calibration, settings=settings, resume=resume)


def _now_and_then(save: Callable[[Statistics], None]) -> Callable[[Callable[[], Statistics]], None]:
    """Return what saves the statistics so far, not more often than every few seconds."""
    last = time.monotonic()

    def look(statistics_so_far: Callable[[], Statistics]) -> None:
        nonlocal last
        if time.monotonic() - last >= _SECONDS_BETWEEN_SAVES:
            save(statistics_so_far())
            last = time.monotonic()

    return look
