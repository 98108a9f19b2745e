"""`quantlab compare`: every calibrator from one pass over the data."""

from __future__ import annotations

import json as json_module
from typing import Annotated

import typer

from quantlab.commands import options
from quantlab.commands.settings import default_folder, preprocess_settings
from quantlab.commands.terminal import print_renderables, progress_bars, reporting_errors

EPILOG = """Examples:  quantlab compare  |  quantlab compare --model net.onnx --data calib.npz --calibrators minmax
--calibrators entropy --target tensorrt"""

Calibrators = Annotated[
    list[str] | None, typer.Option("--calibrators", help="A calibrator to compare; repeat for several; default: all.")
]


def compare(
    model: options.Model = "digits",
    data: options.Data = "digits",
    eval_data: options.EvalData = None,
    preprocess: options.Preprocess = None,
    calibrators: Calibrators = None,
    weights: options.Weights = "absmax",
    target: options.Targets = ["onnxruntime"],  # noqa: B006 (typer copies it)
    keep_float: options.KeepFloat = None,
    samples: options.Samples = 512,
    eval_samples: options.EvalSamples = None,
    batch_size: options.BatchSize = 8,
    output: options.Output = None,
    threads: options.Threads = None,
    seed: options.Seed = 0,
    library: options.Libraries = None,
    out: options.Out = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Compare calibrators: one pass over the data, every range decided anew from its statistics.

    The statistics are left in the run's folder; a second call on the same model and data does not touch the data.
    """
    with reporting_errors(debug=debug):
        from quantlab.calibrators import CALIBRATORS
        from quantlab.comparison import compare as run_compare
        from quantlab.job import open_job
        from quantlab.recipe import Recipe

        settings = {
            "model": model,
            "data": data,
            "eval_data": eval_data,
            "preprocess": preprocess_settings(preprocess),
            "weights": weights,
            "targets": tuple(target),
            "keep_float": tuple(keep_float or ()),
            "samples": samples,
            "eval_samples": eval_samples,
            "batch_size": batch_size,
            "output": output,
            "threads": threads,
            "seed": seed,
            "libraries": tuple(str(path) for path in library or ()),
        }
        job = open_job(Recipe.of(settings))
        names = calibrators or list(CALIBRATORS)
        folder = out or default_folder(model, "compare")
        comparison = run_compare(job, names, folder=folder, progress=progress_bars(quiet=quiet))
        if json:
            typer.echo(json_module.dumps(comparison.to_json(), indent=1, allow_nan=False))
        else:
            print_renderables(comparison.render())
