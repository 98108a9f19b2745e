"""A training as commands run it: progress on stderr, a user's own functions by name, the report on stdout."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from quantlab.commands.terminal import print_report, print_result
from quantlab.commands.training_progress import TrainingProgress

if TYPE_CHECKING:
    from quantlab.progress import Progress
    from quantlab.qat.opening import TrainingInputs
    from quantlab.qat.run import Place
    from quantlab.qat.settings import QatSettings
    from quantlab.recipe import Recipe


def train_and_show(
    recipe: Recipe, settings: QatSettings, inputs: TrainingInputs, *, place: Place, quiet: bool, json: bool
) -> None:
    """Train what a recipe says, and print the report; `recipe.qat` names a user's own functions."""
    from quantlab.qat.hooks import Hooks
    from quantlab.qat.run import assist_training, train_recipe
    from quantlab.run_folder import CHECKPOINT

    folder = Path(str(place.out))
    # With --json, what is no terminal gets not a line.
    is_quiet = quiet or (json and not sys.stderr.isatty()) or not place.ranks.is_first
    shown = TrainingProgress(quiet=is_quiet)
    functions = _functions(recipe)
    hooks = Hooks(**functions, on_epoch=shown.on_epoch, on_step=shown.on_step, progress=shown)
    if place.resume and not (folder / CHECKPOINT).exists() and not is_quiet:
        typer.echo(f"--resume: {folder} holds no interrupted training; beginning anew", err=True)
    if not place.ranks.is_first:
        assist_training(recipe, settings, inputs, hooks=hooks, place=place)
        return
    result = train_recipe(recipe, settings, inputs, hooks=hooks, place=place)
    print_report(result.report, folder, as_json=json)


def tell_training(
    recipe: Recipe, settings: QatSettings, inputs: TrainingInputs, *, progress: Progress, json: bool
) -> None:
    """Print what a training would do and cost; nothing is written."""
    from quantlab.qat.forecast import forecast_training
    from quantlab.qat.hooks import Hooks

    hooks = Hooks(**_functions(recipe), progress=progress)
    told = forecast_training(recipe, settings, inputs, hooks=hooks)
    print_result(told.to_json(), lambda: str(told), as_json=json)


def _functions(recipe: Recipe) -> dict[str, Any]:
    from quantlab.qat.recipe_table import FUNCTIONS

    return {name: _function(recipe.qat.get(name)) for name in FUNCTIONS}


def _function(spec: str | None) -> Any:  # noqa: ANN401 (a user's function, of one signature or another)
    """Return what a FILE.py:FUNCTION returns: a function."""
    if spec is None:
        return None
    from quantlab.data.python_file import is_python_function, load_function
    from quantlab.errors import DataError

    if not is_python_function(spec):
        raise DataError(f"{spec!r}: give FILE.py:FUNCTION, where FUNCTION returns what is to be called")
    made = load_function(spec)()
    if not callable(made):
        raise DataError(f"{spec}: it returned a {type(made).__name__}, not a function to call")
    return made
