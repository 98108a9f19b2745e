"""Options and fixtures that all tests share."""

from __future__ import annotations

import pytest
from hypothesis import settings


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the texts under tests/golden/ anew")


# A shared machine may stall for longer than hypothesis allows one example; the suite's own timeout ends real hangs.
settings.register_profile("quantlab", deadline=None)
settings.load_profile("quantlab")
