"""`quantlab evaluate`: any number of models in one table."""

from __future__ import annotations

import json as json_module
from typing import Annotated

import typer

from quantlab.commands import options
from quantlab.commands.settings import preprocess_settings
from quantlab.commands.terminal import print_renderables, progress_bars, reporting_errors

EPILOG = """Examples:  quantlab evaluate runs/digits-entropy/model.fp32.onnx
runs/digits-entropy/model.onnxruntime.int8.onnx --data digits:evaluation --latency-batch 1 --latency-batch 16"""

Models = Annotated[list[str], typer.Argument(help=".onnx files; the first is what the others are compared with.")]


def evaluate(
    models: Models,
    data: options.JudgedData = "digits:evaluation",
    preprocess: options.Preprocess = None,
    eval_samples: options.EvalSamples = None,
    batch_size: options.BatchSize = 8,
    latency_batch: options.LatencyBatches = None,
    output: options.Output = None,
    top_k: options.TopK = 1,
    threads: options.Threads = None,
    seed: options.Seed = 0,
    library: options.Libraries = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Compare models: accuracy with interval, agreement, latency, size.

    A model made for a runtime that is not here is computed step by step, marked simulated, and not timed.
    """
    with reporting_errors(debug=debug):
        from quantlab.engines.onnxruntime import OnnxRuntime
        from quantlab.evaluation import EvaluationSettings
        from quantlab.report.to_terminal import render_evaluation
        from quantlab.side_by_side import Samples
        from quantlab.side_by_side import evaluate as evaluate_models

        evaluation = evaluate_models(
            models,
            Samples(data, preprocess_settings(preprocess), eval_samples, batch_size, seed),
            settings=EvaluationSettings(
                output=output, top_k=top_k, latency_batch_sizes=tuple(latency_batch or (1,)), seed=seed
            ),
            engine=OnnxRuntime(threads, libraries=tuple(map(str, library or ()))),
            progress=progress_bars(quiet=quiet),
        )
        if json:
            typer.echo(json_module.dumps(evaluation.to_json(), indent=1, allow_nan=False))
        else:
            print_renderables(render_evaluation(evaluation))
