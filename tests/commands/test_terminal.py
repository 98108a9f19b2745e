"""How commands meet the terminal."""

import os
import sys

import pytest
import typer
from rich.text import Text

from quantlab.commands.terminal import print_result, progress_bars, reporting_errors
from quantlab.errors import DataError, RecipeError
from quantlab.progress import silent
from quantlab.run_folder import CHECKPOINT
from tests.commands.conftest import Quantlab, Terminal

NET = ("--model", "net.onnx", "--data", "samples.npz", "--samples", "16", "--threads", "1")


@pytest.mark.parametrize(
    ("error", "line", "code"),
    [
        (DataError("two\n lines"), "two lines", 1),
        (RecipeError("no such word"), "no such word", 2),
        (FileNotFoundError(2, "No such file or directory", "x.npz"), "x.npz: No such file or directory", 1),
        (OSError("strange"), "strange", 1),
        (MemoryError(), "out of memory; lower --batch-size or --memory-cap-mb", 1),
        (KeyboardInterrupt(), "interrupted; nothing was kept", 1),
        (KeyError("x"), "a fault in quantlab: KeyError: 'x'; --debug shows where", 1),
    ],
)
def test_every_error_becomes_one_line_and_an_exit_code(capsys, error, line, code):
    with pytest.raises(typer.Exit) as caught, reporting_errors(debug=False):
        raise error
    assert caught.value.exit_code == code
    assert capsys.readouterr().err == f"quantlab: error: {line}\n"


def test_after_ctrl_c_only_a_checkpoint_of_this_training_is_named(tmp_path, capsys):
    (tmp_path / CHECKPOINT).touch()
    os.utime(tmp_path / CHECKPOINT, (0, 0))
    for resume, line in (
        (False, "interrupted; nothing was kept"),
        (True, f"interrupted; the epochs done are in {tmp_path / CHECKPOINT}; the same command with --resume goes on "),
    ):
        with pytest.raises(typer.Exit), reporting_errors(debug=False, folder=tmp_path, resume=resume):
            raise KeyboardInterrupt
        assert line in capsys.readouterr().err


def test_without_a_terminal_nothing_shows_progress(capsys):
    assert progress_bars(quiet=False) is silent


def test_on_a_terminal_every_step_shows_itself_and_is_wiped_away(workplace, quantlab: Quantlab, monkeypatch):
    stderr = Terminal()
    monkeypatch.setattr(sys, "stderr", stderr)
    assert quantlab("ptq", *NET).code == 0
    shown = stderr.getvalue()
    steps = ["opening model and data", "collecting statistics", "quantizing for onnxruntime", "evaluating", "timing"]
    places = [shown.index(step) for step in [*steps, "measuring memory"]]
    assert places == sorted(places)
    assert shown.endswith("\r")
    assert "\n" not in shown


def test_quiet_shows_nothing_even_on_a_terminal(workplace, quantlab: Quantlab, monkeypatch):
    stderr = Terminal()
    monkeypatch.setattr(sys, "stderr", stderr)
    assert quantlab("ptq", *NET, "--no-latency", "--quiet").code == 0
    assert stderr.getvalue() == ""


@pytest.mark.parametrize(("variable", "is_coloured"), [("FORCE_COLOR", True), ("NO_COLOR", False)])
def test_a_terminal_gets_colours_unless_no_color_is_set(monkeypatch, variable, is_coloured):
    stdout = Terminal()
    monkeypatch.setattr(sys, "stdout", stdout)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv(variable, "1")
    print_result({}, lambda: Text("red", style="red"), as_json=False)
    assert ("\x1b[31m" in stdout.getvalue()) == is_coloured
    assert "red" in stdout.getvalue()


def test_a_pipe_gets_plain_lines_of_at_most_100_columns_without_trailing_spaces(workplace, quantlab: Quantlab):
    said = quantlab("ptq", *NET, "--no-latency", "--target", "onnxruntime", "--target", "tensorrt")
    lines = said.out.splitlines()
    assert all(len(line) <= 100 for line in lines)
    assert all(line == line.rstrip() for line in lines)
    assert "\x1b" not in said.out
