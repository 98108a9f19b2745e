"""Targets are found by name."""

import pytest

from quantlab.errors import RecipeError
from quantlab.targets import TARGETS, target_named


def test_an_unknown_target_is_refused_with_the_list_of_known_ones() -> None:
    with pytest.raises(RecipeError, match="'coral' is unknown; use one of .*" + ".*".join(sorted(TARGETS))):
        target_named("coral")


def test_every_target_is_registered_under_its_own_name() -> None:
    assert {name: target_named(name).name for name in TARGETS} == {name: name for name in TARGETS}
