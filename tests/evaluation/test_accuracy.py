"""Accuracy and drop against scipy, published values and brute force."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from quantlab.errors import DataError
from quantlab.evaluation.accuracy import (
    FEWEST_DIFFERENCES,
    accuracy_of,
    is_correct,
    paired_drop,
    tango_score,
    wilson_interval,
)


def pair(both: int, lost: int, gained: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    """Answers of reference and other with the given counts."""
    reference = np.repeat([True, True, False, False], [both, lost, gained, neither])
    other = np.repeat([True, False, True, False], [both, lost, gained, neither])
    return reference, other


def test_wilson_matches_published_values():
    # R. Newcombe, Statistics in Medicine 17 (1998), 857-872, table I, method 3.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson_interval(1, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)


@settings(deadline=None)
@given(total=st.integers(1, 3000), data=st.data())
def test_wilson_holds_the_share_and_stays_between_zero_and_one(total: int, data: st.DataObject):
    successes = data.draw(st.integers(0, total))
    low, high = wilson_interval(successes, total)
    # A rounding error wide, at the ends.
    assert -1e-12 <= low <= successes / total + 1e-12
    assert successes / total - 1e-12 <= high <= 1 + 1e-12
    assert low < high


@settings(deadline=None)
@given(
    logits=st.lists(st.lists(st.integers(-3, 3), min_size=4, max_size=4), min_size=1, max_size=20),
    top_k=st.integers(1, 5),
    data=st.data(),
)
def test_top_k_equals_a_stable_sort(logits: list[list[int]], top_k: int, data: st.DataObject):
    labels = np.array([data.draw(st.integers(0, 3)) for _ in logits])
    array = np.array(logits, np.float32)
    largest = np.argsort(-array, axis=1, kind="stable")[:, :top_k]
    expected = [label in row for label, row in zip(labels, largest, strict=True)]
    assert is_correct(array, labels, top_k).tolist() == expected


def test_top_1_is_argmax_even_with_ties():
    logits = np.array([[1, 1, 0], [0, 2, 2]], np.float32)
    assert is_correct(logits, np.array([0, 1])).tolist() == [True, True]
    assert is_correct(logits, np.array([1, 2])).tolist() == [False, False]


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_outside_the_classes_is_refused(label: int):
    with pytest.raises(DataError, match=f"label {label} is outside 0..2"):
        is_correct(np.zeros((1, 3), np.float32), np.array([label]))


def test_no_sample_is_refused():
    with pytest.raises(DataError, match="not a single"):
        accuracy_of(np.zeros(0, bool))


def test_accuracy_prints_and_becomes_json():
    result = accuracy_of(np.array([True] * 97 + [False] * 3), top_k=5)
    assert str(result).startswith("top-5 97.00% [91.")
    assert json.loads(json.dumps(result.to_json()))["share"] == 0.97


def test_the_drop_is_counted_in_points():
    drop = paired_drop(*pair(both=90, lost=5, gained=2, neither=3))
    assert drop.points == pytest.approx(3.0)
    assert (drop.lost, drop.gained, drop.total) == (5, 2, 100)


def test_the_bootstrap_matches_the_one_of_scipy():
    reference, other = pair(both=700, lost=60, gained=30, neither=210)
    drop = paired_drop(reference, other)
    difference = reference.astype(float) - other.astype(float)
    expected = stats.bootstrap(
        (difference,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert "bootstrap" in drop.method
    # Bounds of 4,000 and 10,000 random resamples of a mean with standard error 0.95 points: about 0.05 apart.
    assert drop.interval == pytest.approx((100 * expected.low, 100 * expected.high), abs=0.15)


def test_the_same_seed_gives_the_same_interval():
    reference, other = pair(both=700, lost=60, gained=30, neither=210)
    assert paired_drop(reference, other, seed=3) == paired_drop(reference, other, seed=3)


@settings(deadline=None)
@given(both=st.integers(0, 300), lost=st.integers(0, 40), gained=st.integers(0, 40), neither=st.integers(0, 300))
def test_the_interval_holds_the_drop(both: int, lost: int, gained: int, neither: int):
    if both + lost + gained + neither == 0:
        return
    drop = paired_drop(*pair(both, lost, gained, neither))
    assert -100 <= drop.interval[0] <= drop.points <= drop.interval[1] <= 100


@settings(deadline=None)
@given(both=st.integers(1, 300), lost=st.integers(0, 9), gained=st.integers(0, 9))
def test_swapping_the_models_mirrors_the_score_interval(both: int, lost: int, gained: int):
    if lost + gained >= FEWEST_DIFFERENCES:
        return
    reference, other = pair(both, lost, gained, 0)
    forth, back = paired_drop(reference, other), paired_drop(other, reference)
    # The root finder stops within 2e-12 of the bound, as a share.
    assert forth.interval == pytest.approx((-back.interval[1], -back.interval[0]), abs=1e-8)
    assert forth.p_value == back.p_value


def test_equal_answers_leave_a_drop_possible():
    drop = paired_drop(*pair(both=90, lost=0, gained=0, neither=10))
    # With no difference the score interval is that of 0 of n by Wilson, to either side.
    high = 100 * wilson_interval(0, 100)[1]
    assert drop.interval == pytest.approx((-high, high), abs=1e-6)
    assert not drop.is_significant
    assert drop.p_value == 1.0


@pytest.mark.parametrize(("lost", "gained", "total", "drop"), [(5, 2, 100, 0.1), (3, 0, 40, -0.02), (1, 7, 60, -0.2)])
def test_the_score_uses_the_most_likely_shares_under_the_supposed_drop(lost: int, gained: int, total: int, drop: float):
    def unlikelihood(share: float) -> float:
        same = 1 - 2 * share - drop
        terms = [(lost, share + drop), (gained, share), (total - lost - gained, same)]
        return -sum(count * math.log(p) for count, p in terms if count)

    best = optimize.minimize_scalar(
        unlikelihood, bounds=(max(0.0, -drop) + 1e-9, (1 - drop) / 2 - 1e-9), method="bounded", options={"xatol": 1e-12}
    ).x
    score = (lost - gained - total * drop) / math.sqrt(total * (2 * best + drop * (1 - drop)))
    # A bounded search finds a flat minimum to about the root of machine precision.
    assert tango_score(lost, gained, total, drop) == pytest.approx(score, rel=1e-4)


def test_where_the_methods_meet_they_agree():
    few = paired_drop(*pair(both=900, lost=7, gained=2, neither=91))
    many = paired_drop(*pair(both=900, lost=8, gained=2, neither=90))
    assert few.method != many.method
    # One more lost sample of a thousand is 0.1 points; the bounds may differ by that and a tenth of their width.
    assert few.interval == pytest.approx(many.interval, abs=0.3)


def test_the_p_value_is_that_of_the_sign_test():
    drop = paired_drop(*pair(both=50, lost=8, gained=1, neither=10))
    # 2 * (C(9,0) + C(9,1)) / 2^9
    assert drop.p_value == pytest.approx(20 / 512)


def test_answers_of_other_samples_are_refused():
    with pytest.raises(DataError, match="3 answers of the reference"):
        paired_drop(np.ones(3, bool), np.ones(4, bool))


def test_a_drop_prints_and_becomes_json():
    drop = paired_drop(*pair(both=90, lost=5, gained=2, neither=3))
    assert str(drop).startswith("drop +3.00 points [")
    assert json.loads(json.dumps(drop.to_json()))["lost"] == 5
