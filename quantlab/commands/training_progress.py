"""How a training shows itself on stderr: a line per epoch, and within an epoch a bar with loss, rate and time left."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from quantlab.commands.bars import shown_bar
from quantlab.commands.terminal import progress_bars
from quantlab.progress import Advance, silent

if TYPE_CHECKING:
    from quantlab.qat.history import EpochRecord, StepRecord


class TrainingProgress:
    """Shows one training; is a `Progress`, and what its hooks call."""

    def __init__(self, *, quiet: bool) -> None:
        """Begin; nothing is shown if quiet, and no bars where stderr is no terminal."""
        self._quiet = quiet
        self._bars = progress_bars(quiet=quiet)
        self._bar: Any = None
        self._first: tuple[float, float] | None = None

    @contextlib.contextmanager
    def __call__(self, label: str, total: int | None) -> Iterator[Advance]:
        """Begin a step of `total` units, with a bar that `on_step` can write beside."""
        if self._bars is silent:
            yield lambda units: None
            return
        with shown_bar(label, total) as bar:
            self._bar = bar

            def advance(units: int) -> None:
                bar.update(units)

            yield advance
        self._bar = None

    def on_epoch(self, record: EpochRecord) -> None:
        """Print a line, above the bar if there is one."""
        if not self._quiet:
            typer.echo(str(record), err=True)

    def on_step(self, record: StepRecord) -> None:
        """Write the time that the whole training still takes, loss and rate beside the bar."""
        if self._bar is not None:
            # A narrow terminal cuts at the end.
            said = f"{self._left(record)}loss {record.loss:.4g}, rate {record.learning_rate:.2g}"
            self._bar.set_postfix_str(said)

    def _left(self, record: StepRecord) -> str:
        from quantlab.qat.history import duration

        now = time.monotonic()
        if self._first is None:
            self._first = now, record.done
        begun, done = self._first
        if record.done <= done:
            return ""
        return f"{duration((now - begun) / (record.done - done) * (1 - record.done))} left, "
