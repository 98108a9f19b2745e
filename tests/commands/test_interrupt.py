"""Ctrl-C at any stage: one line, exit code 1, the run before it whole, and the same command goes on."""

import importlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.commands.conftest import Quantlab

COMMAND = ("ptq", "--model", "net.onnx", "--data", "samples.npz", "--samples", "16", "--threads", "1", "--out", "run")
QUICK = (*COMMAND, "--no-latency")
# The function during which Ctrl-C is pressed, by stage; statistics are complete from "quantizing" on.
STAGES = {
    "opening": "quantlab.opening.prepare",
    "collecting": "quantlab.resume.collect",
    "quantizing": "quantlab.pipeline.calibrate",
    "auditing": "quantlab.pipeline.audit_onnxruntime",
    "writing": "quantlab.run_folder.save",
    "evaluating": "quantlab.evaluation.evaluate.judge",
    "timing": "quantlab.evaluation.costs.measure_latency",
    "measuring": "quantlab.evaluation.costs.measure_memory",
    "reporting": "quantlab.pipeline.build_report",
}
BEFORE_STATISTICS = {"opening", "collecting"}


def press_ctrl_c_in(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    module, name = where.rsplit(".", 1)
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)

    def interrupted(*arguments: object, **options: object) -> object:
        signal.raise_signal(signal.SIGINT)
        return function(*arguments, **options)

    monkeypatch.setattr(importlib.import_module(module), name, interrupted)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("stage", STAGES)
def test_ctrl_c_leaves_no_half_run_and_the_same_command_goes_on(workplace, quantlab: Quantlab, monkeypatch, stage):
    with monkeypatch.context() as patched:
        press_ctrl_c_in(patched, STAGES[stage])
        said = quantlab(*COMMAND)
    assert (said.code, said.out) == (1, "")
    (line,) = said.err.splitlines()
    assert line.startswith("quantlab: error: interrupted; ")
    run = workplace / "run"
    assert not run.exists() or files(run) == {}
    if stage in BEFORE_STATISTICS:
        assert "nothing was kept" in line
    else:
        assert "the statistics of 16 samples are in run/unfinished; the same command goes on from there" in line
    again = quantlab(*QUICK)
    assert (again.code, again.err) == (0, "")
    assert ("statistics of 16 samples were in the folder already" in again.out) == (stage not in BEFORE_STATISTICS)
    assert not (run / "unfinished").exists()


def test_ctrl_c_leaves_the_run_before_it_whole(workplace, quantlab: Quantlab, monkeypatch):
    assert quantlab(*QUICK).code == 0
    before = files(workplace / "run")
    press_ctrl_c_in(monkeypatch, STAGES["evaluating"])
    assert quantlab(*QUICK, "--calibrator", "minmax", "--target", "tensorrt").code == 1
    assert files(workplace / "run") == before
    assert json.loads(before["report.json"])["recipe"]["calibrator"] == "entropy"


def test_ctrl_c_where_nothing_is_kept_says_so(workplace, quantlab: Quantlab, monkeypatch):
    press_ctrl_c_in(monkeypatch, "quantlab.side_by_side.compare_layers")
    said = quantlab("diff", "net.onnx", "net.onnx", "--data", "samples.npz")
    assert (said.code, said.out) == (1, "")
    assert said.err == "quantlab: error: interrupted; nothing was kept\n"


def test_a_real_signal_ends_a_process_with_one_line(workplace):
    (workplace / "slow.py").write_text(
        "import pathlib, time\n\ndef data():\n    pathlib.Path('started').touch()\n    time.sleep(60)\n"
    )
    command = [sys.executable, "-m", "quantlab", "ptq", "--model", "net.onnx", "--data", "slow.py:data"]
    with subprocess.Popen(command, cwd=workplace, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for _ in range(600):
            if (workplace / "started").exists():
                break
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert err == "quantlab: error: interrupted; nothing was kept\n"
