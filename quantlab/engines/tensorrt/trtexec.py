"""The command lines that build and time the same model with NVIDIA's own tools, so that anyone can check a result.

TensorRT 11 changed what `trtexec` does when nothing is said: CUDA graphs and spinning on, copies to and from the GPU
off. The lines say everything, so that both versions do, and time, the same: copies in, no graph, no spinning. Version
11 takes networks as strongly typed and would only warn of the flag. Of plugins `tensorrt_rtx` is told nothing, since
NVIDIA's porting guide has no option for them.

Sources: samples/common/sampleOptions.cpp and sampleUtils.cpp of TensorRT 10.12, 10.13, 10.16, 11.0 and 11.1; NVIDIA's
pages on `tensorrt_rtx` (benchmarking, memory, compute capabilities), which do not name the options for workspace and
level; public scripts give it those of `trtexec`. Not run for this project: the Python packages come without the tools.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from quantlab.engines.tensorrt.plugins import ENTRY_POINTS
from quantlab.engines.tensorrt.settings import BuildSettings
from quantlab.engines.tensorrt.shapes import ShapeRange

# What must be said for copies, no graph and no spinning; trtexec 10 does so by default.
_VERSIONS: Mapping[str, tuple[str, ...]] = {
    "trtexec 10": ("--stronglyTyped",),
    "trtexec 11": ("--includeDataTransfers", "--noCudaGraph", "--noSpinWait"),
}
_RTX = ("--includeDataTransfers", "--rtxCudaGraphStrategy=disable", "--noSpinWait")

# A list of shapes is cut at every comma, and a quote stands for the end of a name.
_UNWRITABLE = re.compile(r"[,'](.*[,'])?", re.DOTALL)


def command_lines(
    onnx: str | Path, plan: str | Path, shapes: Mapping[str, ShapeRange], settings: BuildSettings
) -> dict[str, str]:
    """Return by tool and major version the line, for a POSIX shell, that builds and times a model.

    Args:
        onnx: the model.
        plan: where the tool is to write the plan.
        shapes: the range of every input that has a free axis in the model, even if it is a single shape, and of every
            input that is a shape: what is not told is 1. Of a model with neither the tools refuse any.
        settings: the other settings of the build; Python plugins have no counterpart there and are left out.
    """
    common = [f"--onnx={_as_model(onnx)}", f"--saveEngine={plan}", *_shape_options(shapes), *_limits(settings)]
    common.append("--profilingVerbosity=detailed")
    lines = {}
    if settings.runtime in (None, "tensorrt_rtx"):
        lines["tensorrt_rtx 1"] = shlex.join(["tensorrt_rtx", *common, *_capabilities(settings), *_RTX])
    common += [f"--exportLayerInfo={plan}.layers.json", *_on_the_gpu(settings)]
    for tool, own in _VERSIONS.items():
        lines[tool] = shlex.join(["trtexec", *common, *own])
    return lines


def _as_model(onnx: str | Path) -> str:
    """Return the path of a model; the tools take a tilde in front for the home folder."""
    return f"./{onnx}" if str(onnx).startswith("~") else str(onnx)


def _shape_options(shapes: Mapping[str, ShapeRange]) -> list[str]:
    ends = {
        "--minShapes": {name: shape.smallest for name, shape in shapes.items()},
        "--optShapes": {name: shape.usual for name, shape in shapes.items()},
        "--maxShapes": {name: shape.largest for name, shape in shapes.items()},
    }
    return [
        f"{option}={','.join(f'{_as_pattern(name)}:' + 'x'.join(map(str, sizes)) for name, sizes in by_name.items())}"
        for option, by_name in ends.items()
        if by_name
    ]


def _as_pattern(name: str) -> str:
    """Return an input's name, with a wildcard for what a list of shapes cannot hold; colons are no harm."""
    return _UNWRITABLE.sub("*", name)


def _limits(settings: BuildSettings) -> list[str]:
    options = []
    if settings.workspace_mb is not None:
        options.append(f"--memPoolSize=workspace:{settings.workspace_mb}")  # without a unit of 2**20 bytes, as here
    if settings.optimization_level is not None:
        options.append(f"--builderOptimizationLevel={settings.optimization_level}")
    return options


def _capabilities(settings: BuildSettings) -> list[str]:
    listing = ",".join(capability.replace(".", "") for capability in settings.compute_capabilities)
    return [f"--computeCapabilities={listing}"] if listing else []


def _on_the_gpu(settings: BuildSettings) -> list[str]:
    """Return the options that only `trtexec` is known to have: where kernels' times are, and libraries of plugins."""
    cache = [] if settings.timing_cache is None else [f"--timingCacheFile={settings.timing_cache}"]
    return cache + [_plugin_option(plugin) for plugin in settings.plugins if not plugin.endswith(".py")]


def _plugin_option(plugin: str) -> str:
    """Return the option for a library: one that hands its operators over must be asked, others register themselves."""
    content = Path(plugin).read_bytes()
    hands_over = any(name.encode() in content for name in ENTRY_POINTS)
    return f"--{'dynamic' if hands_over else 'static'}Plugins={_as_library(plugin)}"


def _as_library(plugin: str) -> str:
    """Return the path of a library; the loader looks for one without a folder among the system's."""
    return plugin if Path(plugin).name != plugin else f"./{plugin}"
