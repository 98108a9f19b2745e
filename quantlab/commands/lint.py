"""`quantlab lint`: what a runtime would refuse, misread or run in float, before any build."""

from __future__ import annotations

from typing import Annotated

import typer

from quantlab.commands import options
from quantlab.commands.terminal import print_result, reporting_errors

SHORT_HELP = "Find what a runtime would refuse, misread or run in float."
EPILOG = """\b
Examples:
  quantlab lint net.int8.onnx
  quantlab lint net.int8.onnx --target onnxruntime --json
"""

ModelArgument = Annotated[str, typer.Argument(help="A Q/DQ .onnx file, of quantlab or of another tool.")]
Target = Annotated[str, typer.Option(help="The runtime that is to take it: tensorrt or onnxruntime.")]


def lint(
    model: ModelArgument,
    target: Target = "tensorrt",
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Find in a quantized model what a runtime would accept silently or refuse obscurely, before any build.

    The exit code is 0 if nothing is found, else 1.
    """
    with reporting_errors(debug=debug):
        from quantlab.lint import lint as find_faults
        from quantlab.opening import open_model

        found = find_faults(open_model(model), target)
        print_result(found.to_json(), lambda: str(found), as_json=json)
        if not found.is_clean:
            raise typer.Exit(1)
