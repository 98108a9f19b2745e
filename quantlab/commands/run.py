"""`quantlab run`: do what a recipe says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quantlab.commands import options
from quantlab.commands.settings import default_folder
from quantlab.commands.terminal import print_report, progress_bars, reporting_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quantlab.recipe import Recipe

SHORT_HELP = "Do what a recipe.toml says."
EPILOG = """\b
Examples:
  quantlab run runs/digits-entropy/recipe.toml --out runs/again
"""

RecipeFile = Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe.toml, of a run or written by hand.")]


def run(
    context: typer.Context,
    recipe: RecipeFile,
    out: options.Out = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Do what a recipe says, training included; paths in it are taken from the working folder."""
    with reporting_errors(debug=debug):
        from quantlab.recipe import Recipe

        loaded = Recipe.load(recipe)
    folder = out or default_folder(loaded.model, "qat" if loaded.qat else loaded.calibrator)
    with reporting_errors(debug=debug, folder=folder):
        if loaded.qat:
            _train(loaded, folder, context.obj, quiet=quiet, json=json)
            return
        from quantlab.pipeline import run_recipe

        result = run_recipe(loaded, out=folder, progress=progress_bars(quiet=quiet), command=context.obj)
        print_report(result.report, result.folder, as_json=json)


def _train(recipe: Recipe, folder: Path, command: Sequence[str] | None, *, quiet: bool, json: bool) -> None:
    from quantlab.engines.torch_device import import_torch

    import_torch()  # before all else: without it nothing below can be imported
    from quantlab.commands.training_run import train_and_show
    from quantlab.qat.recipe_table import settings_of
    from quantlab.qat.run import Place

    settings, inputs = settings_of(recipe.qat)
    train_and_show(recipe, settings, inputs, place=Place(folder, command=command), quiet=quiet, json=json)
