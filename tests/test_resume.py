import contextlib
import json
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import numpy as np
import pytest

from quantlab.job import Inputs, Job, open_job
from quantlab.progress import Advance
from quantlab.recipe import Recipe
from quantlab.resume import collect_for
from quantlab.run_folder import RunFolder, kept_statistics
from tests.models import noise, two_convs

IMAGES = noise(24, 3, 8, 8)


class StopsOnce:
    """Batches of one sample that end in Ctrl-C the first time a sample is asked for."""

    def __init__(self, stop_at: int) -> None:
        self.stop_at = stop_at
        self.has_stopped = False

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        for number in range(16):
            if number == self.stop_at and not self.has_stopped:
                self.has_stopped = True
                raise KeyboardInterrupt
            yield {"image": IMAGES[number : number + 1]}


class Steps:
    """Remembers what was shown of each step."""

    def __init__(self) -> None:
        self.labels: list[str] = []
        self.done: list[int] = []

    @contextlib.contextmanager
    def __call__(self, label: str, total: int | None) -> Iterator[Advance]:
        self.labels.append(label)
        yield self.done.append


def job_on(data: object, **settings: Any) -> Job:
    recipe = Recipe(**{"threads": 1, "samples": 16, "batch_size": 1, "latency_batches": (), **settings})
    return open_job(recipe, Inputs(two_convs(channels=32), data, IMAGES))


def interrupted_at(stop_at: int, folder: RunFolder) -> Job:
    """Return a job whose pass over the samples was interrupted once."""
    data = StopsOnce(16)
    job = job_on(data)
    data.stop_at = stop_at
    with pytest.raises(KeyboardInterrupt):
        collect_for(job, folder=folder)
    return job


def test_an_interrupted_pass_goes_on_where_it_stopped_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("quantlab.resume._SECONDS_BETWEEN_SAVES", 0.0)
    whole = collect_for(job_on(list(StopsOnce(16))))
    assert whole.note is None
    job = interrupted_at(9, RunFolder(tmp_path))
    assert kept_statistics(tmp_path, 0)[1] == 9
    steps = Steps()
    resumed = collect_for(job, folder=RunFolder(tmp_path), progress=steps)
    assert sum(steps.done) == 16 - 9
    assert steps.labels == ["collecting statistics, going on after 9 samples"]
    assert resumed.statistics.same_as(whole.statistics)
    assert resumed.note is not None
    assert "first 9 samples were counted by an earlier run" in resumed.note


def test_a_pass_interrupted_before_its_first_save_starts_anew(tmp_path):
    job = interrupted_at(9, RunFolder(tmp_path))
    assert kept_statistics(tmp_path, 0)[1] == 0
    steps = Steps()
    assert collect_for(job, folder=RunFolder(tmp_path), progress=steps).note is None
    assert sum(steps.done) == 16


def test_what_computed_statistics_is_told_also_where_they_are_used_again_or_gone_on_with(tmp_path, monkeypatch):
    monkeypatch.setattr("quantlab.resume._SECONDS_BETWEEN_SAVES", 0.0)
    ours = f"onnxruntime {version('onnxruntime')} on cpu"
    job = interrupted_at(9, RunFolder(tmp_path / "a"))
    # The first nine samples were counted on another device.
    state = tmp_path / "a" / "unfinished" / "state.json"
    state.write_text(state.read_text().replace(ours, "onnxruntime 1 on elsewhere"))
    assert collect_for(job, folder=RunFolder(tmp_path / "a")).collected_by == ("onnxruntime 1 on elsewhere", ours)
    folder = RunFolder(tmp_path / "b")
    assert collect_for(job_on(IMAGES), folder=folder).collected_by == (ours,)
    folder.publish()
    assert collect_for(job_on(IMAGES), folder=RunFolder(tmp_path / "b")).collected_by == (ours,)
    assert collect_for(job_on(IMAGES)).collected_by == (ours,)


def test_statistics_of_a_version_that_did_not_note_what_computed_them_are_told_so(tmp_path, monkeypatch):
    monkeypatch.setattr("quantlab.resume._SECONDS_BETWEEN_SAVES", 0.0)
    job = interrupted_at(9, RunFolder(tmp_path))
    state = tmp_path / "unfinished" / "state.json"
    kept = json.loads(state.read_text())
    del kept["collected_by"]
    state.write_text(json.dumps(kept))
    resumed = collect_for(job, folder=RunFolder(tmp_path))
    assert resumed.collected_by[0] == "an engine that was not noted"
    assert len(resumed.collected_by) == 2


def test_statistics_of_the_same_samples_are_used_again_and_the_samples_not_read(tmp_path):
    folder = RunFolder(tmp_path)
    first = collect_for(job_on(IMAGES), folder=folder)
    folder.publish()
    steps = Steps()
    again = collect_for(job_on(IMAGES, calibrator="minmax"), folder=RunFolder(tmp_path), progress=steps)
    assert steps.labels == []
    assert again.statistics.same_as(first.statistics)
    assert again.note == "The statistics of 16 samples were in the folder already and are used again."


@pytest.mark.parametrize("settings", [{"samples": 8}, {"targets": ("tensorrt",)}])
def test_another_recipe_does_not_take_what_is_not_its_own(tmp_path, settings):
    folder = RunFolder(tmp_path)
    collect_for(job_on(IMAGES), folder=folder)
    folder.publish()
    found = collect_for(job_on(IMAGES, **settings), folder=RunFolder(tmp_path))
    alone = collect_for(job_on(IMAGES, **settings))
    assert found.note is None
    assert found.statistics.same_as(alone.statistics)


def test_what_another_recipe_was_interrupted_with_is_not_gone_on_with(tmp_path, monkeypatch):
    monkeypatch.setattr("quantlab.resume._SECONDS_BETWEEN_SAVES", 0.0)
    interrupted_at(9, RunFolder(tmp_path))
    found = collect_for(job_on(IMAGES), folder=RunFolder(tmp_path))
    assert found.note is None
    assert found.statistics.samples == 16
