"""Which sizes of its free axes a plan is built for: the optimization profile.

    x:1x3x224x224,8x3x224x224,32x3x224x224      smallest, usual (what kernels are chosen for), largest
    size:224x224,224x224,448x448                likewise the values of an input that is itself a shape

What the user gives comes first, then what the data show, then the defaults for a batch. An axis that nothing tells is
an error: a guess would be a plan that refuses the first real sample.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from quantlab.data.batch import InputSpec
from quantlab.errors import RecipeError

Shape = tuple[int, ...]

BATCHES = (1, 8, 32)
"""Smallest, usual and largest size of a free first axis that nothing tells."""

_SHAPE = re.compile(r"\d+(x\d+)*")
_EXAMPLE = "such as 'x:1x3x224x224,8x3x224x224,32x3x224x224' (smallest, usual, largest)"


@dataclass(frozen=True, slots=True)
class ShapeRange:
    """Between which shapes one input lies.

    Attributes:
        smallest: of every axis the smallest size.
        usual: the shape that kernels are chosen for.
        largest: of every axis the largest size.
        is_values: the three are values of the input, one axis of integers that TensorRT takes sizes from, not shapes.

    Raises:
        RecipeError: the three are not of one rank, or not in order.
    """

    smallest: Shape
    usual: Shape
    largest: Shape
    is_values: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        if not len(self.smallest) == len(self.usual) == len(self.largest):
            raise RecipeError(f"shapes {self}: they have different numbers of axes")
        if any(not low <= mid <= high for low, mid, high in zip(self.smallest, self.usual, self.largest, strict=True)):
            raise RecipeError(f"shapes {self}: on every axis smallest ≤ usual ≤ largest must hold")

    @property
    def is_fixed(self) -> bool:
        """Whether there is only one shape."""
        return self.smallest == self.largest

    def __str__(self) -> str:
        shapes = (self.usual,) if self.is_fixed else (self.smallest, self.usual, self.largest)
        text = ",".join("x".join(map(str, shape)) or "scalar" for shape in shapes)
        return f"values {text}" if self.is_values else text


def parse_shapes(texts: Iterable[str]) -> dict[str, ShapeRange]:
    """Return the ranges that users type as `NAME:MIN,USUAL,MAX` or, for one shape, `NAME:SHAPE`.

    Raises:
        RecipeError: a text is not of this form, or names an input twice.
    """
    ranges: dict[str, ShapeRange] = {}
    for text in texts:
        name, colon, listing = text.rpartition(":")  # names may hold colons themselves
        shapes = listing.split(",")
        if not colon or not name or len(shapes) not in (1, 3) or not all(map(_SHAPE.fullmatch, shapes)):
            raise RecipeError(f"--shape {text!r}: write {_EXAMPLE}, or one shape for all three")
        if name in ranges:
            raise RecipeError(f"--shape: input {name!r} is named twice; give its three shapes in one")
        sizes = [tuple(map(int, shape.split("x"))) for shape in shapes]
        ranges[name] = ShapeRange(*(sizes if len(sizes) == 3 else sizes * 3))
    return ranges


def profile_for(
    inputs: Sequence[InputSpec],
    given: Mapping[str, ShapeRange],
    seen: Mapping[str, Iterable[Shape]] | None = None,
    *,
    batches: tuple[int, int, int] = BATCHES,
) -> dict[str, ShapeRange]:
    """Return the range of every input.

    Args:
        inputs: what the model asks for.
        given: ranges that the user named, by input; of an input that can be a shape its values, see `ShapeRange`.
        seen: shapes of samples by input, batch included; they tell the free axes behind the first.
        batches: smallest, usual and largest batch where the user does not say.

    Raises:
        RecipeError: a range is for no input or does not fit it, or nothing tells the size of a free axis.
    """
    names = [spec.name for spec in inputs]
    for name in given:
        if name not in names:
            raise RecipeError(f"--shape: the model has no input {name!r}; its inputs are {', '.join(names)}")
    result = {}
    for spec in inputs:
        if spec.name in given:
            result[spec.name] = _checked(given[spec.name], spec)
        else:
            result[spec.name] = _inferred(spec, list((seen or {}).get(spec.name, ())), batches)
    return result


def worth_telling(ranges: Mapping[str, ShapeRange], inputs: Sequence[InputSpec]) -> dict[str, ShapeRange]:
    """Return of the ranges of all inputs those that the model does not tell itself: of free axes, and of values."""
    free = {spec.name for spec in inputs if spec.has_free_axis}
    return {name: shape for name, shape in ranges.items() if name in free or shape.is_values}


def _checked(wanted: ShapeRange, spec: InputSpec) -> ShapeRange:
    if spec.shape is None:
        return wanted
    if _can_be_a_shape(spec):
        return _values(wanted, spec)
    shapes = (wanted.smallest, wanted.usual, wanted.largest)
    if any(len(shape) != len(spec.shape) for shape in shapes):
        raise RecipeError(f"--shape {spec.name}:{wanted}: the model's input has {len(spec.shape)} axes: {spec}")
    for axis, size in enumerate(spec.shape):
        if isinstance(size, int) and any(shape[axis] != size for shape in shapes):
            raise RecipeError(f"--shape {spec.name}:{wanted}: axis {axis} of the model's input is fixed: {spec}")
    return wanted


def _values(wanted: ShapeRange, spec: InputSpec) -> ShapeRange:
    """Return a range as one of the values of an input, if it is not just the shape that the model fixes anyway."""
    count = math.prod(size for size in spec.shape or () if isinstance(size, int))
    if len(wanted.usual) != count:
        if wanted.is_fixed and wanted.usual == spec.shape:
            return wanted
        many = "value" if count == 1 else f"{count} values"
        raise RecipeError(f"--shape {spec.name}:{wanted}: the model fixes the shape of {spec}; give its {many}")
    return replace(wanted, is_values=True)


def _can_be_a_shape(spec: InputSpec) -> bool:
    """Whether an input is of the form that TensorRT takes sizes from; the graph decides whether it does."""
    return np.issubdtype(spec.dtype, np.integer) and not spec.has_free_axis and len(spec.shape or ()) <= 1


def _inferred(spec: InputSpec, seen: Sequence[Shape], batches: tuple[int, int, int]) -> ShapeRange:
    if spec.shape is None:
        raise RecipeError(f"input {spec.name!r}: the model does not say how many axes it has; give --shape {_EXAMPLE}")
    axes = []
    for axis, size in enumerate(spec.shape):
        sizes = sorted(shape[axis] for shape in seen if len(shape) == len(spec.shape))
        if isinstance(size, int):
            axes.append((size, size, size))
        elif axis == 0:
            axes.append(batches)
        elif sizes:
            axes.append((sizes[0], sizes[len(sizes) // 2], sizes[-1]))
        else:
            raise RecipeError(
                f"input {spec}: nothing tells the size of axis {axis}; give --data, or --shape {_EXAMPLE}"
            )
    smallest, usual, largest = zip(*axes, strict=True) if axes else ((), (), ())
    return ShapeRange(smallest, usual, largest)
