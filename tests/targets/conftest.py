"""Fixtures of the target tests."""

from __future__ import annotations

import functools

import pytest

from tests.targets.golden import CheckGolden, check_golden


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> CheckGolden:
    """Check a plan against its committed text; with `--update-golden`, write that text."""
    return functools.partial(check_golden, update=bool(request.config.getoption("--update-golden")))
