"""`quantlab diff`: two models tensor by tensor."""

from __future__ import annotations

from typing import Annotated

import typer

from quantlab.commands import completion, options
from quantlab.commands.settings import preprocess_settings, torch_settings
from quantlab.commands.terminal import print_result, progress_bars, reporting_errors

SHORT_HELP = "Compare two models tensor by tensor, worst first."
EPILOG = """\b
Examples:
  quantlab diff runs/digits-entropy/model.*.onnx
  quantlab diff net.fp32.onnx net.int8.onnx --data calib.npz --samples 32 --top 10
  quantlab diff net.fp32.onnx net.int8.onnx --data calib.npz --runtime tensorrt
"""

First = Annotated[str, typer.Argument(metavar="FIRST", help="The model taken as right, usually FP32.")]
Second = Annotated[str, typer.Argument(metavar="SECOND", help="The other, usually INT8.")]
Top = Annotated[int, typer.Option(min=1, metavar="N", help="Show N tensors, the worst ones.")]
Runtime = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        autocompletion=completion.runners,
        help="Run SECOND on it too: onnxruntime, tensorrt, tensorrt_rtx or none; if not given, on the one it was made "
        "for, where that runs here.",
    ),
]
Samples = Annotated[int, typer.Option(min=1, metavar="N", help="Samples to compare on, at most.")]


def diff(
    first: First,
    second: Second,
    data: options.JudgedData = "digits:evaluation",
    weights: options.TorchWeights = None,
    input_shape: options.InputShapes = None,
    opset: options.Opset = None,
    free_axes: options.FreeAxes = None,
    preprocess: options.Preprocess = None,
    samples: Samples = 64,
    batch_size: options.BatchSize = 8,
    top: Top = 30,
    runtime: Runtime = None,
    threads: options.Threads = None,
    seed: options.Seed = 0,
    library: options.Libraries = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Show how far each tensor of a quantized model is from the float one (SQNR), worst first.

    The SQNR of a tensor holds all the noise that arose before it: look for where it falls, not for where it is low.
    Quantization error is that of every Q/DQ pair computed step by step; runtime error is what the runtime, which
    multiplies integers and rounds in its own places, adds to it.
    """
    with reporting_errors(debug=debug):
        from quantlab import side_by_side
        from quantlab.engines.onnxruntime import OnnxRuntime
        from quantlab.opening import check_torch_settings, open_model
        from quantlab.report.to_terminal import render_layers

        torch = torch_settings(weights, input_shape, opset, free_axes)
        check_torch_settings([first, second], torch)
        bars = progress_bars(quiet=quiet)
        with bars("opening models", 1):
            models = open_model(first, torch), open_model(second, torch)
        difference = side_by_side.diff(
            *models,
            side_by_side.Samples(data, preprocess_settings(preprocess), samples, batch_size, seed),
            runtime=runtime,
            engine=OnnxRuntime(threads, libraries=tuple(map(str, library or ()))),
            progress=bars,
        )
        print_result(difference.to_json(), lambda: render_layers(difference, top=top), as_json=json)
