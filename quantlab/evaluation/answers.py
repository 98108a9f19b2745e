"""Turns a model's output into answers: which class each sample, pixel or token belongs to.

What an output holds is told by its shape:

    [n, classes], [n, classes, 1, 1]    one answer per sample, argmax over classes
    [n, tokens, classes]                one per token, argmax over the last axis
    [n, classes, ...space], rank ≥ 4    one per pixel, argmax over axis 1
    integers                            the answers themselves
    [n], [n, 1], or task `regression`   no answers: only numbers to compare
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from quantlab.data.batch import Array
from quantlab.errors import EngineError
from quantlab.evaluation.accuracy import Bits, is_correct
from quantlab.graph.model import Model

Task = Literal["auto", "regression"]

NO_ANSWER = -1
"""Stands among answers for that of a sample whose output is NaN; it is the answer of no class."""


def answers_of(output: Array, task: Task = "auto") -> npt.NDArray[np.integer[Any]] | None:
    """Return the answers [n] or [n, ...positions] in an output, or None where it holds none."""
    if task == "regression" or output.ndim == 0:
        return None
    if np.issubdtype(output.dtype, np.integer):
        return output.reshape(output.shape[0]) if output.size == output.shape[0] else output
    squeezed = _without_trailing_ones(output)
    if squeezed.ndim < 2 or (squeezed.ndim == 2 and squeezed.shape[1] == 1):
        return None
    found: npt.NDArray[np.integer[Any]] = squeezed.argmax(axis=-1 if squeezed.ndim <= 3 else 1)
    return found


def right_answers(output: Array, labels: npt.NDArray[np.int64], top_k: int, task: Task = "auto") -> Bits | None:
    """Return for each sample whether its label is among the `top_k` first, or None where samples have no one answer.

    Args:
        output: as in the table of this module.
        labels: [samples], class numbers.
        top_k: at least 1; an output of integers holds only the first.
        task: `regression` says that the output holds numbers, whatever its shape.

    Raises:
        DataError: a label is outside the classes.
    """
    if task == "regression":
        return None
    if np.issubdtype(output.dtype, np.integer):
        answers = answers_of(output)
        return None if answers is None or answers.ndim > 1 or top_k > 1 else np.asarray(answers == labels)
    squeezed = _without_trailing_ones(output)
    if squeezed.ndim != 2 or squeezed.shape[1] == 1:
        return None
    return is_correct(squeezed, labels, top_k)


def output_name(model: Model, reference: Model, wanted: str | None) -> str:
    """Return which output of a model is judged: the one wanted, else the reference's first, by name or by place.

    Raises:
        EngineError: the model has no output of the wanted name, or none at all.
    """
    if not model.outputs:
        raise EngineError(f"{model.name}: the model has no outputs, so there is nothing to judge")
    if wanted is not None:
        if wanted not in model.outputs:
            raise EngineError(f"{model.name}: no output {wanted!r}; it has {', '.join(model.outputs)}")
        return wanted
    first = reference.outputs[0]
    return first if first in model.outputs else model.outputs[0]


def check_numbers(output: Array, model_name: str, output_name: str, first_sample: int) -> None:
    """Check that an output can be judged.

    Raises:
        EngineError: a number is NaN.
    """
    rows = are_nan(output)
    if rows.any():
        raise EngineError(
            f"{model_name}: output {output_name!r} is NaN for sample {first_sample + int(np.flatnonzero(rows)[0])}; "
            "check the model's inputs and its weights"
        )


def are_nan(output: Array) -> Bits:
    """Return for each sample, bool [n], whether any number of its output is NaN."""
    rows = output.shape[0] if output.ndim else 1
    if not np.issubdtype(output.dtype, np.floating):
        return np.zeros(rows, np.bool_)
    return np.asarray(np.isnan(output).reshape(rows, -1).any(axis=1))


def _without_trailing_ones(output: Array) -> Array:
    """Return [n, classes] where only axes of length 1 follow, as after global pooling; else the output itself."""
    if output.ndim > 2 and all(length == 1 for length in output.shape[2:]):
        return output.reshape(output.shape[:2])
    return output
