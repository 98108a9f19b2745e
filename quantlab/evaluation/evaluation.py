"""What several models did on the same samples and the same machine, side by side: it prints and saves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from quantlab.errors import DataError
from quantlab.evaluation.accuracy import Accuracy, Bits, PairedDrop, paired_drop
from quantlab.evaluation.agreement import Agreement, Sqnr
from quantlab.evaluation.environment import Environment
from quantlab.evaluation.flips import Flips
from quantlab.evaluation.gpu_latency import GpuLatency
from quantlab.evaluation.latency import Latency, Speedup
from quantlab.evaluation.memory import Memory
from quantlab.evaluation.size import Size
from quantlab.fragments import folded, fragment, sentence, small_table

HALF_ENGINE = "half precision"
"""What the engine of a row calls itself where it simulates half precision: the row stands there for comparison."""


@dataclass(frozen=True, eq=False, slots=True)
class Row:
    """One model.

    Attributes:
        name: what the caller calls it.
        engine: name, version and settings of what ran it.
        is_simulated: its quantization, or half precision, was computed in float, standing in for another runtime.
        correct: bool [labelled samples] whether the first answer was right, or None without labels or answers.
        accuracies: top-1, then top-k where asked for; empty without labels or answers.
        drop: against the reference, or None for the reference itself and without labels.
        agreement: with the reference's answers, or None for the reference itself and where there are no answers.
        sqnr: of the output against the reference's, or None for the reference itself.
        latencies: by batch size; empty where not measured.
        gpu_latencies: with and without the copies, by the GPU's own clock; empty for models that ran elsewhere.
        speedups: against the reference at the same batch size, in the order of `latencies`; empty for the reference.
        latency_reason: why there is no latency, or None where there is one.
        size: on disk and in weights.
        memory: the peak, or None where not measured.
        flips: answers that differ from the reference's, or None for the reference itself and where there are none.
        nan_samples: how many outputs were NaN, as half precision may make them; these count as wrong answers.
    """

    name: str
    engine: Mapping[str, str]
    size: Size
    is_simulated: bool = False
    correct: Bits | None = None
    accuracies: tuple[Accuracy, ...] = ()
    drop: PairedDrop | None = None
    agreement: Agreement | None = None
    sqnr: Sqnr | None = None
    latencies: tuple[Latency, ...] = ()
    speedups: tuple[Speedup, ...] = ()
    latency_reason: str | None = None
    memory: Memory | None = None
    gpu_latencies: tuple[GpuLatency, ...] = ()
    flips: Flips | None = None
    nan_samples: int = 0

    def same_as(self, other: Row) -> bool:
        """Whether both rows say the same, answer by answer."""
        bits = [None if row.correct is None else row.correct.tolist() for row in (self, other)]
        return bits[0] == bits[1] and self.to_json() == other.to_json()

    def to_json(self) -> dict[str, Any]:
        """Return plain values; the answers are hexadecimal digits, eight samples to two of them, the first highest."""
        parts = {"drop": self.drop, "agreement": self.agreement, "sqnr": self.sqnr, "memory": self.memory}
        return {
            "name": self.name,
            "engine": dict(self.engine),
            "is_simulated": self.is_simulated,
            "nan_samples": self.nan_samples,
            "accuracies": [accuracy.to_json() for accuracy in self.accuracies],
            **{name: None if part is None else part.to_json() for name, part in parts.items()},
            "latencies": [latency.to_json() for latency in self.latencies],
            "gpu_latencies": [latency.to_json() for latency in self.gpu_latencies],
            "speedups": [speedup.to_json() for speedup in self.speedups],
            "latency_reason": self.latency_reason,
            "size": self.size.to_json(),
            "correct": None if self.correct is None else np.packbits(self.correct).tobytes().hex(),
        }


@dataclass(frozen=True, eq=False, slots=True)
class Evaluation:
    """Models side by side.

    Attributes:
        rows: the reference first.
        data: the name of the samples' source.
        samples: how many samples every model saw.
        output: the name of the reference's output that was judged.
        environment: the machine and its software.
        notes: what the reader should know besides, as sentences.
        samples_sha256: what tells these samples from others, or None where that was not noted.
    """

    rows: tuple[Row, ...]
    data: str
    samples: int
    output: str
    environment: Environment
    notes: tuple[str, ...] = field(default=())
    samples_sha256: str | None = None

    @property
    def reference(self) -> Row:
        """The row the others are compared with."""
        return self.rows[0]

    @property
    def labelled(self) -> int:
        """How many samples had a label that could be compared with."""
        return 0 if self.reference.correct is None else int(self.reference.correct.size)

    def row(self, name: str) -> Row:
        """Return the row of a model.

        Raises:
            DataError: no row has this name.
        """
        for row in self.rows:
            if row.name == name:
                return row
        raise DataError(f"evaluation: no model {name!r}; there are {', '.join(row.name for row in self.rows)}")

    def drop_between(self, reference: str, other: str, seed: int = 0) -> PairedDrop | None:
        """Return what `other` loses against `reference`, two models of this evaluation; None without labels.

        Raises:
            DataError: no row has such a name.
        """
        first, second = self.row(reference).correct, self.row(other).correct
        return None if first is None or second is None else paired_drop(first, second, seed)

    def agreement_drop_between(self, reference: str, other: str, seed: int = 0) -> PairedDrop | None:
        """Return how many fewer answers of `other` than of `reference` are those of this evaluation's reference.

        None where a sample has no one answer.

        Raises:
            DataError: no row has such a name.
        """
        found = [self.row(name).agreement for name in (reference, other)]
        first, second = (None if agreement is None else agreement.same for agreement in found)
        return None if first is None or second is None else paired_drop(first, second, seed)

    def same_as(self, other: Evaluation) -> bool:
        """Whether both evaluations say the same."""
        same_rows = len(self.rows) == len(other.rows) and all(map(Row.same_as, self.rows, other.rows))
        return same_rows and self.to_json() == other.to_json()

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "data": self.data,
            "samples": self.samples,
            "labelled": self.labelled,
            "samples_sha256": self.samples_sha256,
            "output": self.output,
            "rows": [row.to_json() for row in self.rows],
            "environment": self.environment.to_json(),
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        head = f"{self.data}: {self.samples} samples, {self.labelled} labelled, output {self.output!r}"
        lines = [head, *aligned([_HEADINGS, *(_cells(row) for row in self.rows)])]
        for row in self.rows:
            lines += [f"  {row.name}: {accuracy}" for accuracy in row.accuracies[1:]]
            lines += [f"  {row.name}: {line}" for line in _latency_lines(row)]
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes), *str(self.environment).splitlines()])

    def _repr_html_(self) -> str:
        counted = f"{self.samples} samples, {self.labelled} labelled"
        timings = [(row.name, line) for row in self.rows for line in _latency_lines(row)]
        is_timed = any(row.latencies for row in self.rows)
        machine = [sentence(line) for line in str(self.environment).splitlines()]
        return fragment(
            f"{self.data}: {counted}, output {self.output!r}",
            small_table(_HEADINGS, [_cells(row) for row in self.rows], numbers=range(1, len(_HEADINGS))),
            small_table(("model", "latency"), timings) if is_timed else None,
            *map(sentence, self.notes),
            folded("Machine and software", *machine),
        )


_HEADINGS = ("model", "top-1", "drop in points", "agreement", "SQNR", "size", "peak memory")


def aligned(table: Sequence[Sequence[str]]) -> list[str]:
    """Return the rows of a table as lines with columns of equal width."""
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]


def _cells(row: Row) -> tuple[str, ...]:
    top_1 = row.accuracies[0] if row.accuracies else None
    sqnr = row.sqnr
    return (
        f"{row.name} (simulated)" if row.is_simulated else row.name,
        "-" if top_1 is None else f"{top_1.share:.2%} {_interval(top_1.interval, 100)}",
        "-" if row.drop is None else f"{row.drop.points:+.2f} {_interval(row.drop.interval)}",
        "-" if row.agreement is None else f"{row.agreement.share:.2%}",
        "-" if sqnr is None else ("identical" if sqnr.is_identical else f"{sqnr.db:.1f} dB"),
        f"{row.size.file_bytes / 1e6:.2f} MB",
        "-" if row.memory is None else f"{row.memory.peak_bytes / 1e6:.1f} MB",
    )


def _interval(bounds: tuple[float, float], factor: float = 1) -> str:
    return f"[{factor * bounds[0]:.2f}, {factor * bounds[1]:.2f}]"


def _latency_lines(row: Row) -> list[str]:
    if not row.latencies:
        return [f"latency {row.latency_reason}"] if row.latency_reason else []
    if not row.speedups:
        return [str(latency) for latency in row.latencies]
    return [f"{latency}, {gain}" for latency, gain in zip(row.latencies, row.speedups, strict=True)]
