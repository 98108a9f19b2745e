"""`quantlab run`: do what a recipe says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from quantlab.commands import options
from quantlab.commands.settings import default_folder
from quantlab.commands.terminal import print_result, progress_bars, reporting_errors

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
    """Do what a recipe says; paths in it are taken from the working folder."""
    with reporting_errors(debug=debug):
        from quantlab.recipe import Recipe

        loaded = Recipe.load(recipe)
    folder = out or default_folder(loaded.model, loaded.calibrator)
    with reporting_errors(debug=debug, folder=folder):
        from quantlab.pipeline import run_recipe
        from quantlab.report.to_terminal import render

        result = run_recipe(loaded, out=folder, progress=progress_bars(quiet=quiet), command=context.obj)
        print_result(result.report.content, lambda: render(result.report, folder=folder), as_json=json)
