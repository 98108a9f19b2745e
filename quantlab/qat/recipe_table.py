"""A training ↔ the table `[qat]` of its `recipe.toml`: `quantlab run` repeats from it what `quantlab qat` did.

The table holds the fields of `QatSettings`, and by name where samples, the float model and a user's own functions come
from. TOML knows no absence: `clip_norm = 0` stands for no limit.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quantlab.errors import RecipeError
from quantlab.qat.opening import TrainingInputs
from quantlab.qat.settings import QatSettings
from quantlab.recipe import check_name

FUNCTIONS = ("augment", "task_loss")
"""Entries that name functions of a user's own, as FILE.py:FUNCTION."""

_SOURCES = ("train_data", "reference")
_NO_LIMIT = "clip_norm"


def table_of(settings: QatSettings, inputs: TrainingInputs, functions: Mapping[str, Any]) -> dict[str, Any]:
    """Return the table; what was handed over as a Python object has no name, and is left out.

    Args:
        settings: how to train.
        inputs: what to train on.
        functions: by entry of `FUNCTIONS`, what was typed.
    """
    table = {name: value for name, value in settings.to_plain().items() if value is not None}
    if settings.clip_norm is None:
        table[_NO_LIMIT] = 0.0
    sources = {name: getattr(inputs, name) for name in _SOURCES}
    named = {name: str(value) for name, value in sources.items() if isinstance(value, str | Path)}
    return {**table, **named, **{name: functions[name] for name in FUNCTIONS if functions.get(name)}}


def settings_of(table: Mapping[str, Any]) -> tuple[QatSettings, TrainingInputs]:
    """Return what a table says, but for the functions.

    Raises:
        RecipeError: an entry is unknown, of a wrong type, or out of its limits.
    """
    known = [field.name for field in dataclasses.fields(QatSettings)]
    for name in table:
        check_name("qat: setting", name, (*known, *_SOURCES, *FUNCTIONS))
    for name in (*_SOURCES, *FUNCTIONS):
        if not isinstance(table.get(name, ""), str):
            raise RecipeError(f"qat: {name}: {table[name]!r} is no name; write a text")
    given: dict[str, Any] = {name: value for name, value in table.items() if name in known}
    given |= {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
    if given.get(_NO_LIMIT) == 0:
        given[_NO_LIMIT] = None
    for name, value in given.items():
        _check_type(name, value, getattr(QatSettings(), name))
    return QatSettings(**given), TrainingInputs(**{name: table[name] for name in _SOURCES if name in table})


def _check_type(name: str, value: object, usual: object) -> None:
    """Refuse a value that is not of the type of the default; a whole number will do for a fraction."""
    if value is None or usual is None:
        return
    wanted = (int, float) if isinstance(usual, float) else type(usual)
    if not isinstance(value, wanted) or isinstance(value, bool) != isinstance(usual, bool):
        raise RecipeError(f"qat: {name}: {value!r} is not of type {type(usual).__name__}")
