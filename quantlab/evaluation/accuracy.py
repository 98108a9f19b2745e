"""Turns answers that were right or wrong into an accuracy, and two models' answers into the drop between them.

    accuracy:  correct / total, with the Wilson score interval
    drop:      100 · mean(d),  d_i = right_i(reference) − right_i(other) in {−1, 0, 1}, for the same samples i

The interval of the drop is the percentile interval of the paired bootstrap. A resample of d is three counts, so
drawing them from Multinomial(n, share of −1, 0, 1) is the same distribution as drawing n samples with replacement.
Where fewer than `FEWEST_DIFFERENCES` samples differ, a resample shows too little of what other samples would do (with
none, it would claim a drop of exactly zero): then the score interval of Tango inverts the test instead. The p-value
is the exact test of McNemar.

Sources: E. B. Wilson, JASA 22 (1927), 209-212; B. Efron and R. Tibshirani, An Introduction to the Bootstrap (1993),
chapter 13; T. Tango, Statistics in Medicine 17 (1998), 891-908; Q. McNemar, Psychometrika 12 (1947), 153-157.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from quantlab.errors import DataError

Bits = npt.NDArray[np.bool_]
Interval = tuple[float, float]

CONFIDENCE = 0.95
RESAMPLES = 10_000
# Around here both intervals agree to a tenth of their width.
FEWEST_DIFFERENCES = 10


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How many answers were right.

    Attributes:
        correct: answers where the label was among the `top_k` largest logits.
        total: all answers, at least 1.
        top_k: how many of the largest count.
        interval: 95 % Wilson interval of the share.
    """

    correct: int
    total: int
    top_k: int
    interval: Interval

    @property
    def share(self) -> float:
        """The share of right answers, 0 to 1."""
        return self.correct / self.total

    def to_json(self) -> dict[str, Any]:
        """Return plain values, the share included."""
        return {**asdict(self), "share": self.share, "interval": list(self.interval)}

    def __str__(self) -> str:
        low, high = self.interval
        return f"top-{self.top_k} {self.share:.2%} [{low:.2%}, {high:.2%}] of {self.total}"


@dataclass(frozen=True, slots=True)
class PairedDrop:
    """What a model loses against a reference on the same samples, in percentage points; negative where it gains.

    Attributes:
        points: accuracy of the reference minus that of the other, times 100.
        interval: 95 % interval of the points.
        lost: samples that only the reference got right.
        gained: samples that only the other got right.
        total: all samples.
        p_value: exact McNemar, two-sided: how likely a difference as large is where both are equally good.
        method: how the interval was made.
    """

    points: float
    interval: Interval
    lost: int
    gained: int
    total: int
    p_value: float
    method: str

    @property
    def is_significant(self) -> bool:
        """Whether the interval excludes zero."""
        return self.interval[0] > 0 or self.interval[1] < 0

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {**asdict(self), "interval": list(self.interval)}

    def __str__(self) -> str:
        low, high = self.interval
        return f"drop {self.points:+.2f} points [{low:+.2f}, {high:+.2f}]"


def accuracy_of(correct: Bits, top_k: int = 1) -> Accuracy:
    """Return the accuracy of answers.

    Args:
        correct: bool [samples], at least one.
        top_k: what the answers were counted for.

    Raises:
        DataError: there is not a single sample.
    """
    if correct.size == 0:
        raise DataError("accuracy: there is not a single labelled sample to judge with")
    right, total = int(np.count_nonzero(correct)), int(correct.size)
    return Accuracy(right, total, top_k, wilson_interval(right, total))


def wilson_interval(successes: int, total: int, confidence: float = CONFIDENCE) -> Interval:
    """Return the Wilson score interval of a share, each bound 0 to 1."""
    from scipy.stats import binomtest

    interval = binomtest(successes, total).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def is_correct(logits: npt.NDArray[Any], labels: npt.NDArray[np.int64], top_k: int = 1) -> Bits:
    """Return for each sample whether its label is among the `top_k` largest logits.

    Of equal logits the one with the lower index counts as larger, as in `argmax`.

    Args:
        logits: [samples, classes], without NaN.
        labels: [samples], 0 to classes - 1.
        top_k: at least 1; from the number of classes on, every answer is right.

    Raises:
        DataError: a label is outside the classes.
    """
    classes = logits.shape[1]
    check_labels(labels, classes=classes)
    own = np.take_along_axis(logits, labels[:, None], axis=1)
    ties_before = (logits == own) & (np.arange(classes) < labels[:, None])
    rank = np.count_nonzero((logits > own) | ties_before, axis=1)
    right: Bits = rank < top_k
    return right


def check_labels(labels: npt.NDArray[np.int64], *, classes: int) -> None:
    """Check that labels are class numbers, 0 to classes - 1.

    Raises:
        DataError: a label is outside the classes.
    """
    outside = np.flatnonzero((labels < 0) | (labels >= classes))
    if outside.size:
        raise DataError(
            f"labels: label {labels[outside[0]]} is outside 0..{classes - 1}; check that the labels are class numbers "
            "of this model"
        )


def paired_drop(reference: Bits, other: Bits, seed: int = 0) -> PairedDrop:
    """Return what a model loses against the reference, with a 95 % interval of the paired difference.

    Args:
        reference: bool [samples], whether the reference was right.
        other: bool [samples], whether the other model was right on the same samples.
        seed: of the bootstrap.

    Raises:
        DataError: the two do not hold the same samples, or none.
    """
    if reference.shape != other.shape or reference.size == 0:
        raise DataError(f"drop: {reference.size} answers of the reference do not pair with {other.size} of the other")
    total = int(reference.size)
    lost = int(np.count_nonzero(reference & ~other))
    gained = int(np.count_nonzero(~reference & other))
    if lost + gained < FEWEST_DIFFERENCES:
        method, interval = "score interval (Tango)", _score_interval(lost, gained, total)
    else:
        method = f"paired bootstrap, {RESAMPLES:,} resamples"
        interval = _bootstrap_interval(lost, gained, total, seed)
    points = 100 * (lost - gained) / total
    return PairedDrop(points, interval, lost, gained, total, _mcnemar(lost, gained), method)


def _bootstrap_interval(lost: int, gained: int, total: int, seed: int) -> Interval:
    shares = np.array([lost, gained, total - lost - gained]) / total
    counts = np.random.default_rng(seed).multinomial(total, shares, size=RESAMPLES)
    points = 100 * (counts[:, 0] - counts[:, 1]) / total
    low, high = np.quantile(points, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def _score_interval(lost: int, gained: int, total: int) -> Interval:
    """Return the drops, in points, that the score test does not reject."""
    from scipy.optimize import brentq
    from scipy.special import ndtri

    limit = float(ndtri((1 + CONFIDENCE) / 2))
    observed = (lost - gained) / total
    # The score falls as the supposed drop grows; at the observed drop it is 0, at the ends beyond all limits.
    edge = 1 - 1e-12
    low = brentq(lambda drop: tango_score(lost, gained, total, drop) - limit, -edge, observed) if observed > -1 else -1
    high = brentq(lambda drop: tango_score(lost, gained, total, drop) + limit, observed, edge) if observed < 1 else 1
    return 100 * float(low), 100 * float(high)


def tango_score(lost: int, gained: int, total: int, drop: float) -> float:
    """Return Tango's score statistic of a supposed drop, 0 where it is the observed one.

    Args:
        lost: samples that only the reference got right.
        gained: samples that only the other got right.
        total: all samples.
        drop: the supposed difference of the two accuracies, above -1 and below 1.
    """
    difference = lost - gained - total * drop
    if difference == 0:
        return 0.0
    # The share of gained samples that is most likely under the supposed drop: the larger root of a·q² + b·q + c.
    a = 2 * total
    b = -lost - gained + (2 * total - lost + gained) * drop
    c = -gained * drop * (1 - drop)
    share = (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
    variance = total * (2 * share + drop * (1 - drop))
    return difference / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, difference)


def _mcnemar(lost: int, gained: int) -> float:
    if lost + gained == 0:
        return 1.0
    from scipy.stats import binomtest

    return float(binomtest(lost, lost + gained).pvalue)
