"""Turns arrays as people have them into arrays a model takes: right dtype, shape and finite values, or a clear refusal.

Nothing here guesses: a cast is made only where no value can change its meaning (float to float, or a cast that gives
every value back), and an axis is never moved.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from quantlab.data.batch import Array, InputSpec
from quantlab.errors import DataError

Labels = Literal["classes", "any"]
"""What labels may be: class numbers only, or any numbers."""


def conform(array: Array, spec: InputSpec, *, where: str, first: int = 0) -> Array:
    """Return samples in the dtype of a model's input, after checking shape and values.

    Args:
        array: [samples, ...].
        spec: the input it is for; the number of samples (axis 0) is not compared.
        where: what messages call the array, such as `train.npz, key 'x'`.
        first: the number of the first sample, for messages.

    Raises:
        DataError: the shape does not fit, a value would change in the cast, or a sample holds NaN or infinity.
    """
    check_shape(array.shape, spec, where=where)
    check_kind(array.dtype, spec, where=where)
    # A memory map is read once here; everything later works on memory.
    values = np.array(array) if isinstance(array, np.memmap) else array
    if values.dtype != spec.dtype:
        values = _cast(values, spec, where=where, first=first)
    _check_finite(values, where=where, first=first)
    return np.ascontiguousarray(values)


def check_shape(shape: tuple[int, ...], spec: InputSpec, *, where: str) -> None:
    """Check a shape, batch axis included, against a model's input.

    Raises:
        DataError: rank or a fixed axis differs; the message proposes the likely repair.
    """
    if not shape:
        raise DataError(f"{where}: is a single number; the model needs {spec}, samples along the first axis")
    if spec.shape is None or fits(shape[1:], spec.shape[1:]):
        return
    raise DataError(f"{where}: has shape {list(shape)}, the model needs {spec}{_repair(shape, spec.shape)}")


def check_kind(dtype: np.dtype[np.generic], spec: InputSpec, *, where: str) -> None:
    """Check that values of a dtype are numbers at all.

    Raises:
        DataError: they are text, objects, complex or records.
    """
    if dtype != spec.dtype and dtype.kind not in "biuf" and dtype.name != "bfloat16":
        raise DataError(f"{where}: values of type {dtype} cannot be fed; the model needs {spec}, so save plain numbers")


def fits(shape: tuple[int, ...], wanted: tuple[int | str | None, ...]) -> bool:
    """Return whether a shape has the wanted rank and every axis that is fixed."""
    return len(shape) == len(wanted) and all(
        not isinstance(need, int) or need == have for have, need in zip(shape, wanted, strict=True)
    )


def labels_from(array: Array, *, where: str, first: int = 0) -> npt.NDArray[np.int64]:
    """Return class numbers as int64 [samples].

    Args:
        array: whole numbers of any type, [samples] or [samples, 1].
        where: what messages call the array.
        first: the number of the first sample, for messages.

    Raises:
        DataError: they are not one non-negative whole number per sample.
    """
    flat = array.reshape(-1) if array.ndim == 2 and array.shape[1] == 1 else array
    if flat.ndim != 1 or flat.dtype.kind not in "biuf":
        hint = "; of one-hot rows take argmax(axis=1)" if array.ndim == 2 else ""
        raise DataError(
            f"{where}: labels are one class number per sample, these are {array.dtype}{list(array.shape)}{hint}; "
            "leave them out to work without accuracy, or train on them with a loss of your own (qat --task-loss)"
        )
    with np.errstate(invalid="ignore"):  # NaN becomes some integer, which the comparison then refuses
        labels = flat.astype(np.int64)
    wrong = np.flatnonzero((labels != flat) | (labels < 0))
    if wrong.size:
        at = int(wrong[0])
        raise DataError(f"{where}: the label of sample {first + at} is {flat[at]}; labels count the classes from 0")
    return labels


def truth_from(array: Array, *, where: str) -> Array | None:
    """Return labels that are no class numbers as they are, or None for a whole number per sample: see `labels_from`.

    Args:
        array: [samples, ...].
        where: what messages call the array.

    Raises:
        DataError: they are no numbers.
    """
    if array.dtype.kind not in "biuf" and array.dtype.name != "bfloat16":
        raise DataError(f"{where}: values of type {array.dtype} are no numbers; a loss is computed from numbers")
    is_class = array.ndim == 0 or (array.ndim == 1 and array.dtype.kind in "iu")
    return None if is_class else array


def _cast(values: Array, spec: InputSpec, *, where: str, first: int) -> Array:
    # An overflow to infinity, or NaN turned into an integer, is caught below, with the sample's number.
    with np.errstate(over="ignore", invalid="ignore"):
        cast = values.astype(spec.dtype)
        if _is_float(values.dtype) and _is_float(spec.dtype):
            return cast
        same = cast.astype(values.dtype) == values
    if not same.all():
        at = np.argwhere(~same)[0]
        raise DataError(
            f"{where}: sample {first + int(at[0])} holds {values[tuple(at)]}, which {spec.dtype} cannot hold exactly; "
            f"the model needs {spec}"
        )
    return cast


def _check_finite(values: Array, *, where: str, first: int) -> None:
    if not _is_float(values.dtype):
        return
    finite = np.isfinite(values)
    if finite.all():
        return
    bad = ~finite.reshape(len(values), -1).all(axis=1)
    at = int(np.flatnonzero(bad)[0])
    kind = "NaN" if np.isnan(values[at]).any() else "infinity"
    raise DataError(
        f"{where}: sample {first + at} holds {kind} ({int((~finite[at]).sum())} of its {finite[at].size} values; "
        f"{int(bad.sum())} such samples among {len(values)} here); leave such samples out"
    )


def _is_float(dtype: np.dtype[np.generic]) -> bool:
    # ml_dtypes registers bfloat16 as a void type.
    return dtype.kind == "f" or dtype.name == "bfloat16"


def _repair(shape: tuple[int, ...], wanted: tuple[int | str | None, ...]) -> str:
    """Return the likely repair of a shape, or an empty string."""
    if fits(shape, wanted[1:]):
        return "; this looks like one sample: add the batch axis, array[None]"
    if len(wanted) == 4 and len(shape) == 3 and fits((1, *shape[1:]), wanted[1:]):
        return "; the channel axis is missing: array[:, None]"
    if len(wanted) == 4 and len(shape) == 4:
        _, a, b, c = shape
        if fits((c, a, b), wanted[1:]):
            return "; this looks like NHWC: array.transpose(0, 3, 1, 2)"
        if fits((b, c, a), wanted[1:]):
            return "; this looks like NCHW: array.transpose(0, 2, 3, 1)"
    return ""
