"""`quantlab run`: do again what a recipe says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from quantlab.commands import options
from quantlab.commands.settings import default_folder
from quantlab.commands.terminal import progress_bars, reporting_errors, show_report

EPILOG = """Examples:  quantlab run runs/digits-entropy/recipe.toml --out again"""

RecipeFile = Annotated[Path, typer.Argument(help="A recipe.toml, of a run or written by hand.")]


def run(
    recipe: RecipeFile,
    out: options.Out = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Do what a recipe says; paths in it are taken from the working folder."""
    with reporting_errors(debug=debug):
        from quantlab.pipeline import run_recipe
        from quantlab.recipe import Recipe

        loaded = Recipe.load(recipe)
        folder = out or default_folder(loaded.model, loaded.calibrator)
        result = run_recipe(loaded, out=folder, progress=progress_bars(quiet=quiet))
        show_report(result.report, folder, as_json=json)
