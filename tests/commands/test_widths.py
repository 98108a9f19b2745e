"""What every command prints on a narrow terminal without colours, and with --json."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest

from tests.commands.conftest import Quantlab, Terminal

NET = ("--model", "net.onnx", "--data", "samples.npz", "--samples", "16", "--threads", "1", "--no-latency")
COMMANDS = [
    ("ptq", *NET, "--eval-samples", "4", "--out", "run"),
    ("ptq", *NET, "--dry-run"),
    ("compare", *NET, "--eval-samples", "4", "--calibrators", "minmax", "--out", "compared"),
    ("evaluate", "net.onnx", "int8.onnx", "--data", "samples.npz", "--threads", "1", "--no-latency"),
    ("diff", "net.onnx", "int8.onnx", "--data", "samples.npz", "--threads", "1", "--samples", "8"),
    ("inspect", "net.onnx", "--plan", "--target", "tensorrt"),
    ("inspect", "int8.onnx"),
    ("report", "finished"),
    ("report", "finished", "run"),
    ("lint", "int8.onnx", "--target", "tensorrt"),
    ("lint", "int8.onnx", "--fix", "fixed.onnx"),
    ("audit", "int8.onnx", "--runtime", "onnxruntime"),
    ("cache", "export", "finished", "scales.cache"),
    ("cache", "import", "scales.cache", "--model", "net.onnx", "--out", "imported"),
    ("doctor",),
]
WIDTH = 60
_STYLE = re.compile(r"\x1b\[([0-9;]*)m")
_COLOURS = re.compile(r"(?:3|4|9|10)\d")


@pytest.fixture
def furnished(workplace: Path, quantlab: Quantlab) -> Path:
    """Return the working folder with a finished run and its INT8 model."""
    assert quantlab("ptq", *NET, "--eval-samples", "4", "--out", "finished").code == 0
    os.link("finished/model.onnxruntime.int8.onnx", "int8.onnx")
    return workplace


def test_nothing_is_wider_than_a_narrow_terminal_or_coloured_against_its_will(
    furnished: Path, quantlab: Quantlab, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("COLUMNS", str(WIDTH)), ("NO_COLOR", "1"), ("TERM", "xterm-256color")):
        monkeypatch.setenv(name, value)
    for command in COMMANDS:
        stdout = Terminal()
        with monkeypatch.context() as patched:
            patched.setattr(sys, "stdout", stdout)
            said = quantlab(*command)
        shown = stdout.getvalue()
        assert (said.code, said.err) in ((0, ""), (1, "")), command  # a lint that finds something ends with 1
        assert not [code for codes in _STYLE.findall(shown) for code in codes.split(";") if _COLOURS.fullmatch(code)]
        lines = _STYLE.sub("", shown).splitlines()
        too_long = [line for line in lines if len(line.rstrip()) > WIDTH and " " in line.strip()]
        assert not too_long, command
        assert lines[-1].strip(), command


def test_a_terminal_that_can_do_nothing_gets_text_alone(
    furnished: Path, quantlab: Quantlab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    for command in (("report", "finished"), ("audit", "int8.onnx", "--runtime", "onnxruntime")):
        stdout = Terminal()
        with monkeypatch.context() as patched:
            patched.setattr(sys, "stdout", stdout)
            assert quantlab(*command).code == 0
        assert "\x1b" not in stdout.getvalue()


def test_json_is_alone_on_stdout_of_every_command(furnished: Path, quantlab: Quantlab) -> None:
    for command in COMMANDS:
        said = quantlab(*command, "--json")
        assert isinstance(json.loads(said.out), dict), command
        assert said.err == "", command
