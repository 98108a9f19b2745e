from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from quantlab.data.arrays import array_source
from quantlab.data.batch import Batches
from quantlab.data.iterable import Calls, iterable_source
from quantlab.errors import DataError

from .specs import FREE, IMAGE, MASK, TOKENS

SAMPLES = np.arange(7 * 16, dtype=np.float32).reshape(7, 1, 4, 4)
LABELS = np.arange(7)
PORTIONS = [(0, 3), (3, 4), (4, 7)]


class Numbered:
    """A torch Dataset in all but name: a length and numbered items, and no end of its own."""

    def __len__(self) -> int:
        return 7

    def __getitem__(self, number: int) -> Any:
        return SAMPLES[number % 7], int(LABELS[number % 7])


def tuples() -> list[Any]:
    return [(SAMPLES[a:b], LABELS[a:b]) for a, b in PORTIONS]


ITEMS: dict[str, Any] = {
    "tuples": tuples(),
    "lists": [list(item) for item in tuples()],
    "dictionaries": [{"input": x, "labels": y} for x, y in tuples()],
    "single samples": list(zip(SAMPLES, LABELS, strict=True)),
    "a dataset": Numbered(),
    "a generator function": Calls(lambda: (item for item in tuples())),
    "our own batches": Batches(array_source((SAMPLES, LABELS), [IMAGE]), 2),
}


@pytest.mark.parametrize("batch_size", [1, 2, 5, 10])
@pytest.mark.parametrize("items", ITEMS.values(), ids=ITEMS)
def test_every_form_is_cut_anew_in_order_pass_after_pass(items, batch_size):
    batches = Batches(iterable_source(items, [IMAGE]), batch_size)
    for _ in range(2):
        read = list(batches)
        np.testing.assert_array_equal(np.concatenate([b.feeds["input"] for b in read]), SAMPLES)
        assert [v for b in read if b.labels is not None for v in b.labels] == LABELS.tolist()
        assert [b.first for b in read] == list(range(0, 7, batch_size))


@pytest.mark.parametrize("items", ITEMS.values(), ids=ITEMS)
def test_a_part_is_read_from_its_start(items):
    read = list(Batches(iterable_source(items, [IMAGE]), 2, start=2, stop=5))
    assert [(b.first, b.size) for b in read] == [(2, 2), (4, 1)]
    np.testing.assert_array_equal(np.concatenate([b.feeds["input"] for b in read]), SAMPLES[2:5])


def test_the_size_is_known_where_it_costs_nothing():
    assert iterable_source(tuples(), [IMAGE]).size == 7
    assert iterable_source(Numbered(), [IMAGE]).size == 7
    assert iterable_source(ITEMS["a generator function"], [IMAGE]).size is None


def test_arrays_without_labels_give_batches_without_labels():
    batch = next(iterable_source([SAMPLES[:2], SAMPLES[2:]], [IMAGE]).read(0, None, 7))
    assert batch.labels is None


def test_several_inputs_go_by_position_or_by_name():
    ids, mask = np.ones((2, 5), np.int64), np.zeros((2, 5), np.int64)
    by_name = {"attention_mask": mask, "input_ids": ids}
    for item in ((ids, mask), by_name, [ids, mask]):
        batch = next(iterable_source([item], [TOKENS, MASK]).read(0, None, 2))
        assert batch.feeds["input_ids"].all()
        assert not batch.feeds["attention_mask"].any()
        assert batch.labels is None


def test_keys_left_out_are_noted():
    ids = np.ones((2, 5), np.int64)
    source = iterable_source([{"input_ids": ids, "token_type_ids": ids}], [TOKENS])
    assert source.notes == ("Not an input of the model, hence left out: token_type_ids.",)


def test_samples_of_other_height_and_width_get_batches_of_their_own():
    shapes = [(3, 4, 4), (3, 4, 4), (3, 4, 6), (3, 4, 4)]
    source = iterable_source([np.zeros(shape, np.float32) for shape in shapes], [FREE])
    assert [(b.first, b.feeds["input"].shape) for b in source.read(0, None, 8)] == [
        (0, (2, 3, 4, 4)),
        (2, (1, 3, 4, 6)),
        (3, (1, 3, 4, 4)),
    ]


def test_no_more_items_are_asked_for_than_needed():
    asked: list[int] = []

    class Counting:
        def __iter__(self) -> Iterator[Any]:
            for number, item in enumerate(tuples()):
                asked.append(number)
                yield item

    source = iterable_source(Counting(), [IMAGE])
    asked.clear()
    assert sum(b.size for b in source.read(0, 4, 2)) == 4
    assert asked == [0, 1]


@pytest.mark.parametrize("make", [iter, lambda items: (item for item in items), lambda items: map(list, items)])
def test_what_can_be_read_once_is_refused_with_what_to_give_instead(make):
    with pytest.raises(DataError, match=r"can be read only once.*give a list, a DataLoader, or a function"):
        iterable_source(make(tuples()), [IMAGE])


def test_an_object_that_keeps_one_iterator_is_found_out():
    class Kept:
        def __init__(self) -> None:
            self.iterator = iter(tuples()[:1])

        def __iter__(self) -> Iterator[Any]:
            return self.iterator

    with pytest.raises(DataError, match="empty when it is iterated a second time"):
        iterable_source(Kept(), [IMAGE])


def test_an_order_that_changes_is_refused():
    rng = np.random.default_rng(0)
    shuffled = Calls(lambda: (SAMPLES[rng.permutation(7)] for _ in range(2)))
    with pytest.raises(DataError, match="other samples each time"):
        iterable_source(shuffled, [IMAGE])


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([], "holds no samples"),
        ([SAMPLES[:0], SAMPLES[:0]], "holds only empty batches"),
        (3, "an object of type int cannot be iterated"),
        (["text"], "is a str; give an array"),
        ([(SAMPLES, LABELS[:3])], "different numbers of samples: input 7, labels 3"),
        ([(SAMPLES, LABELS, LABELS)], "is a tuple of 3"),
        ([SAMPLES.transpose(0, 2, 3, 1)[:, :2]], "the model needs input"),
        ([np.full((1, 1, 4, 4), np.nan)], "sample 0 holds NaN"),
        ([{"a": SAMPLES, "b": SAMPLES}], "no array for input input"),
    ],
)
def test_items_that_do_not_fit_are_refused_when_opened(items, message):
    with pytest.raises(DataError, match=message):
        iterable_source(items, [IMAGE])


def test_a_later_sample_that_does_not_fit_is_named_by_its_number():
    spoiled = SAMPLES.copy()
    spoiled[5] = np.inf
    source = iterable_source([spoiled[:3], spoiled[3:]], [IMAGE])
    with pytest.raises(DataError, match="sample 5 holds infinity"):
        list(source.read(0, None, 2))


def test_what_the_users_code_raises_names_the_item():
    def broken() -> Iterator[Any]:
        yield SAMPLES
        raise KeyError("colour")

    source = iterable_source(Calls(broken), [IMAGE], name="mine")
    with pytest.raises(DataError, match="mine, item 1: reading it raised KeyError: 'colour'"):
        list(source.read(0, None, 2))


@pytest.mark.torch
def test_a_torch_data_loader_is_read_without_gradients_or_devices_in_the_way():
    torch = pytest.importorskip("torch")
    samples = torch.from_numpy(SAMPLES).requires_grad_()
    dataset = torch.utils.data.TensorDataset(samples.detach(), torch.from_numpy(LABELS))
    loader = torch.utils.data.DataLoader(dataset, batch_size=3)
    read = list(iterable_source(loader, [IMAGE]).read(0, None, 4))
    assert [b.size for b in read] == [4, 3]
    np.testing.assert_array_equal(np.concatenate([b.feeds["input"] for b in read]), SAMPLES)
    assert iterable_source(dataset, [IMAGE]).size == 7
    assert iterable_source([samples], [IMAGE]).size == 7


@pytest.mark.torch
def test_a_torch_data_loader_that_shuffles_is_refused():
    torch = pytest.importorskip("torch")
    dataset = torch.utils.data.TensorDataset(torch.arange(64 * 16.0).reshape(64, 1, 4, 4))
    loader = torch.utils.data.DataLoader(dataset, batch_size=32, shuffle=True)
    with pytest.raises(DataError, match="shuffle=False"):
        iterable_source(loader, [IMAGE])
    gc.collect()
