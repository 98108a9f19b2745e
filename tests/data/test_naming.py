from __future__ import annotations

from collections import UserDict
from typing import Any

import numpy as np
import pytest

from quantlab.data.batch import InputSpec
from quantlab.data.naming import as_array, name_arrays, name_keys
from quantlab.errors import DataError

from .specs import IMAGE, MASK, TOKENS

X, Y = np.ones((2, 3)), np.array([0, 1])


@pytest.mark.parametrize("label_key", ["y", "label", "labels"])
def test_label_keys_are_the_labels(label_key):
    naming = name_keys(["input", label_key], [IMAGE], where="f")
    assert (naming.keys, naming.label_key, naming.left_out) == ({"input": "input"}, label_key, ())


def test_a_single_other_array_is_the_only_input():
    assert name_keys(["x", "y"], [IMAGE], where="f").keys == {"input": "x"}


def test_a_label_key_that_is_an_input_of_the_model_is_that_input():
    spec = InputSpec("y", np.dtype(np.float32), ("N",))
    assert name_keys(["y"], [spec], where="f").label_key is None


def test_further_keys_are_left_out_with_a_note():
    naming = name_keys(["attention_mask", "input_ids", "token_type_ids"], [TOKENS, MASK], where="f")
    assert naming.notes == ("Not an input of the model, hence left out: token_type_ids.",)


def test_an_array_that_feeds_an_input_of_another_name_is_noted():
    naming = name_keys(["images", "y"], [IMAGE], where="x.npz")
    assert naming.notes == ("The array 'images' feeds the input 'input'.",)


@pytest.mark.parametrize("keys", [["a", "b"], ["y"], [], ["arr_0", "arr_1"]])
def test_keys_that_do_not_name_the_input_are_refused(keys):
    with pytest.raises(DataError, match=r"f.npz: no array for input input; its keys are .*float32\[N, 1, 4, 4\]"):
        name_keys(keys, [IMAGE], where="f.npz")


def test_one_array_does_not_feed_two_inputs():
    with pytest.raises(DataError, match="no array for input attention_mask"):
        name_keys(["input_ids", "labels"], [TOKENS, MASK], where="f")


def test_two_label_keys_are_ambiguous():
    with pytest.raises(DataError, match="y and labels could both be the labels"):
        name_keys(["x", "y", "labels"], [IMAGE], where="f")


ITEMS: list[Any] = [
    (X, Y),
    [X, Y],
    {"input": X, "labels": Y},
    UserDict({"x": X, "y": Y}),
    ((X,), Y),
    ({"input": X}, Y),
]


@pytest.mark.parametrize("item", ITEMS)
def test_inputs_and_labels_are_told_apart_in_every_form(item):
    named = name_arrays(item, [IMAGE], where="batch 0")
    assert named.feeds["input"] is X
    assert named.labels is Y


def test_an_array_alone_is_the_input():
    assert name_arrays(X, [IMAGE], where="a").labels is None


def test_a_tuple_of_as_many_arrays_as_inputs_has_no_labels():
    named = name_arrays((X, Y), [TOKENS, MASK], where="a")
    assert named.feeds == {"input_ids": X, "attention_mask": Y}
    assert named.labels is None


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ((X, Y, Y), "is a tuple of 3; the model needs its 1 inputs"),
        ((), "is a tuple of 0"),
        (({"x": X, "y": Y}, Y), "labels twice"),
        (("text", Y), "is a str; give an array or a tensor"),
        (None, "is a NoneType"),
        ({"x": "text"}, "key 'x': is a str"),
    ],
)
def test_what_is_no_sample_is_refused(item, message):
    with pytest.raises(DataError, match=message):
        name_arrays(item, [IMAGE], where="batch 0")


def test_a_tensor_becomes_an_array_without_importing_its_library():
    class Tensor:
        def numpy(self) -> Any:
            return X

    class OnDevice:
        def detach(self) -> Any:
            return self

        def cpu(self) -> Any:
            return Tensor()

    assert as_array(Tensor(), where="a") is X
    assert as_array(OnDevice(), where="a") is X
    assert as_array(3, where="a").shape == ()


def test_a_tensor_that_refuses_to_become_an_array_says_why():
    class Tensor:
        def numpy(self) -> Any:
            raise TypeError("unsupported ScalarType BFloat16")

    with pytest.raises(DataError, match=r"a: this Tensor does not become a numpy array: .*BFloat16"):
        as_array(Tensor(), where="a")
