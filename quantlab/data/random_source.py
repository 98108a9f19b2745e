"""Random numbers as samples: made only where a user asks for them by the name `random`, and marked in every report.

They exercise a model (does it run, how fast), but ranges and accuracies found with them say nothing about real data.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from quantlab.data.batch import Array, Batch, InputSpec
from quantlab.data.recut import spans
from quantlab.errors import DataError

# What a free axis becomes: the usual image, or a short sentence.
_FREE_IMAGE_AXIS = 224
_FREE_AXIS = 128


@dataclass(frozen=True, slots=True)
class RandomSource:
    """Normal numbers for floating inputs, all levels for 8-bit ones, 0 and 1 for other integers and booleans.

    Sample number i depends on the seed and on i only, so it is the same in every pass and every batch size.

    Attributes:
        inputs: the model's inputs.
        seed: decides the numbers.
        size: how many samples there are.
    """

    inputs: tuple[InputSpec, ...]
    seed: int = 0
    size: int = 1024

    def __post_init__(self) -> None:
        for spec in self.inputs:
            if spec.shape is None or not spec.shape:
                raise DataError(f"random: the shape of {spec} is unknown, so no samples can be made up; give data")

    @property
    def name(self) -> str:
        """What reports call the source."""
        return "random"

    @property
    def is_random(self) -> bool:
        """True: reports must say so."""
        return True

    @property
    def notes(self) -> tuple[str, ...]:
        """What the samples look like; `guard.random_warning` says what they are."""
        shapes = "; ".join(f"{spec.name} {list(_sample_shape(spec))}" for spec in self.inputs)
        return (f"random: each sample has the shape {shapes}.",)

    def read(self, start: int, stop: int | None, batch_size: int) -> Iterator[Batch]:
        """Yield samples start..stop-1 in order; there are no labels."""
        end = self.size if stop is None else min(stop, self.size)
        for first, last in spans(start, end, batch_size):
            feeds = {
                spec.name: np.stack([self._sample(position, number) for number in range(first, last)])
                for position, spec in enumerate(self.inputs)
            }
            yield Batch(feeds, None, first)

    def _sample(self, position: int, number: int) -> Array:
        spec = self.inputs[position]
        rng = np.random.default_rng((self.seed, position, number))
        shape = _sample_shape(spec)
        if spec.dtype.kind not in "biu":
            return rng.standard_normal(shape, dtype=np.float32).astype(spec.dtype)
        if spec.dtype.itemsize == 1 and spec.dtype.kind != "b":
            limits = np.iinfo(spec.dtype)
            return rng.integers(limits.min, limits.max, shape, dtype=spec.dtype, endpoint=True)
        return rng.integers(0, 2, shape).astype(spec.dtype)


def _sample_shape(spec: InputSpec) -> tuple[int, ...]:
    axes = (spec.shape or ())[1:]
    free = _FREE_IMAGE_AXIS if len(axes) == 3 else _FREE_AXIS
    return tuple(axis if isinstance(axis, int) else free for axis in axes)
