"""The registry of calibrators."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from quantlab.calibrators import CALIBRATORS, Entropy, Percentile, calibrator_named
from quantlab.errors import RecipeError


def test_every_calibrator_is_registered_under_its_own_name() -> None:
    assert list(CALIBRATORS) == ["minmax", "percentile", "mse", "entropy"]
    for name in CALIBRATORS:
        assert calibrator_named(name).name == name
        assert calibrator_named(name) == calibrator_named(name)


def test_settings_reach_the_calibrator() -> None:
    assert calibrator_named("percentile", percentile=99.9) == Percentile(99.9)
    assert calibrator_named("entropy", max_error_ratio=3.0) == Entropy(3.0)


@pytest.mark.parametrize(("wrong", "meant"), [("entorpy", "entropy"), ("MSE", "mse"), ("min_max", "minmax")])
def test_a_misspelt_name_gets_the_closest_one(wrong: str, meant: str) -> None:
    with pytest.raises(RecipeError, match=f"did you mean '{meant}'.*minmax, percentile, mse, entropy"):
        calibrator_named(wrong)


def test_a_name_like_no_other_gets_the_list() -> None:
    with pytest.raises(RecipeError, match="'x' is unknown; known are minmax, percentile, mse, entropy"):
        calibrator_named("x")


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(RecipeError, match="no setting 'percent'; did you mean 'percentile'"):
        calibrator_named("percentile", percent=99)
    with pytest.raises(RecipeError, match="no setting 'bins'; it has none"):
        calibrator_named("mse", bins=3)


def test_a_setting_outside_its_limits_is_refused() -> None:
    with pytest.raises(RecipeError, match="must be at least 1"):
        calibrator_named("entropy", max_error_ratio=0)


def test_settings_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Percentile().percentile = 90  # type: ignore[misc]
