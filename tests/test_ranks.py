"""Several processes do what one alone does."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch

from quantlab.data.batch import Batch
from quantlab.errors import EngineError
from quantlab.qat.loop import fit
from quantlab.qat.parts import parts
from quantlab.ranks import ALONE, Ranks, joined
from quantlab.resume import collect_for, part_of
from quantlab.stats.table import Statistics
from tests.qat.networks import small_job, start_of
from tests.qat.test_loop import parameters, training_of
from tests.ranks_worker import TRAINING, shared_job

pytestmark = pytest.mark.torch


def processes(what: str, folder: Path, size: int) -> list[subprocess.CompletedProcess[str]]:
    """Start as many processes as torchrun would, and wait for them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {**os.environ, "WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    command = [sys.executable, "-W", "ignore", "-m", "tests.ranks_worker", what, str(folder)]
    started = [
        subprocess.Popen(
            command,
            env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]
    ended = []
    for process in started:
        out, err = process.communicate(timeout=240)
        ended.append(subprocess.CompletedProcess(command, process.returncode, out, err))
    return ended


def batch_of(size: int) -> Batch:
    return Batch({"x": np.arange(size, dtype=np.float32)})


def test_without_torchrun_there_is_one_process(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    with joined("cuda") as ranks:
        assert ranks is ALONE
        assert ranks.is_first
        assert ranks.gathered(b"x") == [b"x"]
        assert ranks.summed([0.1, 2]) == [0.1, 2]
        assert ranks.device("cuda:1") == "cuda:1"


def test_one_gpu_is_not_for_several_processes():
    with pytest.raises(EngineError, match="cuda:1"):
        Ranks(0, 2).device("cuda:1")


@pytest.mark.parametrize("size", [2, 3, 7])
def test_parts_hold_every_sample_once_and_weigh_as_the_whole_batch(size):
    batches = [batch_of(8), batch_of(8), batch_of(1)]
    found = [list(parts(batches, Ranks(number, size))) for number in range(size)]
    for step, batch in enumerate(batches):
        own = [each[step] for each in found]
        counted = np.concatenate([part.batch.feeds["x"][: part.size] for part in own])
        assert sorted(counted) == sorted(batch.feeds["x"])
        mean = sum(part.weight * part.batch.feeds["x"].mean() for part in own) / size
        assert mean == pytest.approx(batch.feeds["x"].mean())


def test_a_fixed_batch_is_not_cut():
    batches = [batch_of(4), batch_of(4), batch_of(4)]
    first, second = (list(parts(batches, Ranks(number, 2), are_whole=True)) for number in range(2))
    assert [part.size for part in first] == [4, 4]
    assert [part.size for part in second] == [4, 0]
    assert [part.weight for part in (*first, *second)] == [1.0, 2.0, 1.0, 0.0]


def test_calibration_is_shared_in_whole_batches():
    samples = small_job().calibration.in_batches_of(8)
    sizes = [[batch.size for batch in part_of(samples, Ranks(number, 3))] for number in range(3)]
    assert [size for part in sizes for size in part] == [batch.size for batch in samples]


@pytest.mark.parametrize("size", [2, 3])
def test_statistics_collected_together_are_those_of_one_process(size, tmp_path):
    ended = processes("collect", tmp_path, size)
    assert [each.returncode for each in ended] == [0] * size, ended[0].stderr + ended[1].stderr
    alone = collect_for(small_job()).statistics
    for rank in range(size):
        assert Statistics.load(tmp_path / f"{rank}.npz").same_as(alone)
    assert (tmp_path / "0.txt").read_text() == f"onnxruntime {version('onnxruntime')} on cpu, {size} processes"


def test_training_together_is_training_alone_and_equal_in_all_processes(tmp_path):
    ended = processes("train", tmp_path, 2)
    assert [each.returncode for each in ended] == [0, 0], ended[0].stderr + ended[1].stderr
    told = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    assert told[0] == told[1]
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    job = shared_job()
    start = start_of(job)
    assert any(point.shared_with for point in start.plan.points)
    alone = training_of(job, start, **TRAINING)
    losses = [record.loss for record in fit(alone).records]
    # Gradients are added up in another order; a value near a half step may then round to the other side.
    assert told[0]["losses"][1:] == pytest.approx(losses[1:], rel=1e-3)
    for name, expected in parameters(alone).items():
        torch.testing.assert_close(first[name], expected, rtol=0, atol=1e-3 * float(expected.abs().max()))


def test_a_process_that_fails_ends_all_and_tells_why_once(tmp_path):
    ended = processes("fail", tmp_path, 2)
    assert [each.returncode for each in ended] == [1, 1]
    assert [each.stderr.count("quantlab: error") for each in ended] == [0, 1]
    assert "quantlab: error: sample 7: it cannot be read" in ended[1].stderr


@pytest.mark.parametrize(
    ("dead", "told"), [("second dies", "another one is gone without a word"), ("first dies", "the first one is gone")]
)
def test_a_process_that_is_killed_leaves_no_other_waiting(dead: str, told: str, tmp_path):
    ended = processes(dead, tmp_path, 2)
    survivor, killed = sorted(ended, key=lambda process: process.returncode, reverse=True)
    assert (survivor.returncode, killed.returncode) == (1, -signal.SIGKILL)
    # Torch, which this worker imports before it joins, may have shown a trace of its own.
    line = survivor.stderr.splitlines()[-1]
    assert line.startswith("quantlab: error: process ")
    assert told in line
    assert line.endswith("start the same command again, a training with --resume")
