"""`quantlab inspect`: look at a model, and at what a target would quantize in it."""

from __future__ import annotations

from typing import Annotated

import typer

from quantlab.commands import options
from quantlab.commands.terminal import print_result, reporting_errors

SHORT_HELP = "Look at a model, and at what would be quantized in it."
EPILOG = """\b
Examples:
  quantlab inspect net.onnx
  quantlab inspect net.onnx --plan --target tensorrt
  quantlab inspect runs/digits-entropy/model.onnxruntime.int8.onnx
"""

ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="An .onnx file, float or quantized, or `digits`.")]
Plan = Annotated[bool, typer.Option("--plan", help="Show every point, and for every tensor left float why.")]
Targets = Annotated[
    list[str],
    typer.Option("--target", metavar="NAME", help="With --plan: whose plan, onnxruntime or tensorrt; repeatable."),
]


def inspect(
    model: ModelArgument = "digits",
    plan: Plan = False,
    target: Targets = ["onnxruntime"],  # noqa: B006 (typer copies it)
    keep_float: options.KeepFloat = None,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Show a model's inputs, operators and weights; with --plan what each target quantizes, and why not the rest."""
    with reporting_errors(debug=debug):
        from quantlab.inspection import inspect_model

        inspection = inspect_model(model, targets=tuple(target) if plan else (), keep_float=tuple(keep_float or ()))
        print_result(inspection.to_json(), lambda: str(inspection), as_json=json)
