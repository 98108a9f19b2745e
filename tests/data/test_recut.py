from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantlab.data.batch import Batch
from quantlab.data.recut import gather, window
from quantlab.errors import DataError


def portions(sizes: list[int], widths: list[int] | None = None) -> list[Batch]:
    result, first = [], 0
    for number, size in enumerate(sizes):
        width = widths[number] if widths else 1
        values = np.arange(first, first + size)
        result.append(Batch({"x": np.repeat(values[:, None], width, axis=1)}, values, first))
        first += size
    return result


@given(
    sizes=st.lists(st.integers(0, 7), max_size=8),
    batch_size=st.integers(1, 9),
    start=st.integers(0, 12),
    length=st.one_of(st.none(), st.integers(0, 30)),
)
def test_any_portions_become_full_batches_in_order(sizes, batch_size, start, length):
    stop = None if length is None else start + length
    batches = list(gather(window(portions(sizes), start, stop), batch_size))
    expected = list(range(sum(sizes)))[start:stop]
    assert [int(v) for b in batches for v in b.feeds["x"][:, 0]] == expected
    assert [int(v) for b in batches if b.labels is not None for v in b.labels] == expected
    assert [b.first for b in batches] == expected[::batch_size]
    assert all(b.size == batch_size for b in batches[:-1])


def test_consecutive_samples_of_equal_shape_share_a_batch():
    batches = list(gather(portions([2, 1, 3], widths=[5, 5, 6]), 8))
    assert [(b.first, b.feeds["x"].shape) for b in batches] == [(0, (3, 5)), (3, (3, 6))]


def test_nothing_is_read_beyond_the_last_sample():
    def endless():
        yield from portions([4, 4])
        raise AssertionError("read too far")

    assert sum(b.size for b in gather(window(endless(), 0, 8), 3)) == 8
    assert list(window(endless(), 3, 3)) == []


def test_a_batch_that_is_a_whole_portion_is_not_copied():
    (portion,) = portions([4])
    assert next(gather([portion], 4)) is portion


def test_labels_for_some_samples_only_are_refused():
    one, other = portions([2, 2])
    with pytest.raises(DataError, match="samples from 2 on have no labels"):
        list(gather([one, Batch(other.feeds, None, 2)], 8))


def test_labels_of_any_shape_go_with_their_samples_and_other_shapes_get_batches_of_their_own():
    feeds, maps = np.arange(6)[:, None], np.arange(6 * 4).reshape(6, 2, 2)
    whole = [Batch({"x": feeds[i : i + 3]}, None, i, maps[i : i + 3]) for i in (0, 3)]
    for batch in gather(window(whole, 1, 6), 2):
        first = batch.first
        np.testing.assert_array_equal(batch.truth, maps[first : first + batch.size])
    larger = Batch({"x": feeds[:1]}, None, 6, np.zeros((1, 3, 3)))
    assert [batch.size for batch in gather([*whole, larger], 8)] == [6, 1]
    with pytest.raises(DataError, match="from 6 on have no labels"):
        list(gather([*whole, Batch({"x": feeds[:1]}, None, 6)], 8))


def test_a_batch_size_below_one_is_refused():
    with pytest.raises(DataError, match="batch size 0"):
        list(gather(portions([1]), 0))
