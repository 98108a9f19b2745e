from __future__ import annotations

import numpy as np
import pytest

from quantlab.data.batch import InputSpec
from quantlab.data.guard import random_warning
from quantlab.data.random_source import RandomSource
from quantlab.errors import DataError

from .specs import FREE, IMAGE, MASK, TOKENS


def test_a_sample_is_the_same_for_any_batch_size_and_start():
    source = RandomSource((IMAGE, TOKENS), seed=3, size=7)
    (whole,) = source.read(0, None, 7)
    parts = list(source.read(2, 6, 3))
    assert [(b.first, b.size) for b in parts] == [(2, 3), (5, 1)]
    for name in ("input", "input_ids"):
        np.testing.assert_array_equal(np.concatenate([b.feeds[name] for b in parts]), whole.feeds[name][2:6])
    assert len({sample.tobytes() for sample in whole.feeds["input"]}) == 7


def test_another_seed_gives_other_numbers():
    one, other = (next(RandomSource((IMAGE,), seed).read(0, 1, 1)).feeds["input"] for seed in (0, 1))
    assert (one != other).any()


@pytest.mark.parametrize(
    ("dtype", "low", "high"), [("uint8", 0, 255), ("int8", -128, 127), ("int64", 0, 1), ("int32", 0, 1), ("bool", 0, 1)]
)
def test_integers_take_every_level_of_bytes_and_0_and_1_otherwise(dtype, low, high):
    spec = InputSpec("x", np.dtype(dtype), (None, 100, 100))
    values = next(RandomSource((spec,)).read(0, 1, 1)).feeds["x"]
    assert values.dtype == dtype
    assert (values.min(), values.max()) == (low, high)


def test_free_axes_become_an_image_or_a_sentence_and_the_notes_say_so():
    source = RandomSource((FREE, MASK))
    batch = next(source.read(0, 2, 2))
    assert batch.feeds["input"].shape == (2, 3, 224, 224)
    assert batch.feeds["attention_mask"].shape == (2, 128)
    assert "input [3, 224, 224]; attention_mask [128]" in source.notes[0]


def test_random_data_are_marked():
    source = RandomSource((IMAGE,))
    warning = random_warning(source)
    assert warning is not None
    assert warning.startswith("RANDOM DATA (random)")


def test_an_input_of_unknown_rank_is_refused():
    with pytest.raises(DataError, match="give data"):
        RandomSource((InputSpec("x", np.dtype(np.float32), None),))
