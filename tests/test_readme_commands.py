"""Every command that README shows is run, in its order, on files that stand in for the reader's (`make docs-check`)."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from quantlab.graph.save import save
from tests.models import model_from_text, noise

pytestmark = pytest.mark.docs

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```console\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)
COMMANDS = [line[2:] for block in BLOCKS for line in block.splitlines() if line.startswith("$ quantlab ")]
# What a command says that cannot run here, and why it cannot.
NOT_RUN = {
    "quantlab serve": "serves until it is stopped",
    "--install-completion": "changes the settings of the reader's shell",
    "--latency-batch": "needs a GPU",
    "--engine tensorrt": "needs a GPU",
    ".plan ": "needs a GPU",
    "--runtime tensorrt": "needs the package tensorrt, which wants a GPU",
}
TIMEOUT_S = 280
CLASSES = 3
SIZE = 32
NETWORK = f"""
<ir_version: 10, opset_import: ["": 18]>
net (float[batch, 3, {SIZE}, {SIZE}] image, float[16, 3, 3, 3] w1, float[16] b1, float[32, 16, 3, 3] w2, float[32] b2,
     float[32, {CLASSES}] w3) => (float[batch, {CLASSES}] scores)
{{
    [conv1] c1 = Conv <pads: ints = [1, 1, 1, 1], strides: ints = [2, 2]> (image, w1, b1)
    [relu1] r1 = Relu (c1)
    [conv2] c2 = Conv <pads: ints = [1, 1, 1, 1], strides: ints = [2, 2]> (r1, w2, b2)
    [relu2] r2 = Relu (c2)
    [pool] p = GlobalAveragePool (r2)
    [flatten] f = Flatten (p)
    [product] scores = MatMul (f, w3)
}}
"""


def quantlab(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a line of README, without its comment, in a process of its own."""
    arguments = shlex.split(command, comments=True)[1:]
    return subprocess.run(
        [sys.executable, "-m", "quantlab", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def write_network(folder: Path) -> None:
    weights = {
        "w1": noise(16, 3, 3, 3, seed=1) / 5,
        "b1": noise(16, seed=2) / 10,
        "w2": noise(32, 16, 3, 3, seed=3) / 12,
        "b2": noise(32, seed=4) / 10,
        "w3": noise(32, CLASSES, seed=5),
    }
    network = model_from_text(NETWORK, weights)
    for name in ("net.onnx", "a.onnx", "b.onnx"):
        save(network, folder / name)


def write_samples(folder: Path) -> None:
    """Write arrays with labels, a folder of pictures per class, and a calibration cache of an older TensorRT."""
    for name, seed in (("calib", 6), ("eval", 7)):
        labels = np.arange(64) % CLASSES
        np.savez(folder / f"{name}.npz", image=noise(64, 3, SIZE, SIZE, seed=seed), labels=labels)
    pixels = np.random.default_rng(8)
    for kind in range(CLASSES):
        (folder / "photos" / f"kind{kind}").mkdir(parents=True)
        for number in range(12):
            picture = pixels.integers(0, 256, (48, 40, 3), dtype=np.uint8)
            Image.fromarray(picture).save(folder / "photos" / f"kind{kind}" / f"{number}.png")
    scales = {"image": 0.02, "r1": 0.03, "r2": 0.05}
    lines = [f"{name}: {np.float32(scale).view(np.uint32):08x}" for name, scale in scales.items()]
    (folder / "old.cache").write_text("\n".join(["TRT-8601-EntropyCalibration2", *lines, ""]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a reader who has followed README so far; commands leave their results in it."""
    place = tmp_path_factory.mktemp("reader")
    write_network(place)
    write_samples(place)
    done = quantlab(
        "quantlab ptq --model net.onnx --data calib.npz --calibrator mse --target onnxruntime --target tensorrt", place
    )
    assert done.returncode == 0, done.stderr
    shutil.copy(place / "runs" / "net-mse" / "model.tensorrt.int8.onnx", place / "int8.onnx")
    return place


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_ends_well(command: str, folder: Path):
    for words, reason in NOT_RUN.items():
        if words in command:
            pytest.skip(reason)
    done = quantlab(command, folder)
    assert done.returncode == 0, f"$ {command}\n{done.stdout}\n{done.stderr}"


def test_only_a_command_that_the_readme_shows_is_left_out():
    unused = [words for words in NOT_RUN if not any(words in command for command in COMMANDS)]
    assert not unused


def test_what_the_readme_shows_of_the_bundled_network_is_printed_but_for_the_numbers(folder: Path):
    shown = re.findall(r"^```text\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)[0]
    done = quantlab("quantlab ptq --calibrator entropy --target onnxruntime --target tensorrt --quiet", folder)
    assert done.returncode == 0, done.stderr
    expected, printed = (_without_numbers(text) for text in (shown, done.stdout))
    assert expected in printed


def _without_numbers(text: str) -> str:
    """Return the words from the first table on: the verdict, and where lines break, follow from the numbers."""
    table = text[text.index("model ") :]
    return " ".join(re.sub(r"[+-]?\d[\d.]*", "0", table).split())
