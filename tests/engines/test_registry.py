"""The engines by name."""

from __future__ import annotations

import pytest

from quantlab import engines
from quantlab.engines import ENGINES, OnnxRuntime, available_engines, engine_named
from quantlab.errors import EngineMissing, RecipeError


def test_an_engine_is_made_with_its_options():
    assert engine_named("onnxruntime", threads=1) == OnnxRuntime(threads=1)


def test_an_unknown_engine_lists_the_known_ones():
    with pytest.raises(RecipeError, match=r"engine 'abacus' is unknown; choose one of .*onnxruntime"):
        engine_named("abacus")


def test_an_unknown_option_is_named():
    with pytest.raises(RecipeError, match="wheels"):
        engine_named("onnxruntime", wheels=4)


def test_an_engine_that_is_not_installed_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(engines, "find_spec", lambda package: None)
    assert available_engines() == ()
    with pytest.raises(EngineMissing, match="pip install"):
        engine_named("onnxruntime")


def test_every_engine_says_what_package_it_needs():
    assert set(ENGINES) == set(engines._PACKAGES)
