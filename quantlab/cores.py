"""How many cores there are to share work between."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """Return the logical cores that this process may use; in a container often fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
