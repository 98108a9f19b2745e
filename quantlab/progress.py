"""How long steps say how far they are, without knowing who looks.

A `Progress` is called with what is being done and how many units it has, and gives a context whose value is called
with the units just done. The command line draws bars with it; the library's default is silence.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

Advance = Callable[[int], None]


class Progress(Protocol):
    """Starts the display of one long step."""

    def __call__(self, label: str, total: int | None) -> AbstractContextManager[Advance]:
        """Begin a step of `total` units (1 for a whole, None where unknown) and return its context."""
        ...


@contextlib.contextmanager
def silent(label: str, total: int | None) -> Iterator[Advance]:
    """Show nothing."""
    yield lambda units: None
