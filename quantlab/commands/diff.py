"""`quantlab diff`: two models layer by layer."""

from __future__ import annotations

import json as json_module
from typing import Annotated

import typer

from quantlab.commands import options
from quantlab.commands.settings import preprocess_settings
from quantlab.commands.terminal import print_renderables, reporting_errors

EPILOG = """Examples:  quantlab diff runs/digits-entropy/model.fp32.onnx
runs/digits-entropy/model.onnxruntime.int8.onnx --samples 64"""

First = Annotated[str, typer.Argument(help="The model taken as right, usually FP32.")]
Second = Annotated[str, typer.Argument(help="The other, usually INT8.")]
Top = Annotated[int, typer.Option(min=1, help="Show so many tensors, the worst ones.")]
Samples = Annotated[int, typer.Option(min=1, help="How many samples to compare on.")]


def diff(
    first: First,
    second: Second,
    data: options.JudgedData = "digits:evaluation",
    preprocess: options.Preprocess = None,
    samples: Samples = 64,
    batch_size: options.BatchSize = 8,
    top: Top = 30,
    threads: options.Threads = None,
    seed: options.Seed = 0,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Show how far each tensor of a quantized model is from the float one (SQNR), worst first.

    The SQNR of a tensor holds all the noise that arose before it: look for where it falls, not for where it is low.
    """
    with reporting_errors(debug=debug):
        from quantlab import side_by_side
        from quantlab.engines.onnxruntime import OnnxRuntime
        from quantlab.report.to_terminal import render_layers

        judged = side_by_side.Samples(data, preprocess_settings(preprocess), samples, batch_size, seed)
        difference = side_by_side.diff(first, second, judged, engine=OnnxRuntime(threads))
        if json:
            typer.echo(json_module.dumps(difference.to_json(), indent=1, allow_nan=False))
        else:
            print_renderables(render_layers(difference, top=top))
