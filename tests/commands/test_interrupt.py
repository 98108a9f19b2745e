"""Ctrl-C at any stage: one line, exit code 1, the run before it whole, and the same command goes on."""

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.commands.conftest import Quantlab
from tests.rtx import requires_rtx

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


def press_ctrl_c_in(monkeypatch: pytest.MonkeyPatch, where: str, number: int = signal.SIGINT) -> None:
    module, name = where.rsplit(".", 1)
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)

    def interrupted(*arguments: object, **options: object) -> object:
        signal.raise_signal(number)
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


# Commands that leave nothing when they are stopped, each with a function during which they are.
LEAVING_NOTHING = {
    ("diff", "net.onnx", "net.onnx", "--data", "samples.npz"): "quantlab.side_by_side.compare_layers",
    ("evaluate", "net.onnx", "--data", "samples.npz", "--no-latency"): "quantlab.evaluation.evaluate.judge",
    ("inspect", "net.onnx", "--plan"): "quantlab.inspection.prepare",
    ("lint", "int8.onnx", "--fix", "fixed.onnx"): "quantlab.lint.fix.requantize",
    ("lint", "int8.onnx", "--fix", "fixed.onnx", "--json"): "quantlab.graph.save.needs_external_data",
    ("audit", "int8.onnx", "--runtime", "onnxruntime"): "quantlab.audit.onnxruntime.multiply_adds",
    ("cache", "import", "scales.cache", "--model", "net.onnx", "--out", "run"): "quantlab.interop.import_cache.migrate",
    ("cache", "export", "int8.onnx", "new.cache"): "quantlab.interop.export_cache.read",
    ("build", "net.onnx", "--runtime", "tensorrt_rtx"): "quantlab.deployment.build_plan",
    ("report", "finished", "--format", "html", "--out", "page.html"): "quantlab.report.html.to_html",
    ("doctor",): "quantlab.doctor.diagnose",
}


@pytest.fixture
def furnished(workplace, quantlab: Quantlab) -> Path:
    """Return the working folder with a finished run, its INT8 model and a cache of its scales."""
    assert quantlab(*QUICK, "--out", "finished", "--target", "tensorrt").code == 0
    os.link("finished/model.tensorrt.int8.onnx", "int8.onnx")
    assert quantlab("cache", "export", "finished", "scales.cache").code == 0
    return Path(workplace)


def test_ctrl_c_leaves_nothing_of_a_command_that_writes_only_when_it_is_done(
    furnished: Path, quantlab: Quantlab, monkeypatch
):
    before = sorted(furnished.rglob("*"))
    for command, where in LEAVING_NOTHING.items():
        with monkeypatch.context() as patched:
            press_ctrl_c_in(patched, where)
            said = quantlab(*command)
        assert (said.code, said.out) == (1, ""), command
        assert said.err == "quantlab: error: interrupted; nothing was kept\n", command
        assert sorted(furnished.rglob("*")) == before, command


def test_ctrl_c_in_compare_keeps_the_statistics(workplace, quantlab: Quantlab, monkeypatch):
    command = ("compare", *QUICK[1:])
    with monkeypatch.context() as patched:
        press_ctrl_c_in(patched, "quantlab.comparison.evaluate_for")
        said = quantlab(*command)
    assert (said.code, said.out) == (1, "")
    assert "the statistics of 16 samples are in run; the same command goes on from there" in said.err
    assert "statistics of 16 samples were in the folder already" in quantlab(*command).out


@requires_rtx
@pytest.mark.tensorrt
def test_ctrl_c_in_a_second_build_names_the_plan_of_the_first(workplace, quantlab: Quantlab, monkeypatch):
    press_ctrl_c_in(monkeypatch, "quantlab.deployable.to_half")
    said = quantlab("build", "net.onnx", "--precision", "fp32", "--precision", "fp16", "--runtime", "tensorrt_rtx")
    assert (said.code, said.out) == (1, "")
    assert said.err == "quantlab: error: interrupted; net.fp32.plan is whole\n"
    assert sorted(path.name for path in Path(workplace).glob("*.plan*")) == ["net.fp32.plan", "net.fp32.plan.json"]


def has_ended(process: psutil.Process) -> bool:
    """Whether nothing runs any more; who inherits the process may not have looked at its end yet."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


@requires_rtx
@pytest.mark.tensorrt
def test_what_builds_ends_with_the_command_that_started_it(workplace, monkeypatch):
    temporary = Path(workplace) / "temporary"
    temporary.mkdir()
    command = [sys.executable, "-m", "quantlab", "build", "net.onnx", "--runtime", "tensorrt_rtx"]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    with subprocess.Popen(command, cwd=workplace, stderr=subprocess.PIPE, text=True, env=environment) as process:
        builders: list[psutil.Process] = []
        for _ in range(6000):
            builders = psutil.Process(process.pid).children()
            # Python itself leaves a child alone if it is interrupted while it starts one.
            if builders and sum(builders[0].cpu_times()[:2]) > 0.2:
                break
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (1, "quantlab: error: interrupted; nothing was kept\n")
    assert len(builders) == 1
    assert has_ended(builders[0])
    assert list(temporary.iterdir()) == []
    assert not list(Path(workplace).glob("*.plan*"))


def test_a_signal_that_is_to_be_ignored_is_ignored(workplace, quantlab: Quantlab, monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        press_ctrl_c_in(monkeypatch, STAGES["quantizing"], signal.SIGHUP)
        assert quantlab(*QUICK).code == 0
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_real_signal_ends_a_process_with_one_line(workplace, number):
    (workplace / "slow.py").write_text(
        "import pathlib, time\n\ndef data():\n    pathlib.Path('started').touch()\n    time.sleep(60)\n"
    )
    command = [sys.executable, "-m", "quantlab", "ptq", "--model", "net.onnx", "--data", "slow.py:data"]
    with subprocess.Popen(command, cwd=workplace, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for _ in range(600):
            if (workplace / "started").exists():
                break
            time.sleep(0.1)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert err == "quantlab: error: interrupted; nothing was kept\n"
