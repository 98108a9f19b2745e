"""How a long step shows itself."""

from __future__ import annotations

import contextlib
import os
import pty
import sys
import termios
import time
from pathlib import Path

import pytest

from quantlab.commands.bars import shown_bar
from tests.commands.conftest import Quantlab, Terminal

NET = ("--model", "net.onnx", "--data", "samples.npz", "--samples", "16", "--threads", "1")


def terminal_on_stderr(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Make stderr a terminal, and return it; a fixture could not, since pytest changes stderr after it."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    return terminal


def test_a_step_that_is_one_whole_shows_the_time_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = terminal_on_stderr(monkeypatch)
    with shown_bar("building", 1) as bar:
        bar.update(1)
        bar.refresh()
    assert "building: 00:00" in stderr.getvalue()
    assert "0/1" not in stderr.getvalue()


def test_a_step_without_a_known_end_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = terminal_on_stderr(monkeypatch)
    with shown_bar("collecting", None) as bar:
        bar.update(24)
        bar.refresh()
    assert "collecting: 24, 00:00" in stderr.getvalue()


def test_a_counted_step_tells_how_much_is_done_and_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = terminal_on_stderr(monkeypatch)
    with shown_bar("collecting", 100) as bar:
        bar.update(50)
        bar.refresh()
    assert "collecting:  50%|" in stderr.getvalue()
    assert "| 50/100 [00:00<00:00]" in stderr.getvalue()


def test_the_time_goes_on_while_one_unit_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = terminal_on_stderr(monkeypatch)
    monkeypatch.setattr("quantlab.commands.bars._SECONDS_BETWEEN_LOOKS", 0.01)
    with shown_bar("building", 1):
        for _ in range(100):
            if stderr.getvalue().count("building") > 2:
                break
            time.sleep(0.01)
    assert stderr.getvalue().count("building") > 2


def all_of(terminal: int) -> str:
    """Return what was written to a terminal that nobody writes to any more."""
    said = b""
    with os.fdopen(terminal, "rb", buffering=0) as screen, contextlib.suppress(OSError):
        while part := screen.read(4096):
            said += part
    return said.decode()


@pytest.mark.parametrize("total", [None, 1, 100])
def test_a_step_is_cut_at_the_width_of_the_terminal_and_wiped_away(
    monkeypatch: pytest.MonkeyPatch, total: int | None
) -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 40))
    with os.fdopen(theirs, "w") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        with shown_bar("building a network whose name is longer than the line", total) as bar:
            bar.set_postfix_str("loss 0.25")
    lines = all_of(ours).split("\r")
    assert any(line.startswith("building a network whose name is") for line in lines)
    assert max(map(len, lines)) <= 40
    assert (lines[-2].strip(), lines[-1]) == ("", "")


COMMANDS = {
    ("inspect", "net.onnx"): "looking at net.onnx",
    ("lint", "run/model.onnxruntime.int8.onnx", "--fix", "fixed.onnx"): "placing run/model",
    ("audit", "run"): "auditing run",
    ("cache", "export", "run", "scales.cache"): "exporting run",
    ("cache", "import", "scales.cache", "--model", "net.onnx", "--out", "imported"): "importing scales.cache",
    ("diff", "net.onnx", "net.onnx", "--data", "samples.npz", "--threads", "1"): "opening models",
    ("report", "run", "--format", "csv"): "writing csv",
    ("doctor",): "looking at the installation",
}


def test_every_command_that_may_take_long_shows_so_unless_it_is_to_be_quiet(
    quantlab: Quantlab, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stderr = terminal_on_stderr(monkeypatch)
    assert quantlab("ptq", *NET, "--no-latency", "--eval-samples", "4", "--out", "run", "--quiet").code == 0
    assert stderr.getvalue() == ""
    for command, label in COMMANDS.items():
        shown = quantlab(*command)
        said = stderr.getvalue()
        assert label in said, command
        assert said.endswith("\r"), command
        stderr.seek(stderr.truncate(0))
        quiet = quantlab(*command, "--quiet")
        assert (quiet.code, quiet.out) == (shown.code, shown.out), command
        assert stderr.getvalue() == "", command
