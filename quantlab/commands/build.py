"""`quantlab build`: a TensorRT plan from a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from quantlab.commands import completion, options
from quantlab.commands.settings import torch_settings
from quantlab.commands.terminal import print_result, progress_bars, reporting_errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import RenderableType

    from quantlab.deployable import Precision
    from quantlab.deployment import Deployment

SHORT_HELP = "Build a TensorRT engine, and see what became of each layer."
EPILOG = """\b
Examples:
  quantlab build runs/net-entropy
  quantlab build runs/net-entropy --precision fp32 --precision fp16 --precision int8+fp16
  quantlab build net.onnx --shape x:1x3x224x224,8x3x224x224,32x3x224x224
  quantlab build net.onnx --runtime tensorrt_rtx --compute-capability 8.9 --out net.plan
"""

Source = Annotated[str, typer.Argument(metavar="MODEL|RUN", help=f"{options.MODEL_FORMS}; or the folder of a run.")]
Out = Annotated[
    Path | None, typer.Option(metavar="FILE", help="The plan; if not given, beside the model (of `digits`: here).")
]
Precisions = Annotated[
    list[str] | None,
    typer.Option(
        "--precision",
        metavar="P",
        autocompletion=completion.precisions,
        help="fp32, fp16, int8 (the rest float32) or int8+fp16; the types that stand in the model if not given; "
        "repeatable.",
    ),
]
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
    precision: Precisions = None,
    runtime: options.Runtime = None,
    shape: options.Shapes = None,
    data: options.SizesData = None,
    workspace_mb: options.Workspace = None,
    optimization_level: options.OptimizationLevel = None,
    timing_cache: options.TimingCache = None,
    compute_capability: options.ComputeCapabilities = None,
    plugins: options.Plugins = None,
    latency_batch: LatencyBatches = None,
    timeout: Timeout = 3600.0,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Build a TensorRT engine with its side-car, and print the trtexec lines that do the same.

    TensorRT builds for the GPU of this machine. TensorRT-RTX builds for other machines too, and needs no GPU.
    """
    plans: list[Path] = []
    with reporting_errors(debug=debug, made=plans):
        from quantlab import deployment
        from quantlab.deployable import in_precision
        from quantlab.engines.tensorrt import BuildSettings, parse_shapes
        from quantlab.errors import RecipeError

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
        names: list[str | None] = list(precision or ()) or [None]
        if len(set(names)) < len(names):
            raise RecipeError("--precision: one is named twice; name each once")
        if out is not None and len(names) > 1:
            raise RecipeError("--out: one file for several precisions; leave it out, or give one --precision")
        batches = tuple(latency_batch or ())
        torch = torch_settings(weights, input_shape, opset, free_axes)
        bars, made = progress_bars(quiet=quiet), {}
        for name in names:
            with bars(f"building {source}" if name is None else f"building {source} in {name}", 1):
                made[name] = deployment.build(
                    in_precision(source, cast("Precision | None", name), torch=torch),
                    out,
                    settings=settings,
                    data=data,
                    latency_batches=batches,
                )
                plans.append(made[name].plan)
        if len(made) == 1:
            (built,) = made.values()
            print_result(built.to_json(), lambda: _rendered(built), as_json=json)
        else:
            plain = {"builds": {str(name): built.to_json() for name, built in made.items()}}
            print_result(plain, lambda: _side_by_side(made), as_json=json)


def _side_by_side(made: Mapping[str | None, Deployment]) -> RenderableType:
    """Return several builds as a table, and below it what each says."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="")
    for title in ("precision", "layers", "INT8", "weights", "activations", "multiply-adds in INT8", "latency"):
        table.add_column(title, justify="left" if title == "precision" else "right")
    for name, built in made.items():
        table.add_row(name, *built.cells)
    return Group(table, *(part for built in made.values() for part in (Text(), _rendered(built))))


def _rendered(built: Deployment) -> RenderableType:
    """Return the result as text, with command lines that are never broken."""
    from rich.console import Group
    from rich.text import Text

    from quantlab.report.prose import Prose
    from quantlab.report.to_terminal import tool_lines

    said = "The same with NVIDIA's own tools:"
    return Group(Prose(str(built), hang=4), Text(), Text(said), *tool_lines(built.command_lines))
