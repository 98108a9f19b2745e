"""How a training shows itself on a terminal."""

from __future__ import annotations

import sys

import pytest

from quantlab.commands.training_progress import TrainingProgress
from quantlab.qat.history import EpochRecord, Score, StepRecord


def test_within_an_epoch_a_terminal_shows_loss_rate_and_the_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    clock = iter([100.0, 160.0])
    monkeypatch.setattr("quantlab.commands.training_progress.time.monotonic", lambda: next(clock))
    shown = TrainingProgress(quiet=False)
    with shown("epoch 1/2", 100) as advance:
        shown.on_step(StepRecord(1, 2, 0.5, 1e-3, done=0.1))
        shown.on_step(StepRecord(1, 2, 0.25, 2e-3, done=0.2))
        advance(1)
    said = capsys.readouterr().err
    assert "epoch 1/2:" in said
    assert "8 min left, loss 0.25, rate 0.002" in said


def test_without_a_terminal_there_are_lines_only(capsys: pytest.CaptureFixture[str]) -> None:
    shown = TrainingProgress(quiet=False)
    with shown("epoch 1/1", 2) as advance:
        advance(2)
        shown.on_step(StepRecord(1, 1, 0.5, 1e-3, done=0.5))
    shown.on_epoch(EpochRecord(0, 1, None, Score("loss", 0, 0, 0.5), None, 1.0))
    assert capsys.readouterr().err == "start: held out: loss 0.5\n"


def test_quiet_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    TrainingProgress(quiet=True).on_epoch(EpochRecord(0, 1, None, Score("loss", 0, 0, 0.5), None, 1.0))
    assert capsys.readouterr().err == ""
