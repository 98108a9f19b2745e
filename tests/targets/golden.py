"""Compares a placement with the text that is committed under `tests/golden/`.

python -m pytest tests/targets --update-golden      writes the texts anew; read the difference before committing
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from quantlab.plan import Plan

GOLDEN = Path(__file__).parents[1] / "golden"
CheckGolden = Callable[[Plan, str], None]


def check_golden(plan: Plan, pattern: str, *, update: bool) -> None:
    """Check that a plan prints as `tests/golden/<target>/<pattern>.txt` says, or write that file."""
    path = GOLDEN / plan.target / f"{pattern}.txt"
    if update:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{plan}\n", encoding="utf-8")
    assert path.exists(), f"{path} is missing; run with --update-golden and read what it writes"
    assert f"{plan}\n" == path.read_text(encoding="utf-8"), f"{path} differs; see --update-golden"
