"""`quantlab ptq`: the main job, end to end."""

from __future__ import annotations

import typer

from quantlab.commands import build_options, options
from quantlab.commands.run import tell_forecast
from quantlab.commands.settings import (
    calibrator_options,
    collecting_device,
    default_folder,
    latency_batches,
    preprocess_settings,
)
from quantlab.commands.terminal import print_report, progress_bars, reporting_errors
from quantlab.ranks import joined

SHORT_HELP = "Quantize a float network and say what that costs and gains."
EPILOG = """\b
Examples:
  quantlab ptq
  quantlab ptq --model net.onnx --data photos/ --preprocess imagenet --calibrator percentile
  quantlab ptq --model net.onnx --data calib.npz --target onnxruntime --target tensorrt
  quantlab ptq --model net.onnx --data calib.npz --target tensorrt --build
  quantlab ptq --model net.onnx --data calib.npz --dry-run
  quantlab ptq --model torchvision:resnet50 --data photos/
  quantlab ptq --model net.py:make --weights net.pth --input-shape 1x3x160x160 --data photos/
"""


def ptq(
    context: typer.Context,
    model: options.Model = "digits",
    weights: options.TorchWeights = None,
    input_shape: options.InputShapes = None,
    opset: options.Opset = None,
    free_axes: options.FreeAxes = None,
    data: options.Data = "digits",
    eval_data: options.EvalData = None,
    preprocess: options.Preprocess = None,
    calibrator: options.Calibrator = "entropy",
    percentile: options.Percentile = None,
    max_error_ratio: options.MaxErrorRatio = None,
    weight_ranges: options.WeightRanges = "absmax",
    weight_scales: options.WeightScales = "per-channel",
    target: options.Targets = ["onnxruntime"],  # noqa: B006 (typer copies it)
    keep_float: options.KeepFloat = None,
    samples: options.Samples = 512,
    eval_samples: options.EvalSamples = None,
    batch_size: options.BatchSize = 8,
    latency_batch: options.LatencyBatches = None,
    no_latency: options.NoLatency = False,
    layer_samples: options.LayerSamples = 8,
    no_fp16: options.NoHalf = False,
    sensitivity_samples: options.SensitivitySamples = 0,
    output: options.Output = None,
    top_k: options.TopK = 1,
    engine: options.Engine = "onnxruntime",
    device: options.Device = "auto",
    threads: options.Threads = None,
    seed: options.Seed = 0,
    memory_cap_mb: options.MemoryCap = 512,
    library: options.Libraries = None,
    build: build_options.Build = False,
    runtime: build_options.Runtime = None,
    shape: build_options.Shapes = None,
    compute_capability: build_options.ComputeCapabilities = None,
    plugins: build_options.Plugins = None,
    out: options.Out = None,
    dry_run: options.DryRun = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Quantize a float network after training, and compare it with the original.

    With no model and no data: the bundled digits network on the bundled digits.
    """
    folder = out or default_folder(model, calibrator)
    with reporting_errors(debug=debug, folder=folder), joined("cpu" if engine != "torch" else device) as ranks:
        from quantlab.pipeline import assist_recipe, run_recipe
        from quantlab.recipe import Recipe

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
                "calibrator": calibrator,
                "calibrator_options": calibrator_options(percentile=percentile, max_error_ratio=max_error_ratio),
                "weight_ranges": weight_ranges,
                "weight_scales": weight_scales,
                "targets": tuple(target),
                "build": build,
                "build_options": build_options.build_options(runtime, shape, compute_capability, plugins),
                "keep_float": tuple(keep_float or ()),
                "samples": samples,
                "eval_samples": eval_samples,
                "batch_size": batch_size,
                "latency_batches": latency_batches(latency_batch, is_off=no_latency),
                "layer_samples": layer_samples,
                "fp16": not no_fp16,
                "sensitivity_samples": sensitivity_samples,
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
        if not ranks.is_first:
            if not dry_run:
                assist_recipe(recipe, ranks)
            return
        bars = progress_bars(quiet=quiet)
        if dry_run:
            tell_forecast(recipe, bars, as_json=json)
            return
        result = run_recipe(recipe, out=folder, progress=bars, command=context.obj, ranks=ranks)
        print_report(result.report, result.folder, as_json=json)
