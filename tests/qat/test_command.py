"""`quantlab qat`, as it is typed."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from quantlab.cli import main
from quantlab.graph.save import save
from tests.qat.networks import digits, solved_network

QUICK = (
    "--samples",
    "64",
    "--epochs",
    "1",
    "--threads",
    "1",
    "--device",
    "cpu",
    "--eval-samples",
    "64",
    "--no-latency",
)

USER_FILE = """
import torch

def augment():
    return lambda feeds, generator: {name: feed + 0.1 for name, feed in feeds.items()}

def loss():
    return lambda outputs, labels: torch.nn.functional.cross_entropy(outputs["scores"], labels)

def nothing():
    return 3
"""


# Ctrl-C in the second epoch, unless it has come already.
STOPPING_FILE = """
from pathlib import Path

def augment():
    batches = []
    def stop(feeds, generator):
        batches.append(1)
        if len(batches) > 5 and not Path(__file__).with_name("stopped").exists():
            raise KeyboardInterrupt
        return feeds
    return stop
"""


KILLING_FILE = STOPPING_FILE.replace("len(batches) > 5", "len(batches) > 10").replace(
    "raise KeyboardInterrupt", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
)


class Said(NamedTuple):
    """What a command said."""

    code: int
    out: str
    err: str


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(solved_network(), tmp_path / "net.onnx")
    for part, name in (("calibration", "calib"), ("train", "train")):
        images, labels = digits(part)  # type: ignore[arg-type] # a part's name
        np.savez(tmp_path / f"{name}.npz", image=images[:128], labels=labels[:128])
    (tmp_path / "user.py").write_text(USER_FILE)
    return tmp_path


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    files = ("--model", folder / "net.onnx", "--data", folder / "calib.npz", "--train-data", folder / "train.npz")

    def run(*words: str) -> Said:
        code = main(["qat", *map(str, files), "--out", str(folder / "out"), *QUICK, *words])
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return run


def test_json_is_alone_on_stdout(run: Callable[..., Said], folder: Path):
    user = str(folder / "user.py")
    functions = ("--augment", f"{user}:augment", "--task-loss", f"{user}:loss")
    said = run("--json", "--learn-scales", "--loss", "both", *functions)
    assert (said.code, said.err) == (0, "")
    report = json.loads(said.out)
    assert report["qat"]["settings"]["loss"] == "both"
    assert report["qat"]["samples"]["trained"] == 109
    assert report["command"][:2] == ["quantlab", "qat"]
    assert (folder / "out" / "model.onnxruntime.int8.onnx").exists()


def test_a_dry_run_tells_plan_and_cost_and_writes_nothing(run: Callable[..., Said], folder: Path):
    before = sorted(folder.rglob("*"))
    said = run("--dry-run", "--epochs", "3")
    assert (said.code, said.err) == (0, "")
    assert "This would quantize and train net.onnx, 3 epochs" in said.out
    assert "training: 3 epochs over 109 samples, 12 steps of " in said.out
    assert "judging: 19 samples held out, 4 times" in said.out
    assert json.loads(run("--dry-run", "--epochs", "3", "--json").out)["training"]["steps"] == 12
    assert sorted(folder.rglob("*")) == before


def test_a_person_reads_the_epochs_and_the_comparison(run: Callable[..., Said]):
    said = run("--resume")
    assert said.code == 0, said.err
    lines = said.err.splitlines()
    assert "holds no interrupted training; beginning anew" in lines[0]
    assert lines[1].startswith("start: held out: accuracy")
    assert lines[2].startswith("epoch 1/1: loss")
    assert "onnxruntime qat" in said.out
    assert re.search(r"Trained by torch \S+ on cpu on 109\s+of 128 samples", said.out)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--loss", "distil"), 2, "did you mean 'distill'"),
        (("--held-out", "1.5"), 2, "held_out: 1.5"),
        (("--device", "abacus"), 1, "device 'abacus'"),
        (("--feature", "hiden1"), 2, "no such tensor; did you mean 'hidden1' or 'hidden2'?"),
        (("--warmup", "2"), 2, "warmup: 2.0"),
        (("--augment", "augment"), 1, "FILE.py:FUNCTION"),
        (("--task-loss", "{folder}/user.py:nothing"), 1, "returned a int, not a function"),
        (("--reference", "{folder}/net.onnx"), 2, "float itself"),
    ],
)
def test_a_mistake_is_one_line_and_an_exit_code(run: Callable[..., Said], folder: Path, words, code, message):
    said = run(*(word.format(folder=folder) for word in words))
    assert said.code == code
    (line,) = said.err.splitlines()
    assert line.startswith("quantlab: error:")
    assert message in line


def test_every_setting_can_be_typed(run: Callable[..., Said], folder: Path):
    words = {
        "--distance": "mse", "--temperature": "2", "--feature": "hidden1", "--feature-weight": "0.5",
        "--task-share": "0.3", "--loss": "both", "--optimizer": "sgd", "--momentum": "0.8", "--learning-rate": "0.002",
        "--scale-rate": "0.01", "--weight-decay": "0.01", "--warmup": "0.2", "--clip-norm": "0",
        "--freeze-ranges": "0.5", "--ema-decay": "0.5", "--batch-size": "16", "--held-out": "0.25",
        "--train-samples": "64", "--cache-mb": "1",
    }  # fmt: skip
    said = run("--learn-scales", "--allow-tf32", *(word for pair in words.items() for word in pair))
    assert said.code == 0, said.err
    settings = tomllib.loads((folder / "out" / "qat.toml").read_text())
    assert settings == {
        "epochs": 1, "distance": "mse", "temperature": 2.0, "features": ["hidden1"], "feature_weight": 0.5,
        "task_share": 0.3, "loss": "both", "optimizer": "sgd", "momentum": 0.8, "learning_rate": 0.002,
        "scale_rate": 0.01, "weight_decay": 0.01, "warmup": 0.2, "freeze_ranges": 0.5, "ema_decay": 0.5,
        "batch_size": 16, "held_out": 0.25, "train_samples": 64, "cache_mb": 1, "device": "cpu", "learn_scales": True,
        "allow_tf32": True,
    }  # fmt: skip


@pytest.mark.slow
def test_a_run_that_was_killed_resumes_to_the_same_bits(run: Callable[..., Said], folder: Path):
    """As SIGKILL leaves it: the process dies in the third epoch without a word."""
    (folder / "kill.py").write_text(KILLING_FILE)
    words = ("--epochs", "3", "--learn-scales", "--augment", f"{folder}/kill.py:augment")
    files = ("--model", folder / "net.onnx", "--data", folder / "calib.npz", "--train-data", folder / "train.npz")
    command = [sys.executable, "-m", "quantlab", "qat", *map(str, files), "--out", str(folder / "out"), *QUICK, *words]
    killed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    (folder / "stopped").touch()
    assert run(*words, "--resume").code == 0
    assert run(*words, "--out", str(folder / "whole")).code == 0
    names = ("model.onnxruntime.int8.onnx", "model.onnxruntime.qdq.onnx")
    assert all((folder / "out" / name).read_bytes() == (folder / "whole" / name).read_bytes() for name in names)


def test_ctrl_c_in_the_first_epoch_keeps_the_statistics(run: Callable[..., Said], folder: Path):
    (folder / "stop.py").write_text(STOPPING_FILE)
    stopped = run("--epochs", "3", "--augment", f"{folder}/stop.py:augment", "--batch-size", "8")
    assert (stopped.code, stopped.out) == (1, "")
    told = (
        f"interrupted; the statistics of 64 samples are in {folder}/out/unfinished; the same command goes on from there"
    )
    assert stopped.err.splitlines()[-1] == f"quantlab: error: {told}"


def test_after_ctrl_c_the_same_command_with_resume_goes_on(run: Callable[..., Said], folder: Path):
    (folder / "stop.py").write_text(STOPPING_FILE)
    stopped = run("--epochs", "3", "--augment", f"{folder}/stop.py:augment")
    assert stopped.code == 1
    assert "qat.safetensors; the same command with --resume goes on" in stopped.err.splitlines()[-1]
    (folder / "stopped").touch()
    resumed = run("--epochs", "3", "--augment", f"{folder}/stop.py:augment", "--resume")
    assert resumed.code == 0, resumed.err
    assert "epoch 1/3" not in resumed.err
    assert "epoch 3/3" in resumed.err
