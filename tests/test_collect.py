import numpy as np
import pytest

from quantlab.collect import CollectSettings, collect
from quantlab.data.arrays import array_source
from quantlab.data.batch import Batches
from quantlab.engines.onnxruntime import OnnxRuntime
from quantlab.errors import CalibrationError, PlanError
from quantlab.stats.table import Statistics
from tests.models import noise, two_convs

TENSORS = ("image", "before", "hidden", "scores")
ENGINE = OnnxRuntime(threads=1)


def batches_of(images: np.ndarray, *, batch_size: int) -> Batches:
    return Batches(array_source({"image": images}, two_convs().inputs), batch_size)


def collected(images: np.ndarray, *, batch_size: int = 8, **options) -> Statistics:
    return collect(two_convs(), TENSORS, ENGINE, batches_of(images, batch_size=batch_size), **options)


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_statistics_do_not_depend_on_the_batch_size(batch_size):
    images = noise(40, 3, 8, 8) * np.geomspace(1e-3, 1e3, 40, dtype=np.float32)[:, None, None, None]
    assert collected(images, batch_size=batch_size).same_as(collected(images, batch_size=3))


def test_statistics_do_not_depend_on_the_order_of_samples():
    images = noise(20, 3, 8, 8)
    shuffled = images[np.random.default_rng(1).permutation(20)]
    assert collected(images).same_as(collected(shuffled))


def test_workers_that_share_the_samples_merge_to_the_same_statistics():
    images = noise(20, 3, 8, 8)
    parts = [collected(part) for part in np.array_split(images, 3)]
    merged = parts[2].merge(parts[0]).merge(parts[1])
    assert merged.same_as(collected(images))


def test_statistics_do_not_depend_on_the_memory_cap():
    images = noise(9, 3, 8, 8)
    assert collected(images, settings=CollectSettings(memory_cap_bytes=2000)).same_as(collected(images))


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_statistics_do_not_depend_on_how_many_threads_count(threads):
    images = noise(9, 3, 8, 8)
    assert collected(images, settings=CollectSettings(threads=threads)).same_as(collected(images))


def test_resuming_counts_only_the_samples_that_are_missing():
    images = noise(20, 3, 8, 8)
    first = collected(images[:7])
    assert collected(images, resume=first).same_as(collected(images))


def test_resuming_with_statistics_of_other_tensors_is_refused():
    images = noise(4, 3, 8, 8)
    other = collect(two_convs(), ("image",), ENGINE, batches_of(images, batch_size=2))
    with pytest.raises(PlanError, match="other tensors"):
        collected(images, resume=other)


def test_progress_tells_every_sample_once():
    seen: list[int] = []
    collected(noise(20, 3, 8, 8), batch_size=7, settings=CollectSettings(on_progress=seen.append))
    assert seen == [7, 7, 6]


def test_no_samples_is_an_error():
    with pytest.raises(CalibrationError, match="not a single sample"):
        collect(two_convs(), TENSORS, ENGINE, batches_of(noise(4, 3, 8, 8), batch_size=2).beyond(4))


def test_an_unknown_tensor_is_an_error():
    with pytest.raises(PlanError, match="no tensor named 'nowhere'"):
        collect(two_convs(), ("nowhere",), ENGINE, batches_of(noise(4, 3, 8, 8), batch_size=2))


def test_a_value_that_is_not_finite_names_tensor_and_samples():
    images = noise(6, 3, 8, 8)
    images[4] = 3e38  # finite itself, but the convolution overflows
    with pytest.raises(CalibrationError, match=r"'before'.*samples 3\.\.5"):
        collected(images, batch_size=3)
