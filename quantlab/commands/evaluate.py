"""`quantlab evaluate`: any number of models in one table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from quantlab.commands import completion, options
from quantlab.commands.settings import chosen_engine, latency_batches, preprocess_settings, torch_settings
from quantlab.commands.terminal import print_result, progress_bars, reporting_errors

SHORT_HELP = "Compare models: accuracy, agreement, latency, size."
EPILOG = """\b
Examples:
  quantlab evaluate runs/digits-entropy/*.onnx
  quantlab evaluate net.onnx --data test.npz --latency-batch 1 --latency-batch 16
  quantlab evaluate torchvision:resnet50 net.int8.onnx --torch --data photos/
  quantlab evaluate net.fp32.plan net.fp16.plan net.int8.plan --data test.npz
  quantlab evaluate net.fp32.onnx net.int8.onnx --engine tensorrt --data test.npz
"""

Models = Annotated[
    list[str],
    typer.Argument(
        metavar="MODEL",
        help=".onnx files, TensorRT plans, or torch models such as torchvision:resnet50; the first is what the others "
        "are compared with.",
    ),
]
EngineName = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="NAME",
        autocompletion=completion.judging_engines,
        help="What runs the .onnx files: onnxruntime, or tensorrt, which builds them first.",
    ),
]
CudaGraph = Annotated[
    bool, typer.Option("--cuda-graph", help="With TensorRT: launch all kernels of a run at once, as one CUDA graph.")
]
RuntimeCache = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="With tensorrt_rtx: keeps compiled kernels for later processes; made if missing."
    ),
]
InTorch = Annotated[
    bool, typer.Option("--torch", help="Run float models in torch too: the module itself, or the graph of a file.")
]
Device = Annotated[str, typer.Option(metavar="NAME", help="With --torch: cpu, cuda, cuda:1, or auto.")]


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
    engine: EngineName = "onnxruntime",
    in_torch: InTorch = False,
    device: Device = "cpu",
    weights: options.TorchWeights = None,
    input_shape: options.InputShapes = None,
    opset: options.Opset = None,
    free_axes: options.FreeAxes = None,
    runtime: options.Runtime = None,
    shape: options.Shapes = None,
    plugins: options.Plugins = None,
    cuda_graph: CudaGraph = False,
    runtime_cache: RuntimeCache = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Compare models: accuracy with interval, agreement, latency, size and memory.

    A model made for a runtime that is not here is computed step by step, marked simulated, and not timed. Plans, and
    with --engine tensorrt all models, need an NVIDIA GPU; they are timed by its own clock too.
    """
    with reporting_errors(debug=debug):
        from quantlab.contenders import TorchRows, open_contenders
        from quantlab.engines.tensorrt import RunSettings
        from quantlab.engines.torch_eager import TorchEager
        from quantlab.evaluation import EvaluationSettings
        from quantlab.report.to_terminal import render_evaluation
        from quantlab.side_by_side import Samples
        from quantlab.side_by_side import evaluate as evaluate_models

        run = RunSettings(cuda_graph=cuda_graph, runtime_cache=runtime_cache)
        opening = torch_settings(weights, input_shape, opset, free_axes)
        eager = TorchEager(device, threads) if in_torch else None
        bars = progress_bars(quiet=quiet)
        with bars("opening models", 1):
            contenders = open_contenders(models, run, TorchRows(opening, eager))
        evaluation = evaluate_models(
            contenders,
            Samples(data, preprocess_settings(preprocess), eval_samples, batch_size, seed),
            settings=EvaluationSettings(
                output=output,
                top_k=top_k,
                latency_batch_sizes=latency_batches(latency_batch, is_off=no_latency),
                seed=seed,
            ),
            engine=chosen_engine(
                engine,
                threads=threads,
                libraries=library,
                tensorrt={"runtime": runtime, "shape": shape, "plugins": plugins},
            ),
            run=run,
            progress=bars,
        )
        print_result(evaluation.to_json(), lambda: render_evaluation(evaluation), as_json=json)
