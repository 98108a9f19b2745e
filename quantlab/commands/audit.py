"""`quantlab audit`: which layers really run in INT8."""

from __future__ import annotations

import json as json_module
from typing import TYPE_CHECKING, Annotated

import typer

from quantlab.commands import completion, options
from quantlab.commands.terminal import print_result, progress_bars, reporting_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from quantlab.audit import Audit

SHORT_HELP = "Show which layers a runtime really runs in INT8."
EPILOG = """\b
Examples:
  quantlab audit runs/net-entropy
  quantlab audit net.int8.onnx --runtime tensorrt_rtx --require 0.95
"""

Source = Annotated[str, typer.Argument(metavar="MODEL|RUN", help="An INT8 .onnx file, or the folder of a run.")]
Runtime = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        autocompletion=completion.audited_runtimes,
        help="onnxruntime, tensorrt or tensorrt_rtx; if not given the one the model was made for, which is onnxruntime "
        "where the model does not say.",
    ),
]
Require = Annotated[
    float | None,
    typer.Option(min=0.0, max=1.0, metavar="SHARE", help="Fail if a smaller share of the multiply-adds is in INT8."),
]


def audit(
    source: Source,
    runtime: Runtime = None,
    require: Require = None,
    shape: options.Shapes = None,
    data: options.SizesData = None,
    plugins: options.Plugins = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Show per node where it was planned and where it runs, what it is fused with, and which kernels only convert.

    ONNX Runtime tells by the graph it would execute; TensorRT by the layers of an engine, which is built for this.
    """
    with reporting_errors(debug=debug):
        from quantlab import deployment
        from quantlab.engines.tensorrt import BuildSettings, parse_shapes

        settings = BuildSettings(shapes=parse_shapes(shape or ()), plugins=tuple(map(str, plugins or ())))
        with progress_bars(quiet=quiet)(f"auditing {source}", 1):
            audits = deployment.audit(source, runtime=runtime, settings=settings, data=data)
        plain = {"audits": [json_module.loads(each.to_json()) for each in audits]}
        print_result(plain, lambda: _rendered(audits), as_json=json)
        if require is not None:
            deployment.require_share(audits, require)


def _rendered(audits: Sequence[Audit]) -> RenderableType:
    from rich.console import Group

    from quantlab.report.audit_table import render_audit

    return Group(*map(render_audit, audits))
