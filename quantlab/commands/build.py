"""`quantlab build`: a TensorRT plan from a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quantlab.commands import options
from quantlab.commands.settings import torch_settings
from quantlab.commands.terminal import print_result, reporting_errors

if TYPE_CHECKING:
    from rich.console import RenderableType

    from quantlab.deployment import Deployment

SHORT_HELP = "Build a TensorRT engine, and see what became of each layer."
EPILOG = """\b
Examples:
  quantlab build runs/net-entropy
  quantlab build net.onnx --shape x:1x3x224x224,8x3x224x224,32x3x224x224
  quantlab build net.onnx --runtime tensorrt_rtx --compute-capability 8.9 --out net.plan
"""

Source = Annotated[str, typer.Argument(metavar="MODEL|RUN", help=f"{options.MODEL_FORMS}; or the folder of a run.")]
Out = Annotated[Path | None, typer.Option(metavar="FILE", help="The plan; beside the model if not given.")]
Data = Annotated[str | None, typer.Option(metavar="DATA", help="Samples that tell the sizes of free axes.")]
LatencyBatches = Annotated[
    list[int] | None,
    typer.Option("--latency-batch", min=1, metavar="N", help="Time batches of N on this machine's GPU; repeatable."),
]
Timeout = Annotated[float, typer.Option(metavar="SECONDS", help="Stop a build that takes longer.")]


def build(
    source: Source,
    weights: options.TorchWeights = None,
    input_shape: options.InputShapes = None,
    opset: options.Opset = None,
    free_axes: options.FreeAxes = None,
    out: Out = None,
    runtime: options.Runtime = None,
    shape: options.Shapes = None,
    data: Data = None,
    workspace_mb: options.Workspace = None,
    optimization_level: options.OptimizationLevel = None,
    timing_cache: options.TimingCache = None,
    compute_capability: options.ComputeCapabilities = None,
    plugins: options.Plugins = None,
    latency_batch: LatencyBatches = None,
    timeout: Timeout = 3600.0,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Build a TensorRT engine with its side-car, and print the trtexec lines that do the same.

    TensorRT builds for the GPU of this machine. TensorRT-RTX builds for other machines too, and needs no GPU.
    """
    with reporting_errors(debug=debug):
        from quantlab import deployment
        from quantlab.engines.tensorrt import BuildSettings, parse_shapes

        settings = BuildSettings(
            runtime=runtime,
            shapes=parse_shapes(shape or ()),
            workspace_mb=workspace_mb,
            optimization_level=optimization_level,
            timing_cache=timing_cache,
            compute_capabilities=tuple(compute_capability or ()),
            plugins=tuple(map(str, plugins or ())),
            timeout_s=timeout,
        )
        batches = tuple(latency_batch or ())
        torch = torch_settings(weights, input_shape, opset, free_axes)
        built = deployment.build(source, out, settings=settings, data=data, latency_batches=batches, torch=torch)
        print_result(built.to_json(), lambda: _rendered(built), as_json=json)


def _rendered(built: Deployment) -> RenderableType:
    """Return the result as text, with command lines that are never broken."""
    from rich.console import Group
    from rich.text import Text

    from quantlab.report.prose import Prose

    lines = [
        Text(text, no_wrap=True, overflow="ignore")
        for tool, line in built.command_lines.items()
        for text in (f"# {tool}", line)
    ]
    return Group(Prose(str(built), hang=4), Text(), Text("The same with NVIDIA's own tools:"), *lines)
