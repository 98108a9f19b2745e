"""Epochs, the best of them, and going on after a stop."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from quantlab.errors import DataError, EngineError, RunError
from quantlab.job import Job
from quantlab.qat.history import EpochRecord, History, StepRecord
from quantlab.qat.hooks import Augment, Hooks
from quantlab.qat.loop import Training, fit
from quantlab.qat.losses import Objective
from quantlab.qat.module import QuantizedModule
from quantlab.qat.samples import Cut, TrainingSamples
from quantlab.qat.settings import QatSettings
from quantlab.qat.start import Start
from quantlab.torchgraph.module import GraphModule
from tests.qat.networks import digits, training_batches

EVERYTHING: dict[str, Any] = {"epochs": 4, "learn_scales": True, "ema_decay": 0.9, "loss": "both", "batch_size": 16}


def noisy(feeds: Mapping[str, Tensor], generator: Generator) -> dict[str, Tensor]:
    """Draw from the generator and from torch's own random numbers."""
    noise = {name: torch.randn(feed.shape, generator=generator) for name, feed in feeds.items()}
    further = {name: noise[name] + torch.randn(feed.shape) for name, feed in feeds.items()}
    return {name: feed + 0.05 * further[name].to(feed.device) for name, feed in feeds.items()}


def training_of(
    job: Job, start: Start, hooks: Hooks | None = None, seed: int = 0, samples: int = 96, **settings: Any
) -> Training:
    how = QatSettings(**{"batch_size": 16, "device": "cpu", **settings})
    hooks = hooks or Hooks()
    return Training(
        module=QuantizedModule(start, learn_scales=how.learn_scales),
        teacher=GraphModule(job.model).requires_grad_(requires_grad=False),
        samples=TrainingSamples(training_batches(job, samples), Cut(how.held_out, how.batch_size, seed=seed)),
        objective=Objective(how, job.model, task_loss=hooks.task_loss),
        settings=how,
        hooks=hooks,
        seed=seed,
        threads=1,
    )


def parameters(training: Training) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in training.module.parameters_by_name.items()}


def are_equal(one: Training, other: Training) -> bool:
    ours, theirs = parameters(one), parameters(other)
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


def without_times(history: History) -> list[tuple[object, ...]]:
    return [(r.number, r.loss, r.score, r.learning_rate) for r in history.records]


def test_training_brings_a_hard_network_closer_to_its_float_model(hard_job, hard_start):
    history = fit(training_of(hard_job, hard_start, samples=400, epochs=3))
    assert [record.number for record in history.records] == [0, 1, 2, 3]
    assert history.best.score.loss < 0.5 * history.start.score.loss
    assert history.best.score.right > history.start.score.right


def test_who_watches_is_told_of_the_start_of_steps_and_of_epochs(job, start, monkeypatch):
    monkeypatch.setattr("quantlab.qat.loop._SECONDS_BETWEEN_STEPS", 0.0)
    told: list[Any] = []
    fit(training_of(job, start, Hooks(on_epoch=told.append, on_step=told.append), samples=36))
    assert [type(record).__name__ for record in told] == [
        *("EpochRecord", "StepRecord", "StepRecord", "EpochRecord", "StepRecord", "StepRecord", "EpochRecord")
    ]
    done = [record.done for record in told if isinstance(record, StepRecord)]
    assert done == sorted(done)
    assert 0 < done[0] < done[-1] < 1
    assert told[2].loss == pytest.approx(told[3].loss)  # the mean of the epoch so far is that of the epoch at its end


def test_the_module_is_left_with_the_best_epoch(hard_job, hard_start):
    training = training_of(hard_job, hard_start, epochs=3, learning_rate=0.02)
    scored: dict[int, dict[str, Tensor]] = {}
    hooks = Hooks(on_epoch=lambda record: scored.update({record.number: parameters(training)}))
    object.__setattr__(training, "hooks", hooks)
    history = fit(training)
    kept = scored[history.best.number]
    assert all(torch.equal(kept[name], p) for name, p in parameters(training).items())


def test_a_training_that_only_harms_leaves_the_start(job, start):
    training = training_of(job, start, epochs=2, learning_rate=1.0)
    before = parameters(training)
    assert not fit(training).is_improved
    assert all(torch.equal(before[name], p) for name, p in parameters(training).items())


def test_two_trainings_are_equal_bit_for_bit_and_another_seed_is_not(hard_job, hard_start):
    first, second, other = (
        training_of(hard_job, hard_start, Hooks(augment=noisy), seed, **EVERYTHING) for seed in (0, 0, 1)
    )
    torch.manual_seed(1)
    history = fit(first)
    torch.manual_seed(2)  # what others draw plays no part
    assert without_times(fit(second)) == without_times(history)
    fit(other)
    assert are_equal(first, second)
    assert not are_equal(first, other)


class Stops:
    """A hook that is killed: Ctrl-C in the middle of an epoch, or between two."""

    def __init__(self, at: int) -> None:
        self.left = at

    def augment(self, feeds: Mapping[str, Tensor], generator: Generator) -> dict[str, Tensor]:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return noisy(feeds, generator)


@pytest.mark.parametrize("batches", [7, 12, 13])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_training_that_was_stopped_goes_on_bit_for_bit(hard_job, hard_start, tmp_path, batches, optimizer):
    settings = {**EVERYTHING, "optimizer": optimizer}
    whole = training_of(hard_job, hard_start, Hooks(augment=noisy), **settings)
    expected = fit(whole)
    stopped = training_of(hard_job, hard_start, Hooks(augment=Stops(batches).augment), **settings)
    path = tmp_path / "checkpoint"
    with pytest.raises(KeyboardInterrupt):
        fit(stopped, "same", path)
    assert path.exists()
    seen: list[EpochRecord] = []
    resumed = training_of(hard_job, hard_start, Hooks(augment=noisy, on_epoch=seen.append), **settings)
    history = fit(resumed, "same", path, resume=True)
    assert len(seen) < settings["epochs"]  # the epochs done were not repeated
    assert without_times(history) == without_times(expected)
    assert are_equal(resumed, whole)


def test_resuming_a_finished_training_trains_no_more(hard_job, hard_start, tmp_path):
    path = tmp_path / "checkpoint"
    first = training_of(hard_job, hard_start, epochs=2)
    fit(first, "same", path)
    second = training_of(hard_job, hard_start, Hooks(augment=Stops(0).augment), epochs=2)
    fit(second, "same", path, resume=True)
    assert are_equal(first, second)


def test_the_checkpoint_of_another_training_is_refused(job, start, tmp_path):
    path = tmp_path / "checkpoint"
    fit(training_of(job, start, epochs=1), "one", path)
    with pytest.raises(RunError, match="of another training"):
        fit(training_of(job, start, epochs=1), "other", path, resume=True)


def test_without_a_checkpoint_resuming_begins(job, start, tmp_path: Path):
    history = fit(training_of(job, start, epochs=1), "one", tmp_path / "none", resume=True)
    assert len(history.records) == 2


def test_a_loss_that_is_not_finite_stops_the_training_with_what_to_do(job, start):
    hooks = Hooks(augment=lambda feeds, generator: {name: feed * math.nan for name, feed in feeds.items()})
    with pytest.raises(EngineError, match=r"the loss is nan in epoch 1; lower the learning rate \(0.001\)"):
        fit(training_of(job, start, hooks))


def test_a_users_loss_is_what_is_trained(job, start):
    def nothing_but_zero(outputs: Mapping[str, Tensor], labels: Tensor) -> Tensor:
        return outputs["scores"].square().mean()

    hooks = Hooks(task_loss=nothing_but_zero)
    history = fit(training_of(job, start, hooks, loss="task", epochs=2, learning_rate=0.05))
    assert history.records[-1].score.loss < history.start.score.loss


def test_features_are_taught_too(hard_job, hard_start):
    training = training_of(hard_job, hard_start, features=("hidden2",), feature_weight=100.0)
    plain = training_of(hard_job, hard_start)
    feeds = {"image": torch.from_numpy(digits("train")[0][:8])}
    fit(training)
    fit(plain)
    with torch.no_grad():
        wanted = training.teacher.run(feeds, ("hidden2",))["hidden2"]
        found = [t.module.run(feeds, ("hidden2",))["hidden2"] for t in (training, plain)]
        errors = [float((hidden - wanted).square().mean()) for hidden in found]
    assert errors[0] < errors[1]


def test_a_feature_that_is_nowhere_is_named(job, start):
    with pytest.raises(Exception, match="'nowhere'"):
        fit(training_of(job, start, features=("nowhere",)))


def test_labels_outside_the_classes_are_refused(job, start, monkeypatch):
    training = training_of(job, start)
    for batch in training.samples.held_out():
        assert batch.labels is not None
        batch.labels[:] = 11
    with pytest.raises(DataError, match=r"outside 0\.\.9"):
        fit(training)


def test_settings_of_torch_are_as_they_were(job, start):
    before = torch.are_deterministic_algorithms_enabled(), torch.get_rng_state()
    fit(training_of(job, start, Hooks(augment=noisy), epochs=1))
    assert torch.are_deterministic_algorithms_enabled() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])


@pytest.mark.gpu
def test_training_on_cuda_resumes_within_a_tolerance_and_agrees_with_the_cpu(hard_job, hard_start, tmp_path):
    def on(device: str, augment: Augment = noisy) -> Training:
        training = training_of(hard_job, hard_start, Hooks(augment=augment), epochs=3, learn_scales=True)
        object.__setattr__(training, "device", torch.device(device))
        training.module.to(device)
        training.teacher.to(device)
        return training

    cpu, cuda, path = fit(on("cpu")), fit(on("cuda")), tmp_path / "checkpoint"
    stopped = on("cuda", Stops(8).augment)
    with pytest.raises(KeyboardInterrupt):
        fit(stopped, "same", path)
    resumed = fit(on("cuda"), "same", path, resume=True)
    assert cuda.best.score.loss == pytest.approx(cpu.best.score.loss, rel=0.2)
    assert resumed.records[-1].score.loss == pytest.approx(cuda.records[-1].score.loss, rel=1e-3)
