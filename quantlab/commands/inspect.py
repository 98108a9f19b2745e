"""`quantlab inspect`: look at a model, and at what a target would quantize in it."""

from __future__ import annotations

import json as json_module
from typing import Annotated

import typer

from quantlab.commands import options
from quantlab.commands.terminal import reporting_errors

EPILOG = """Examples:  quantlab inspect net.onnx  |  quantlab inspect net.onnx --plan --target tensorrt
quantlab inspect runs/digits-entropy/model.onnxruntime.int8.onnx"""

ModelArgument = Annotated[str, typer.Argument(help="An .onnx file, float or quantized, or `digits`.")]
Plan = Annotated[bool, typer.Option("--plan", help="Show every point, and for every tensor left float why.")]


def inspect(
    model: ModelArgument = "digits",
    plan: Plan = False,
    target: options.Targets = ["onnxruntime"],  # noqa: B006 (typer copies it)
    keep_float: options.KeepFloat = None,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Show a model's inputs, operators and weights; with --plan what each target quantizes, and why not the rest."""
    with reporting_errors(debug=debug):
        from quantlab.inspection import inspect_model

        inspection = inspect_model(model, targets=tuple(target) if plan else (), keep_float=tuple(keep_float or ()))
        typer.echo(json_module.dumps(inspection.to_json(), indent=1) if json else str(inspection))
