"""Labels that are no class numbers: a loss of the user's own reads them, from the file to the epoch that is kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from quantlab.cli import main
from quantlab.graph.save import save
from tests.models import noise, two_convs

pytestmark = pytest.mark.torch

LOSSES = """
from torch.nn import functional

def per_pixel():
    return lambda outputs, labels: functional.cross_entropy(outputs["scores"], labels.long())

def values():
    return lambda outputs, labels: functional.mse_loss(outputs["scores"].mean((2, 3))[:, :2], labels)
"""


@pytest.fixture
def train(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Train a network of two convolutions on samples with labels, by the command."""
    save(two_convs(channels=32), tmp_path / "net.onnx")
    (tmp_path / "losses.py").write_text(LOSSES)

    def train(labels: np.ndarray, *words: str) -> tuple[int, str, str]:
        np.savez(tmp_path / "data.npz", image=noise(48, 3, 8, 8), labels=labels)
        files = ("--model", str(tmp_path / "net.onnx"), "--data", str(tmp_path / "data.npz"))
        sizes = ("--samples", "32", "--epochs", "1", "--threads", "1", "--device", "cpu", "--no-latency", "--json")
        own = [word.format(folder=tmp_path) for word in words]
        code = main(["qat", *files, *sizes, "--out", str(tmp_path / "out"), "--loss", "task", *own])
        said = capsys.readouterr()
        return code, said.out, said.err

    return train


@pytest.mark.parametrize(
    ("function", "labels", "told"),
    [
        ("per_pixel", np.random.default_rng(0).integers(0, 32, (48, 8, 8)).astype(np.uint8), "uint8[8, 8]"),
        ("values", noise(48, 2, seed=1), "float32[2]"),
    ],
)
def test_maps_and_values_train_by_a_loss_of_ones_own(train, function: str, labels: np.ndarray, told: str):
    code, out, err = train(labels, "--task-loss", f"{{folder}}/losses.py:{function}")
    assert (code, err) == (0, "")
    report = json.loads(out)
    start, epoch = report["qat"]["epochs"]
    # The loss chooses, not how often the answers are those of the float model.
    assert start["score"]["measure"] == epoch["score"]["measure"] == "loss"
    assert report["qat"]["best"] == int(epoch["score"]["loss"] < start["score"]["loss"])
    assert all(row["accuracies"] == [] for row in report["evaluation"]["rows"])
    assert any(f"are no classes ({told} per sample)" in note for note in report["notes"])


def test_without_a_loss_of_ones_own_the_message_says_to_give_one(train):
    code, out, err = train(noise(48, 2))
    assert (code, out) == (1, "")
    assert "labels are one class number per sample, these are float32[48, 2]" in err
    assert err.rstrip().endswith("train on them with a loss of your own (qat --task-loss)")
