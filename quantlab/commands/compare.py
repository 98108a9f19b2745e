"""`quantlab compare`: every calibrator from one pass over the data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from quantlab.commands import completion, options
from quantlab.commands.settings import collecting_device, default_folder, latency_batches, preprocess_settings
from quantlab.commands.terminal import print_result, progress_bars, reporting_errors

SHORT_HELP = "Compare calibrators from one pass over the data."
EPILOG = """\b
Examples:
  quantlab compare
  quantlab compare --model net.onnx --data calib.npz --target tensorrt
  quantlab compare --calibrators minmax --calibrators entropy
  quantlab compare --model net.onnx --data calib.npz --engine torch --device cuda
"""

Calibrators = Annotated[
    list[str] | None,
    typer.Option(
        "--calibrators",
        metavar="NAME",
        autocompletion=completion.calibrators,
        help="A calibrator to compare; repeatable; all if not given.",
    ),
]
Out = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Folder of the statistics; runs/MODEL-compare if not given.")
]


def compare(
    model: options.Model = "digits",
    weights: options.TorchWeights = None,
    input_shape: options.InputShapes = None,
    opset: options.Opset = None,
    free_axes: options.FreeAxes = None,
    data: options.Data = "digits",
    eval_data: options.EvalData = None,
    preprocess: options.Preprocess = None,
    calibrators: Calibrators = None,
    weight_ranges: options.WeightRanges = "absmax",
    weight_scales: options.WeightScales = "per-channel",
    target: options.Targets = ["onnxruntime"],  # noqa: B006 (typer copies it)
    keep_float: options.KeepFloat = None,
    samples: options.Samples = 512,
    eval_samples: options.EvalSamples = None,
    batch_size: options.BatchSize = 8,
    latency_batch: options.LatencyBatches = None,
    no_latency: options.NoLatency = False,
    output: options.Output = None,
    top_k: options.TopK = 1,
    engine: options.Engine = "onnxruntime",
    device: options.Device = "auto",
    threads: options.Threads = None,
    seed: options.Seed = 0,
    memory_cap_mb: options.MemoryCap = 512,
    library: options.Libraries = None,
    out: Out = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Compare calibrators: one pass over the data, every range decided anew from its statistics.

    The statistics stay in the run's folder; a second call on the same model and data does not read the data again.
    """
    folder = out or default_folder(model, "compare")
    with reporting_errors(debug=debug, folder=folder):
        from quantlab.calibrators import CALIBRATORS
        from quantlab.comparison import compare as run_compare
        from quantlab.job import open_job
        from quantlab.pipeline import OPENING
        from quantlab.recipe import Recipe
        from quantlab.report.to_terminal import render_comparison

        recipe = Recipe.of(
            {
                "model": model,
                "weights": weights,
                "input_shapes": tuple(input_shape or ()),
                "opset": opset,
                "free_axes": free_axes,
                "data": data,
                "eval_data": eval_data,
                "preprocess": preprocess_settings(preprocess),
                "weight_ranges": weight_ranges,
                "weight_scales": weight_scales,
                "targets": tuple(target),
                "keep_float": tuple(keep_float or ()),
                "samples": samples,
                "eval_samples": eval_samples,
                "batch_size": batch_size,
                "latency_batches": latency_batches(latency_batch, is_off=no_latency),
                "output": output,
                "top_k": top_k,
                "engine": engine,
                "device": collecting_device(engine, device),
                "threads": threads,
                "seed": seed,
                "memory_cap_mb": memory_cap_mb,
                "libraries": tuple(map(str, library or ())),
            }
        )
        bars = progress_bars(quiet=quiet)
        with bars(OPENING, 1):
            job = open_job(recipe)
        result = run_compare(job, calibrators or list(CALIBRATORS), folder=folder, progress=bars)
        content = result.to_json()
        print_result(content, lambda: render_comparison(content), as_json=json)
