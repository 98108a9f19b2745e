"""`quantlab lint`: what a runtime would refuse, misread or run in float, before any build."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from quantlab.commands import completion, options
from quantlab.commands.terminal import print_result, progress_bars, reporting_errors

SHORT_HELP = "Find what a runtime would refuse, misread or run in float."
EPILOG = """\b
Examples:
  quantlab lint net.int8.onnx
  quantlab lint net.int8.onnx --target onnxruntime --json
  quantlab lint net.int8.onnx --fix net.fixed.onnx
"""

ModelArgument = Annotated[str, typer.Argument(help="A Q/DQ .onnx file, of quantlab or of another tool.")]
Target = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        autocompletion=completion.targets,
        help="The runtime that is to take it: tensorrt or onnxruntime.",
    ),
]

Fix = Annotated[
    Path | None,
    typer.Option(help="Write a model here that is placed anew with the same ranges; numerics change, as it says."),
]


def lint(
    model: ModelArgument,
    target: Target = "tensorrt",
    fix: Fix = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Find in a quantized model what a runtime would accept silently or refuse obscurely, before any build.

    The exit code is 0 if nothing is found (with --fix: in the new model), else 1.
    """
    with reporting_errors(debug=debug):
        from quantlab import lint as linting
        from quantlab.graph.save import save
        from quantlab.opening import open_model

        bars = progress_bars(quiet=quiet)
        with bars(f"opening {model}", 1):
            opened = open_model(model)
        if fix is None:
            with bars(f"checking {model}", 1):
                found = linting.lint(opened, target)
            print_result(found.to_json(), lambda: str(found), as_json=json)
            left = found
        else:
            with bars(f"placing {model} anew", 1):
                fixed = linting.fix(opened, target)
                save(fixed.model, fix)
            print_result({**fixed.to_json(), "written": str(fix)}, lambda: f"{fixed}\n{fix}", as_json=json)
            left = fixed.after
        if not left.is_clean:
            raise typer.Exit(1)
