"""`quantlab inspect`: look at a model, and at what a target would quantize in it."""

from __future__ import annotations

from typing import Annotated

import typer

from quantlab.commands import completion, options
from quantlab.commands.settings import torch_settings
from quantlab.commands.terminal import print_result, progress_bars, reporting_errors

SHORT_HELP = "Look at a model, and at what would be quantized in it."
EPILOG = """\b
Examples:
  quantlab inspect net.onnx
  quantlab inspect net.onnx --plan --target tensorrt
  quantlab inspect 'transformers:swin,depths=[1,1],num_heads=[2,4]' --plan
  quantlab inspect runs/digits-entropy/model.onnxruntime.int8.onnx
"""

ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help=f"A model, float or quantized: {options.MODEL_FORMS}.")
]
Plan = Annotated[bool, typer.Option("--plan", help="Show every point, and for every tensor left float why.")]
Targets = Annotated[
    list[str],
    typer.Option(
        "--target",
        metavar="NAME",
        autocompletion=completion.targets,
        help="With --plan: whose plan, onnxruntime or tensorrt; repeatable.",
    ),
]


def inspect(
    model: ModelArgument = "digits",
    weights: options.TorchWeights = None,
    input_shape: options.InputShapes = None,
    opset: options.Opset = None,
    free_axes: options.FreeAxes = None,
    plan: Plan = False,
    target: Targets = ["onnxruntime"],  # noqa: B006 (typer copies it)
    keep_float: options.KeepFloat = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Show a model's inputs, operators and weights; with --plan what each target quantizes, and why not the rest."""
    with reporting_errors(debug=debug):
        from quantlab.inspection import inspect_model

        targets, kept = tuple(target) if plan else (), tuple(keep_float or ())
        torch = torch_settings(weights, input_shape, opset, free_axes)
        with progress_bars(quiet=quiet)(f"looking at {model}", 1):
            inspection = inspect_model(model, targets=targets, keep_float=kept, torch=torch)
        print_result(inspection.to_json(), lambda: str(inspection), as_json=json)
