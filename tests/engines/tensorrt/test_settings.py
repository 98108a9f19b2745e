"""Settings are refused before the builder starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from quantlab.engines.tensorrt.settings import BuildSettings
from quantlab.errors import RecipeError


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"workspace_mb": 0}, "0 MB"),
        ({"optimization_level": 6}, "choose 0 to 5"),
        ({"timeout_s": 0.0}, "more than 0"),
        ({"compute_capabilities": ("sm89",)}, "such as 8.9"),
        ({"plugins": ("nowhere.so",)}, "there is no such file"),
    ],
)
def test_values_out_of_their_limits_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        BuildSettings(**settings)


def test_each_runtime_refuses_the_settings_of_the_other() -> None:
    with pytest.raises(RecipeError, match="builds for the GPU of this machine"):
        BuildSettings(compute_capabilities=("8.9",)).check_for("tensorrt")
    with pytest.raises(RecipeError, match="times nothing"):
        BuildSettings(timing_cache=Path("cache")).check_for("tensorrt_rtx")
    BuildSettings(compute_capabilities=("8.9",)).check_for("tensorrt_rtx")
    BuildSettings(timing_cache=Path("cache")).check_for("tensorrt")
