"""`quantlab evaluate`: any number of models in one table."""

from __future__ import annotations

from typing import Annotated

import typer

from quantlab.commands import options
from quantlab.commands.settings import latency_batches, preprocess_settings
from quantlab.commands.terminal import print_result, progress_bars, reporting_errors

SHORT_HELP = "Compare models: accuracy, agreement, latency, size."
EPILOG = """\b
Examples:
  quantlab evaluate runs/digits-entropy/*.onnx
  quantlab evaluate net.onnx --data test.npz --latency-batch 1 --latency-batch 16
"""

Models = Annotated[
    list[str], typer.Argument(metavar="MODEL", help=".onnx files; the first is what the others are compared with.")
]


def evaluate(
    models: Models,
    data: options.JudgedData = "digits:evaluation",
    preprocess: options.Preprocess = None,
    eval_samples: options.EvalSamples = None,
    batch_size: options.BatchSize = 8,
    latency_batch: options.LatencyBatches = None,
    no_latency: options.NoLatency = False,
    output: options.Output = None,
    top_k: options.TopK = 1,
    threads: options.Threads = None,
    seed: options.Seed = 0,
    library: options.Libraries = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Compare models: accuracy with interval, agreement, latency, size and memory.

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
                output=output,
                top_k=top_k,
                latency_batch_sizes=latency_batches(latency_batch, is_off=no_latency),
                seed=seed,
            ),
            engine=OnnxRuntime(threads, libraries=tuple(map(str, library or ()))),
            progress=progress_bars(quiet=quiet),
        )
        print_result(evaluation.to_json(), lambda: render_evaluation(evaluation), as_json=json)
