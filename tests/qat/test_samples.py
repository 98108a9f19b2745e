import numpy as np
import pytest

from quantlab.data.arrays import array_source
from quantlab.data.batch import Batch, Batches, InputSpec
from quantlab.data.recut import gather
from quantlab.errors import DataError
from quantlab.qat.samples import Cut, TrainingSamples

INPUTS = (InputSpec("x", np.dtype(np.float32), ("batch", 2)),)


def numbered(size: int, start: int = 0) -> Batches:
    """Samples that hold their own number, which is their label too."""
    numbers = np.arange(size + start)
    values = np.repeat(numbers[:, None], 2, axis=1).astype(np.float32)
    return Batches(array_source((values, numbers), INPUTS), start=start)


def seen(batches) -> list[int]:
    return [int(value) for batch in batches for value in batch.feeds["x"][:, 0]]


def samples_of(size: int = 50, **how) -> TrainingSamples:
    return TrainingSamples(numbered(size), Cut(**{"held_out": 0.2, "batch_size": 8, **how}))


@pytest.mark.parametrize("cache_bytes", [2**20, 100, 1])
def test_every_sample_is_trained_on_once_or_held_out(cache_bytes):
    samples = samples_of(cache_bytes=cache_bytes)
    held_out, trained = seen(samples.held_out()), seen(samples.epoch(1))
    assert len(held_out) == samples.held_out_size == 10
    assert len(trained) == samples.trained_size == 40
    assert sorted(held_out + trained) == list(range(50))


def test_labels_stay_with_their_samples():
    for batch in samples_of().epoch(3):
        np.testing.assert_array_equal(batch.feeds["x"][:, 0], batch.labels)


@pytest.mark.parametrize("cache_bytes", [2**20, 100])
def test_the_order_depends_on_seed_and_epoch_alone(cache_bytes):
    first, again = samples_of(cache_bytes=cache_bytes), samples_of(cache_bytes=cache_bytes)
    list(first.epoch(1))  # what came before plays no part
    assert seen(first.epoch(2)) == seen(again.epoch(2))
    assert seen(again.epoch(3)) != seen(again.epoch(2))
    assert seen(samples_of(cache_bytes=cache_bytes, seed=1).epoch(2)) != seen(again.epoch(2))
    assert seen(samples_of(seed=1).held_out()) != seen(again.held_out())


def test_a_source_that_fits_is_read_once(monkeypatch):
    samples = samples_of()
    expected = seen(samples.epoch(1))
    monkeypatch.setattr(Batches, "__iter__", lambda self: pytest.fail("it was read again"))
    assert seen(samples.epoch(1)) == expected


def test_samples_may_begin_in_the_middle_of_a_source():
    samples = TrainingSamples(numbered(20, start=30), Cut(held_out=0.2, batch_size=8))
    assert sorted(seen(samples.held_out()) + seen(samples.epoch(1))) == list(range(30, 50))


def test_samples_of_other_shapes_have_batches_of_their_own():
    class Mixed:
        name, size = "mixed", 30

        def read(self, start, stop, batch_size):
            wide = [Batch({"x": np.full((1, 2 + n % 2), n, np.float32)}, None, n) for n in range(30)]
            return gather(wide[start:stop], batch_size)

    samples = TrainingSamples(Batches(Mixed()), Cut(held_out=0.1, batch_size=4))
    batches = list(samples.epoch(1))
    assert sorted(seen(batches) + seen(samples.held_out())) == list(range(30))
    assert {batch.feeds["x"].shape[1] for batch in batches} == {2, 3}


def test_a_model_of_fixed_batch_gets_full_batches_only():
    samples = samples_of(44, has_fixed_batch=True)
    assert {batch.size for batch in samples.epoch(1)} == {8}
    assert {batch.size for batch in samples.held_out()} == {8}
    with pytest.raises(DataError, match="15 samples; training needs 16"):
        samples_of(15, has_fixed_batch=True)


def test_a_source_of_unknown_size_is_counted():
    class Endless:
        name, size = "stream", None

        def read(self, start, stop, batch_size):
            return numbered(21).source.read(start, stop, batch_size)

    assert TrainingSamples(Batches(Endless()), Cut(held_out=0.2, batch_size=8)).size == 21


def test_one_sample_is_too_few():
    with pytest.raises(DataError, match="1 sample; training needs 2"):
        samples_of(1)
