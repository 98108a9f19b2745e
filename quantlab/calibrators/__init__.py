"""From statistics to ranges."""

from __future__ import annotations

from dataclasses import fields
from difflib import get_close_matches

from quantlab.calibrators.calibrator import Calibrator
from quantlab.calibrators.entropy import Entropy
from quantlab.calibrators.minmax import MinMax
from quantlab.calibrators.mse import Mse
from quantlab.calibrators.percentile import Percentile
from quantlab.errors import RecipeError

__all__ = ["CALIBRATORS", "Calibrator", "Entropy", "MinMax", "Mse", "Percentile", "calibrator_named"]

CALIBRATORS: dict[str, type[MinMax] | type[Percentile] | type[Mse] | type[Entropy]] = {
    calibrator.name: calibrator for calibrator in (MinMax, Percentile, Mse, Entropy)
}


def calibrator_named(name: str, **options: float) -> Calibrator:
    """Return a calibrator by its name.

    Args:
        name: one of `CALIBRATORS`.
        options: its settings, such as `percentile=99.9`.

    Raises:
        RecipeError: the name or an option is unknown, or an option is outside its limits.
    """
    if name not in CALIBRATORS:
        raise RecipeError(f"calibrator {name!r} is unknown; {_advice(name, list(CALIBRATORS))}")
    known = [field.name for field in fields(CALIBRATORS[name])]
    for option in options:
        if option not in known:
            raise RecipeError(f"calibrator {name!r} has no setting {option!r}; {_advice(option, known)}")
    return CALIBRATORS[name](**options)


def _advice(wrong: str, known: list[str]) -> str:
    close = get_close_matches(wrong.lower(), known, n=1)
    meant = f"did you mean {close[0]!r}? " if close else ""
    return meant + (f"known are {', '.join(known)}" if known else "it has none")
