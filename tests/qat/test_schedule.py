from itertools import pairwise

import numpy as np
import pytest

from quantlab.qat.schedule import rate_factor


def test_the_rate_rises_in_a_line_and_falls_along_a_cosine():
    assert rate_factor(0.05, 0.1) == pytest.approx(0.5)
    assert rate_factor(0.1, 0.1) == pytest.approx(1.0)
    assert rate_factor(0.55, 0.1) == pytest.approx(0.5)
    assert rate_factor(1.0, 0.1) == pytest.approx(0.0)


def test_the_rate_never_leaves_0_to_1_and_never_rises_after_the_warm_up():
    factors = [rate_factor(done, 0.2) for done in np.linspace(0, 1, 101)]
    assert min(factors) >= 0
    assert max(factors) <= 1
    assert all(later <= earlier for earlier, later in pairwise(factors[20:]))


@pytest.mark.parametrize("warmup", [0.0, 1.0])
def test_a_warm_up_may_be_nothing_or_everything(warmup):
    assert rate_factor(0.5, warmup) == pytest.approx(0.5)
    assert rate_factor(1.0, warmup) == pytest.approx(1.0 if warmup else 0.0)
