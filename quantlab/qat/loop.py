"""The training loop: epochs of steps, each epoch judged on held-out samples and written to disk.

Everything random is drawn from the seed, the epoch and the batch, so that a training that was stopped and resumed
gives the same bits on the CPU with the same number of threads. On CUDA sums may be added in another order: there,
expect losses that are equal to about three digits.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from quantlab.engines.torch_device import numerics
from quantlab.errors import EngineError, RunError
from quantlab.progress import Advance
from quantlab.qat.average import Average
from quantlab.qat.checkpoint import Checkpoint
from quantlab.qat.history import EpochRecord, History, Score, StepRecord
from quantlab.qat.hooks import Hooks, own_code
from quantlab.qat.judge import Judge, on_device
from quantlab.qat.losses import Objective
from quantlab.qat.module import QuantizedModule
from quantlab.qat.optimizer import Optimizer
from quantlab.qat.parts import parts
from quantlab.qat.samples import TrainingSamples
from quantlab.qat.schedule import rate_factor
from quantlab.qat.settings import QatSettings
from quantlab.qat.together import Student, student_of
from quantlab.ranks import ALONE, Ranks
from quantlab.torchgraph.module import GraphModule

# Beside the uses of the seed in `samples`.
_BATCH = 3

_SECONDS_BETWEEN_STEPS = 1.0


@dataclass(frozen=True, eq=False, slots=True)
class Training:
    """What is trained, on what, and how.

    Attributes:
        module: the Q/DQ model, on its device; training changes it.
        teacher: the float model on the same device.
        samples: what it is trained on.
        objective: the loss.
        settings: everything else.
        hooks: a user's own code.
        device: where it is computed.
        seed: decides the order of the samples and what `augment` draws.
        threads: threads on the CPU, or None for torch's own number.
        ranks: the processes that train together, each on its part of every batch.
    """

    module: QuantizedModule
    teacher: GraphModule
    samples: TrainingSamples
    objective: Objective
    settings: QatSettings
    hooks: Hooks = field(default_factory=Hooks)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    seed: int = 0
    threads: int | None = None
    ranks: Ranks = ALONE


def fit(training: Training, fingerprint: str = "", path: Path | None = None, *, resume: bool = False) -> History:
    """Train, and leave the module with the parameters of the best epoch.

    Args:
        training: what is trained, on what, and how.
        fingerprint: tells this training from others.
        path: the checkpoint to write after each epoch, or None for none.
        resume: go on from the checkpoint, if there is one.

    Returns:
        The epochs. The best may be the start itself: then the module is as it was.

    Raises:
        DataError: the loss needs labels that are missing, or a label is outside the classes.
        EngineError: the loss became NaN or infinite, or a node cannot be computed.
        RunError: the checkpoint is of another training, or cannot be read or written.
    """
    with numerics(threads=training.threads, allow_tf32=training.settings.allow_tf32), _deterministic(training.device):
        loop = _Loop(training)
        saved = Checkpoint.load(path) if path is not None and resume else None
        if saved is not None:
            loop.go_on(saved, fingerprint, path)
        else:
            loop.begin()
            training.hooks.tell(loop.records[-1])
        while loop.done < training.settings.epochs:
            loop.run_epoch()
            if path is not None and training.ranks.is_first:
                loop.checkpoint(fingerprint).save(path)
            training.hooks.tell(loop.records[-1])
        loop.keep_best()
        return History(tuple(loop.records))


class _Loop:
    """The state of a training between two epochs."""

    def __init__(self, training: Training) -> None:
        self._training = training
        self._module = training.module
        self._student: Student = student_of(training.module, training.ranks)
        self._optimizer = Optimizer(training.module, training.settings)
        self._average = Average(training.module, training.settings.ema_decay)
        features = training.settings.features
        with training.hooks.progress("reading training samples", training.samples.size) as advance:
            held_out = training.samples.held_out(advance)
        self._judge = Judge(held_out, training.objective, training.teacher, features, training.ranks)
        self._best: dict[str, Tensor] = {}
        self._told = time.monotonic()
        self.records: list[EpochRecord] = []

    @property
    def done(self) -> int:
        """How many epochs are done."""
        return len(self.records) - 1

    def begin(self) -> None:
        """Judge the start."""
        begun = time.monotonic()
        self._add(None, self._score("the start"), None, begun)

    def go_on(self, saved: Checkpoint, fingerprint: str, path: Path | None) -> None:
        """Take the state of a checkpoint."""
        if saved.fingerprint != fingerprint:
            raise RunError(
                f"{path}: this checkpoint is of another training (other settings, model or samples); repeat the "
                "command that wrote it, or start anew without --resume"
            )
        self._write(saved.of_kind("module"))
        self._optimizer.load(saved.of_kind("optimizer"))
        self._average.load(saved.updates, saved.of_kind("average"))
        self._best = {name: tensor.to(self._training.device) for name, tensor in saved.of_kind("best").items()}
        self.records = list(saved.records)
        if len({int(done) for done in self._training.ranks.gathered(str(self.done).encode())}) > 1:
            raise RunError(f"{path}: not every process finds the same checkpoint; put --out where all of them see it")

    def checkpoint(self, fingerprint: str) -> Checkpoint:
        """Return the state."""
        updates, means = self._average.state()
        kinds = {
            "module": self._module.parameters_by_name,
            "best": self._best,
            "average": means,
            "optimizer": self._optimizer.state(),
        }
        tensors = {f"{kind}.{name}": tensor for kind, named in kinds.items() for name, tensor in named.items()}
        return Checkpoint(fingerprint, tuple(self.records), updates, tensors)

    def keep_best(self) -> None:
        """Give the module the parameters of the best epoch."""
        self._write(self._best)

    def run_epoch(self) -> None:
        """Train for one epoch, and judge it."""
        training, begun = self._training, time.monotonic()
        number, epochs = self.done + 1, training.settings.epochs
        with training.hooks.progress(f"epoch {number}/{epochs}", training.samples.trained_size) as advance:
            loss = self._train(number, advance)
        self._check_finite(loss, number)
        with self._average.applied():
            score = self._score(f"epoch {number}/{epochs}")
            rate = training.settings.learning_rate * rate_factor((number - 0.5) / epochs, training.settings.warmup)
            self._add(loss, score, rate, begun)

    def _score(self, what: str) -> Score:
        with self._training.hooks.progress(f"judging {what}", self._judge.size) as advance:
            return self._judge.score(self._module, self._training.device, advance)

    def _add(self, loss: float | None, score: Score, rate: float | None, begun: float) -> None:
        seconds = time.monotonic() - begun
        self.records.append(EpochRecord(self.done + 1, self._training.settings.epochs, loss, score, rate, seconds))
        if History(tuple(self.records)).best is self.records[-1]:
            self._best = {name: p.detach().clone() for name, p in self._module.parameters_by_name.items()}

    def _train(self, number: int, advance: Advance) -> float:
        """Return the mean loss of an epoch's samples."""
        training, ranks, seen, own = self._training, self._training.ranks, 0, 0
        total = torch.zeros((), dtype=torch.float64, device=training.device)
        size = training.samples.trained_size
        is_fixed = training.samples.fixed_batch is not None
        for index, part in enumerate(parts(training.samples.epoch(number), ranks, are_whole=is_fixed)):
            done = (number - 1 + (seen + part.step_size / 2) / size) / training.settings.epochs
            # Processes draw apart from each other, and one alone as always.
            key = (training.seed, _BATCH, number, index, *((ranks.number,) if ranks.size > 1 else ()))
            with _seeded(key, training.device) as generator:
                feeds, labels = on_device(part.batch, training.device)
                if training.hooks.augment is not None:
                    with own_code("augment"):
                        feeds = dict(training.hooks.augment(feeds, generator))
                loss = self._loss(feeds, labels)
                self._optimizer.zero_grad()
                torch.autograd.backward(loss if ranks.size == 1 else loss * part.weight)
                self._optimizer.step(done)
            self._average.update()
            total += loss.detach() * part.size
            seen, own = seen + part.step_size, own + part.size
            advance(part.step_size)
            self._tell(number, total / max(1, own), done)
        return ranks.summed([float(total)])[0] / max(1, seen)

    def _tell(self, number: int, mean_loss: Tensor, done: float) -> None:
        """Say how far an epoch is, and end a training that has gone astray; seldom, since it waits for the device."""
        if time.monotonic() - self._told < _SECONDS_BETWEEN_STEPS:
            return
        settings, loss = self._training.settings, float(mean_loss)
        self._check_finite(loss, number)
        if self._training.hooks.on_step is not None:
            rate = settings.learning_rate * rate_factor(done, settings.warmup)
            self._training.hooks.on_step(StepRecord(number, settings.epochs, loss, rate, done))
        self._told = time.monotonic()

    def _check_finite(self, loss: float, number: int) -> None:
        if not math.isfinite(loss):
            raise EngineError(
                f"training: the loss is {loss} in epoch {number}; lower the learning rate "
                f"({self._training.settings.learning_rate:g}), or look for NaN in the samples"
            )

    def _loss(self, feeds: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        training, expected = self._training, dict[str, Tensor]()
        if training.settings.needs_teacher:
            with torch.no_grad():
                expected = training.teacher.run(feeds, training.settings.features)
        with torch.enable_grad():
            return training.objective(self._student(feeds, training.settings.features), expected, labels)

    @torch.no_grad()
    def _write(self, tensors: dict[str, Tensor]) -> None:
        for name, parameter in self._module.parameters_by_name.items():
            parameter.copy_(tensors[name])


@contextlib.contextmanager
def _seeded(key: tuple[int, ...], device: torch.device) -> Iterator[torch.Generator]:
    """Draw from the key's random numbers until the end of the block: torch's global ones, and a generator's."""
    seed = int(np.random.SeedSequence(key).generate_state(1, np.uint32)[0])
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield torch.Generator().manual_seed(seed)


@contextlib.contextmanager
def _deterministic(device: torch.device) -> Iterator[None]:
    """Choose algorithms that give the same bits every time, where torch has one; where not, torch warns."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    benchmark = torch.backends.cudnn.benchmark
    if device.type == "cuda":  # cuBLAS reads it when it starts; without it products are not repeatable
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    try:
        torch.use_deterministic_algorithms(mode=True, warn_only=True)
        torch.backends.cudnn.benchmark = False
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        torch.backends.cudnn.benchmark = benchmark
