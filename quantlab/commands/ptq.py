"""`quantlab ptq`: the main job, end to end."""

from __future__ import annotations

from typing import Any

from quantlab.commands import options
from quantlab.commands.settings import calibrator_options, default_folder, preprocess_settings
from quantlab.commands.terminal import progress_bars, reporting_errors, show_report

EPILOG = """Examples:  quantlab ptq  |  quantlab ptq --model net.onnx --data photos/ --preprocess imagenet
--calibrator percentile  |  quantlab ptq --model net.onnx --data calib.npz --target onnxruntime --target tensorrt"""


def ptq(
    model: options.Model = "digits",
    data: options.Data = "digits",
    eval_data: options.EvalData = None,
    preprocess: options.Preprocess = None,
    calibrator: options.Calibrator = "entropy",
    percentile: options.Percentile = None,
    max_error_ratio: options.MaxErrorRatio = None,
    weights: options.Weights = "absmax",
    target: options.Targets = ["onnxruntime"],  # noqa: B006 (typer copies it)
    keep_float: options.KeepFloat = None,
    samples: options.Samples = 512,
    eval_samples: options.EvalSamples = None,
    batch_size: options.BatchSize = 8,
    latency_batch: options.LatencyBatches = None,
    output: options.Output = None,
    top_k: options.TopK = 1,
    threads: options.Threads = None,
    seed: options.Seed = 0,
    memory_cap_mb: options.MemoryCap = 512,
    library: options.Libraries = None,
    out: options.Out = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Quantize a float network after training and compare it with the original.

    With no model and no data: the bundled digits network on the bundled digits.
    """
    with reporting_errors(debug=debug):
        from quantlab.pipeline import ptq as run_ptq

        settings: dict[str, Any] = {
            "eval_data": eval_data,
            "preprocess": preprocess_settings(preprocess),
            "calibrator": calibrator,
            "calibrator_options": calibrator_options(percentile=percentile, max_error_ratio=max_error_ratio),
            "weights": weights,
            "targets": tuple(target),
            "keep_float": tuple(keep_float or ()),
            "samples": samples,
            "eval_samples": eval_samples,
            "batch_size": batch_size,
            "latency_batches": tuple(latency_batch or (1,)),
            "output": output,
            "top_k": top_k,
            "threads": threads,
            "seed": seed,
            "memory_cap_mb": memory_cap_mb,
            "libraries": tuple(str(path) for path in library or ()),
        }
        folder = out or default_folder(model, calibrator)
        run = run_ptq(model, data, out=folder, progress=progress_bars(quiet=quiet), **settings)
        show_report(run.report, folder, as_json=json)
