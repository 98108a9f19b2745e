"""Every example of every command's --help is run in a shell, on files that stand in for the reader's."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from quantlab.graph.save import save
from quantlab.opening import open_model
from quantlab.torchmodels import TorchSettings
from tests.commands.examples import all_commands, examples_of
from tests.models import noise

pytestmark = [pytest.mark.docs, pytest.mark.timeout(900)]

EXAMPLES = [example for command in all_commands().values() for example in examples_of(command)]
# What an example says that cannot run here, and why it cannot.
NOT_RUN = {
    "torchvision:": "downloads published weights",
    "--device cuda": "needs a GPU",
    ".plan ": "needs a GPU",
    "--engine tensorrt": "needs a GPU",
    "--runtime tensorrt ": "needs the package tensorrt, which wants a GPU",
    "--open": "opens a browser",
}
# What an example needs that not every installation has.
NEEDED = {
    "quantlab build": "tensorrt_rtx",
    "--build": "tensorrt_rtx",
    "tensorrt_rtx": "tensorrt_rtx",
    "quantlab audit runs/net": "tensorrt_rtx",
    "transformers:": "transformers",
    "quantlab serve": "flask",
}
TIMEOUT_S = 800
CLASSES = 3
SIZE = 224

MODULE = f"""
import torch

def make():
    torch.manual_seed(0)
    return Net().eval()

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(3, 16, 3, 2, 1)
        self.conv2 = torch.nn.Conv2d(16, 32, 3, 2, 1)
        self.fc = torch.nn.Linear(32, {CLASSES})

    def forward(self, x):
        x = torch.relu(self.conv2(torch.relu(self.conv1(x))))
        return self.fc(x.mean((2, 3)))
"""
AUGMENT = """
import torch

def make():
    return lambda feeds, generator: {name: torch.roll(feed, 1, -1) for name, feed in feeds.items()}
"""


def run(example: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run an example in a shell where `quantlab` is this one, without a screen."""
    shell = f"quantlab() {{ '{sys.executable}' -m quantlab \"$@\"; }}; {example}"
    return subprocess.run(
        ["bash", "-c", shell], cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )


def write_network(folder: Path) -> None:
    """Write a network as a torch module, its weights, as ONNX, and as pytorch-quantization calibrates it."""
    torch = pytest.importorskip("torch")
    (folder / "net.py").write_text(MODULE)
    (folder / "shift.py").write_text(AUGMENT)
    settings = TorchSettings(input_shapes=(f"1x3x{SIZE}x{SIZE}",), weights="random")
    save(open_model(f"{folder}/net.py:make", settings), folder / "net.onnx")
    names: dict[str, object] = {}
    exec(MODULE, names)
    state = names["make"]().state_dict()  # type: ignore[operator]
    torch.save(state, folder / "net.pth")
    for name in ("conv1", "conv2", "fc"):
        weight = state[f"{name}.weight"]
        state[f"{name}._input_quantizer._amax"] = torch.tensor(3.0)
        state[f"{name}._weight_quantizer._amax"] = weight.abs().amax(tuple(range(1, weight.ndim)), keepdim=True)
    torch.save(state, folder / "calibrated.pth")


def write_samples(folder: Path) -> None:
    """Write arrays with labels, and folders of pictures per class."""
    for name, seed in (("calib", 6), ("train", 7), ("test", 8)):
        np.savez(folder / f"{name}.npz", x=noise(24, 3, SIZE, SIZE, seed=seed), labels=np.arange(24) % CLASSES)
    pixels = np.random.default_rng(9)
    for name in ("photos", "train", "val"):
        for kind in range(CLASSES):
            (folder / name / f"kind{kind}").mkdir(parents=True)
            for number in range(6):
                picture = pixels.integers(0, 256, (48, 40, 3), dtype=np.uint8)
                Image.fromarray(picture).save(folder / name / f"kind{kind}" / f"{number}.png")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a reader who has tried the examples so far; commands leave their results in it."""
    place = tmp_path_factory.mktemp("reader")
    write_network(place)
    write_samples(place)
    for line in (
        "quantlab ptq --calibrator mse --no-latency --eval-samples 64",
        "quantlab ptq --model net.onnx --data calib.npz --target tensorrt --no-latency --out first",
        "quantlab cache export first calibration.cache",
    ):
        done = run(line, place)
        assert done.returncode == 0, done.stderr
    shutil.copy(place / "first" / "model.fp32.onnx", place / "net.fp32.onnx")
    for name in ("net.int8.onnx", "of-another-tool.onnx"):
        shutil.copy(place / "first" / "model.tensorrt.int8.onnx", place / name)
    return place


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_of_the_help_ends_well(example: str, folder: Path):
    for words, reason in NOT_RUN.items():
        if words in f"{example} ":
            pytest.skip(reason)
    for words, package in NEEDED.items():
        if words in example and importlib.util.find_spec(package) is None:
            pytest.skip(f"needs {package}")
    if example.startswith("quantlab serve"):
        serve_until_ready(example, folder)
        return
    done = run(example, folder)
    # A lint that finds something ends with 1: that is its answer.
    is_answered = example.startswith("quantlab lint") and "error:" not in done.stderr
    assert done.returncode == 0 or is_answered, f"$ {example}\n{done.stdout}\n{done.stderr}"


def serve_until_ready(example: str, folder: Path) -> None:
    command = [sys.executable, "-m", *example.split(), "--port", "0"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert "http://127.0.0.1:" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
    assert process.returncode == 0


def test_only_an_example_that_the_help_shows_is_left_out():
    unused = [words for words in (*NOT_RUN, *NEEDED) if not any(words in f"{example} " for example in EXAMPLES)]
    assert not unused
