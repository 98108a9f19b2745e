"""What one of several processes does in `test_ranks`: python -m tests.ranks_worker WHAT FOLDER."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import typer

from quantlab.commands.terminal import reporting_errors
from quantlab.errors import DataError
from quantlab.job import Job
from quantlab.qat.hooks import Hooks
from quantlab.qat.loop import fit
from quantlab.ranks import Ranks, joined
from quantlab.resume import collect_for
from quantlab.torchgraph.module import GraphModule
from tests.qat.networks import joined_network, small_job, start_of
from tests.qat.test_loop import are_equal, noisy, parameters, training_of

TRAINING: dict[str, Any] = {
    "epochs": 2, "learn_scales": True, "loss": "both", "optimizer": "sgd", "ema_decay": 0.8, "samples": 61,
}  # fmt: skip


class Stopped(Exception):
    """What stands for a kill."""


def collect(ranks: Ranks, folder: Path) -> None:
    found = collect_for(small_job(), ranks=ranks)
    (folder / f"{ranks.number}.npz").write_bytes(found.statistics.to_bytes())
    (folder / f"{ranks.number}.txt").write_text(" and ".join(found.collected_by))


def train(ranks: Ranks, folder: Path) -> None:
    torch.set_num_threads(1)
    job = shared_job()
    start = start_of(job)
    plain = training_of(job, start, **TRAINING)
    history = fit(with_ranks(plain, ranks))
    told = {"losses": [record.loss for record in history.records], "judged": str(history.records[-1].score)}
    (folder / f"{ranks.number}.json").write_text(json.dumps(told))
    torch.save(parameters(plain), folder / f"{ranks.number}.pt")
    resume(ranks, folder, job, start)


def shared_job() -> Job:
    """Return the job of a network that has a scale of several Q/DQ pairs."""
    return small_job(joined_network(), "tensorrt")


def resume(ranks: Ranks, folder: Path, job, start) -> None:
    def stop(record) -> None:
        if record.number == 1:
            ranks.gathered(b"written")  # not before the first process has written its checkpoint
            raise Stopped

    path = folder / "checkpoint"
    hooks = [Hooks(augment=noisy), Hooks(augment=noisy, on_epoch=stop), Hooks(augment=noisy)]
    whole, stopped, resumed = (with_ranks(training_of(job, start, each, **TRAINING), ranks) for each in hooks)
    fit(whole)
    try:
        fit(stopped, path=path)
    except Stopped:
        fit(resumed, path=path, resume=True)
    assert are_equal(whole, resumed)
    assert isinstance(resumed.module, GraphModule)


def with_ranks(training, ranks: Ranks):
    object.__setattr__(training, "ranks", ranks)
    return training


def fail(ranks: Ranks, folder: Path) -> None:
    if ranks.number == ranks.size - 1:
        raise DataError("sample 7: it cannot be read")
    ranks.gathered(b"waits for the other")


def die(ranks: Ranks, folder: Path, number: int) -> None:
    if ranks.number == number:
        os.kill(os.getpid(), signal.SIGKILL)
    ranks.gathered(b"waits for the other")
    ranks.gathered(b"and again, since the first may have answered once")


ACTIONS: dict[str, Callable[[Ranks, Path], None]] = {
    "collect": collect,
    "train": train,
    "fail": fail,
    "first dies": partial(die, number=0),
    "second dies": partial(die, number=1),
}


def main() -> None:
    try:
        with reporting_errors(debug=False), joined() as ranks:
            ACTIONS[sys.argv[1]](ranks, Path(sys.argv[2]))
    except typer.Exit as ended:
        sys.exit(ended.exit_code)


if __name__ == "__main__":
    main()
