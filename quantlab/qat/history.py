"""What a training did, epoch by epoch, and which epoch is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Measure = Literal["accuracy", "agreement", "loss"]


def duration(seconds: float) -> str:
    """Return a time as a person says it: 4.2 s, 35 s, 12 min, 3 h 20 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


@dataclass(frozen=True, slots=True)
class Score:
    """How good a model is on the held-out samples.

    Attributes:
        measure: what `right` counts: `accuracy` answers equal to the labels, `agreement` answers equal to the float
            model's, or `loss` where there are no answers to count.
        right: how many answers were right; 0 where nothing is counted.
        total: how many answers there were.
        loss: the training's loss, without augmentation.
    """

    measure: Measure
    right: int
    total: int
    loss: float

    @property
    def share(self) -> float | None:
        """The share of right answers, 0 to 1, or None where there are none."""
        return self.right / self.total if self.total else None

    def is_better_than(self, other: Score) -> bool:
        """Whether more answers are right, or as many at a smaller loss."""
        return (self.right, -self.loss) > (other.right, -other.loss)


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """One epoch.

    Attributes:
        number: 1 for the first; 0 is the start, before any training.
        epochs: how many there will be.
        loss: the mean over the batches trained on, or None for the start.
        score: on the held-out samples, after the epoch.
        learning_rate: the relative rate of the weights in the middle of the epoch, or None for the start.
        seconds: how long the epoch took, its judging included.
    """

    number: int
    epochs: int
    loss: float | None
    score: Score
    learning_rate: float | None
    seconds: float

    @property
    def remaining_seconds(self) -> float:
        """How long the epochs that are left will take, if they take as long as this one."""
        return self.seconds * (self.epochs - self.number)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> EpochRecord:
        """Return what `to_json` was given."""
        return cls(**{**values, "score": Score(**values["score"])})

    def __str__(self) -> str:
        score = self.score
        found = f"{score.measure} {score.share:.2%}, " if score.share is not None else ""
        held_out = f"held out: {found}loss {score.loss:.4g}"
        if self.loss is None:
            return f"start: {held_out}"
        rate = "" if self.learning_rate is None else f", rate {self.learning_rate:.2g}"
        left = f", {duration(self.remaining_seconds)} left" if self.number < self.epochs else ""
        times = f"{duration(self.seconds)}{left}"
        return f"epoch {self.number}/{self.epochs}: loss {self.loss:.4g}; {held_out}{rate}, {times}"


@dataclass(frozen=True, slots=True)
class StepRecord:
    """How far an epoch is.

    Attributes:
        number: of the epoch, 1 for the first.
        epochs: how many there will be.
        loss: the mean over the epoch's batches so far.
        learning_rate: the relative rate of the weights now.
        done: the share of the whole training that is done, 0 to 1.
    """

    number: int
    epochs: int
    loss: float
    learning_rate: float
    done: float


@dataclass(frozen=True, slots=True)
class History:
    """All epochs of a training, the start first.

    Attributes:
        records: the start, then the epochs in order.
    """

    records: tuple[EpochRecord, ...]

    @property
    def start(self) -> EpochRecord:
        """The model before training."""
        return self.records[0]

    @property
    def best(self) -> EpochRecord:
        """The epoch that is kept: the first of those that no other is better than, the start included."""
        best = self.records[0]
        for record in self.records[1:]:
            if record.score.is_better_than(best.score):
                best = record
        return best

    @property
    def is_improved(self) -> bool:
        """Whether any epoch is better than the start, on the held-out samples."""
        return self.best.number > 0

    def __str__(self) -> str:
        kept = f"epoch {self.best.number}" if self.is_improved else "the start: no epoch is better"
        return "\n".join([*map(str, self.records), f"kept: {kept}"])
