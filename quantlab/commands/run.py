"""`quantlab run`: do what a recipe says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quantlab.commands import options
from quantlab.commands.settings import default_folder
from quantlab.commands.terminal import print_report, print_result, progress_bars, reporting_errors
from quantlab.commands.training_options import Resume
from quantlab.commands.training_run import tell_training, train_and_show

if TYPE_CHECKING:
    from quantlab.progress import Progress
    from quantlab.recipe import Recipe

SHORT_HELP = "Do what a recipe.toml says."
EPILOG = """\b
Examples:
  quantlab run runs/digits-entropy/recipe.toml --out runs/again
  quantlab run runs/digits-entropy/recipe.toml --dry-run
"""

RecipeFile = Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe.toml, of a run or written by hand.")]


def run(
    context: typer.Context,
    recipe: RecipeFile,
    out: options.Out = None,
    resume: Resume = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Do what a recipe says, training included; paths in it are taken from the working folder."""
    with reporting_errors(debug=debug):
        from quantlab.recipe import Recipe

        loaded = Recipe.load(recipe)
        if resume and not loaded.qat:
            raise typer.BadParameter("only a training needs it; other runs go on by themselves", param_hint="--resume")
    folder = out or default_folder(loaded.model, "qat" if loaded.qat else loaded.calibrator)
    with reporting_errors(debug=debug, folder=folder, resume=resume):
        bars = progress_bars(quiet=quiet)
        if loaded.qat:
            from quantlab.engines.torch_device import import_torch

            import_torch()  # before all else: without it nothing below can be imported
            from quantlab.qat.recipe_table import settings_of
            from quantlab.qat.run import Place

            settings, inputs = settings_of(loaded.qat)
            if dry_run:
                tell_training(loaded, settings, inputs, progress=bars, json=json)
                return
            place = Place(folder, resume, context.obj)
            train_and_show(loaded, settings, inputs, place=place, quiet=quiet, json=json)
        elif dry_run:
            tell_forecast(loaded, bars, as_json=json)
        else:
            from quantlab.pipeline import run_recipe

            result = run_recipe(loaded, out=folder, progress=bars, command=context.obj)
            print_report(result.report, result.folder, as_json=json)


def tell_forecast(recipe: Recipe, progress: Progress, *, as_json: bool) -> None:
    """Print what a recipe would do and cost; nothing is written."""
    from quantlab.forecast import forecast
    from quantlab.job import open_job
    from quantlab.pipeline import OPENING

    with progress(OPENING, 1):
        job = open_job(recipe)
    with progress("measuring a batch", 1):
        told = forecast(job)
    print_result(told.to_json(), lambda: str(told), as_json=as_json)
