"""Turns the outputs of two models for the same samples into how far they agree, one batch at a time.

    agreement:  decisions (argmax) that are equal / all decisions
    SQNR:       10 · log10(Σ r² / Σ (r − o)²) dB, r the reference's output, o the other's

No labels are needed. Nothing but counts, a bit per sample and two float64 sums is kept; the sums grow sample by sample,
so they do not depend on the batch size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from quantlab.data.batch import Array
from quantlab.errors import EngineError
from quantlab.evaluation.accuracy import Bits, Interval, wilson_interval

Unit = Literal["sample", "position"]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How many decisions are the same as the reference's.

    Attributes:
        agreeing: equal decisions.
        total: all decisions, at least 1.
        unit: what one decision is about: a sample, or a position within it (a pixel, a token).
        interval: 95 % Wilson interval of the share; None for positions, which are not independent within a sample.
        same: bool [samples] whether the decision was the same; None for positions, and where it was not kept.
    """

    agreeing: int
    total: int
    unit: Unit
    interval: Interval | None
    same: Bits | None = field(default=None, compare=False, repr=False)

    @property
    def share(self) -> float:
        """The share of equal decisions, 0 to 1."""
        return self.agreeing / self.total

    def to_json(self) -> dict[str, Any]:
        """Return plain values, the share included."""
        interval = None if self.interval is None else list(self.interval)
        return {
            "agreeing": self.agreeing,
            "total": self.total,
            "unit": self.unit,
            "share": self.share,
            "interval": interval,
        }

    def __str__(self) -> str:
        interval = "" if self.interval is None else f" [{self.interval[0]:.2%}, {self.interval[1]:.2%}]"
        return f"agreement {self.share:.2%}{interval} of {self.total} {self.unit}s"


@dataclass(frozen=True, slots=True)
class Sqnr:
    """Signal to quantization noise.

    Attributes:
        signal: sum of the squares of the reference.
        noise: sum of the squares of the difference.
        count: numbers compared.
    """

    signal: float
    noise: float
    count: int

    @property
    def db(self) -> float:
        """The ratio in decibels; infinite where both are equal, minus infinite where no signal is left."""
        if self.noise == 0.0:
            return math.inf
        if math.isinf(self.noise):
            return -math.inf
        return 10 * math.log10(self.signal / self.noise) if self.signal > 0.0 else -math.inf

    @property
    def is_identical(self) -> bool:
        """Whether no number differs."""
        return self.noise == 0.0

    def to_json(self) -> dict[str, Any]:
        """Return plain values; `sqnr_db` is None where it is infinite."""
        return {
            "sqnr_db": self.db if math.isfinite(self.db) else None,
            "identical": self.is_identical,
            "signal": self.signal,
            "noise": self.noise if math.isfinite(self.noise) else None,
            "count": self.count,
        }

    def __str__(self) -> str:
        return "identical" if self.is_identical else f"SQNR {self.db:.1f} dB"


class SqnrSum:
    """Sums up signal and noise over batches."""

    def __init__(self) -> None:
        self._signal = 0.0
        self._noise = 0.0
        self._count = 0

    def add(self, reference: Array, other: Array) -> None:
        """Count one batch.

        Args:
            reference: any numbers [samples, ...], without NaN.
            other: the same shape.

        Raises:
            EngineError: the shapes differ.
        """
        check_same_shape(reference, other)
        rows = max(1, reference.shape[0] if reference.ndim else 1)
        exact = reference.astype(np.float64).reshape(rows, -1)
        theirs = other.astype(np.float64).reshape(rows, -1)
        # Masked positions are minus infinity in both: equal, and no signal.
        difference = np.subtract(exact, theirs, where=exact != theirs, out=np.zeros_like(exact))
        exact = np.where(np.isfinite(exact), exact, 0.0)
        for signal, noise in zip((exact**2).sum(axis=1), (difference**2).sum(axis=1), strict=True):
            self._signal += float(signal)
            self._noise += float(noise)
        self._count += int(reference.size)

    def result(self) -> Sqnr:
        """Return what was counted so far."""
        return Sqnr(self._signal, self._noise, self._count)


class AgreementCount:
    """Counts equal decisions over batches."""

    def __init__(self) -> None:
        self._agreeing = 0
        self._total = 0
        self._unit: Unit = "sample"
        self._same: list[Bits] = []

    def add(self, reference: Array, other: Array) -> None:
        """Count one batch.

        Args:
            reference: decisions [samples] or [samples, ...positions].
            other: the same shape.

        Raises:
            EngineError: the shapes differ.
        """
        check_same_shape(reference, other)
        self._unit = "sample" if reference.ndim == 1 else "position"
        same = np.asarray(reference == other, np.bool_)
        self._agreeing += int(np.count_nonzero(same))
        self._total += int(reference.size)
        if self._unit == "sample":
            self._same.append(same)

    def result(self) -> Agreement | None:
        """Return what was counted so far, or None where that is nothing."""
        if self._total == 0:
            return None
        if self._unit == "position":
            return Agreement(self._agreeing, self._total, "position", None)
        interval = wilson_interval(self._agreeing, self._total)
        return Agreement(self._agreeing, self._total, "sample", interval, np.concatenate(self._same))


def check_same_shape(reference: Array, other: Array) -> None:
    """Check that two outputs can be compared.

    Raises:
        EngineError: the shapes differ.
    """
    if reference.shape != other.shape:
        raise EngineError(
            f"comparison: the output has shape {list(other.shape)}, the reference's {list(reference.shape)}; "
            "compare models with the same output, or name it"
        )
