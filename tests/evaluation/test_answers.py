"""What an output says is told by its shape."""

from __future__ import annotations

import numpy as np
import pytest

from quantlab.errors import EngineError
from quantlab.evaluation.answers import answers_of, check_numbers, output_name, right_answers
from tests.engines.models import chain, model_from_text

LOGITS = np.array([[0.1, 0.9, 0.0], [2.0, 1.0, 0.0]], np.float32)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (LOGITS, [1, 0]),
        (LOGITS[:, :, None, None], [1, 0]),
        (LOGITS[None], [[1, 0]]),
        (LOGITS.T[None, :, :, None].repeat(2, axis=3), [[[1, 1], [0, 0]]]),
        (np.array([4, 2]), [4, 2]),
        (np.array([[4], [2]]), [4, 2]),
        (np.array([[[4, 2]]], np.uint8), [[[4, 2]]]),
    ],
    ids=["logits", "pooled logits", "tokens", "pixels", "classes", "column of classes", "map of classes"],
)
def test_answers_are_found_by_shape(output: np.ndarray, expected: list[object]):
    answers = answers_of(output)
    assert answers is not None
    assert answers.tolist() == expected


@pytest.mark.parametrize("output", [LOGITS[:, 0], LOGITS[:, :1], np.float32(1.0)], ids=["numbers", "column", "scalar"])
def test_numbers_hold_no_answers(output: np.ndarray):
    assert answers_of(np.asarray(output)) is None


def test_a_regression_holds_no_answers_whatever_its_shape():
    assert answers_of(LOGITS, "regression") is None
    assert right_answers(LOGITS, np.array([1, 0]), 1, "regression") is None


def test_labels_are_compared_with_answers_per_sample():
    labels = np.array([1, 1])
    for output in (LOGITS, LOGITS[:, :, None, None], np.array([1, 0]), np.array([[1], [0]])):
        right = right_answers(output, labels, 1)
        assert right is not None
        assert right.tolist() == [True, False]


def test_labels_say_nothing_about_positions_and_numbers():
    labels = np.array([1, 1])
    for output in (LOGITS[:, None].repeat(2, axis=1), LOGITS[:, :1], np.ones((2, 3, 4, 4), np.float32)):
        assert right_answers(output, labels, 1) is None


def test_classes_as_integers_know_no_second_place():
    assert right_answers(np.array([1, 0]), np.array([1, 0]), 5) is None


def test_nan_names_model_output_and_sample():
    output = LOGITS.copy()
    output[1, 2] = np.nan
    with pytest.raises(EngineError, match=r"int8: output 'logits' is NaN for sample 41"):
        check_numbers(output, "int8", "logits", 40)
    check_numbers(np.array([[-np.inf, 1.0]]), "int8", "logits", 0)


def test_the_output_is_found_by_name_or_by_place():
    other = model_from_text("other (float[N] x) => (float[N] first, float[N] y) { first = Abs(x) y = Neg(x) }")
    assert output_name(other, other, None) == "first"
    assert output_name(other, chain(), None) == "y"
    assert output_name(chain(), other, None) == "y"
    assert output_name(other, chain(), "first") == "first"
    with pytest.raises(EngineError, match="no output 'first'; it has y"):
        output_name(chain(), other, "first")


def test_a_model_without_outputs_cannot_be_judged():
    empty = chain()
    empty.graph.outputs.clear()
    with pytest.raises(EngineError, match="no outputs"):
        output_name(empty, empty, None)
