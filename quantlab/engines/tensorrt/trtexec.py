"""The command lines that build and time the same model with NVIDIA's own tool, so that anyone can check a result.

TensorRT 11 changed what `trtexec` does when nothing is said: CUDA graphs and spinning on, copies to and from the GPU
off. The lines say everything, so that both versions do, and time, the same: copies in, no graph, no spinning.

Sources: samples/common/sampleOptions.cpp of TensorRT 10.16 and 11.1; NVIDIA's page on benchmarking with `tensorrt_rtx`.
Not run for this project: the Python packages come without these tools.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from quantlab.engines.tensorrt.settings import BuildSettings
from quantlab.engines.tensorrt.shapes import ShapeRange

# What must be said for copies, no graph and no spinning; trtexec 10 does so by default.
_VERSIONS: Mapping[str, tuple[str, ...]] = {
    "trtexec 10": ("--stronglyTyped",),
    "trtexec 11": ("--includeDataTransfers", "--noCudaGraph", "--noSpinWait"),
}
_RTX = ("--includeDataTransfers", "--rtxCudaGraphStrategy=disable", "--noSpinWait")


def command_lines(
    onnx: str | Path, plan: str | Path, shapes: Mapping[str, ShapeRange], settings: BuildSettings
) -> dict[str, str]:
    """Return by tool and major version the shell line that builds and times a model.

    Args:
        onnx: the model.
        plan: where the tool is to write the plan.
        shapes: the range of every input.
        settings: the other settings of the build; Python plugins have no counterpart there and are left out.
    """
    files = [f"--onnx={onnx}", f"--saveEngine={plan}"]
    lines = {}
    if settings.runtime in (None, "tensorrt_rtx"):
        lines["tensorrt_rtx 1"] = shlex.join(["tensorrt_rtx", *files, *_shape_options(shapes), *_RTX])
    common = [*files, *_shape_options(shapes), *_build_options(settings)]
    common += ["--profilingVerbosity=detailed", f"--exportLayerInfo={plan}.layers.json"]
    for tool, own in _VERSIONS.items():
        lines[tool] = shlex.join(["trtexec", *common, *own])
    return lines


def _shape_options(shapes: Mapping[str, ShapeRange]) -> list[str]:
    """Return the three shapes of inputs with free axes; trtexec refuses shapes for fixed ones."""
    free = {name: shape for name, shape in shapes.items() if not shape.is_fixed}
    ends = {
        "--minShapes": {name: shape.smallest for name, shape in free.items()},
        "--optShapes": {name: shape.usual for name, shape in free.items()},
        "--maxShapes": {name: shape.largest for name, shape in free.items()},
    }
    return [
        f"{option}={','.join(f'{name}:' + 'x'.join(map(str, sizes)) for name, sizes in by_name.items())}"
        for option, by_name in ends.items()
        if by_name
    ]


def _build_options(settings: BuildSettings) -> list[str]:
    options = []
    if settings.workspace_mb is not None:
        options.append(f"--memPoolSize=workspace:{settings.workspace_mb}")
    if settings.optimization_level is not None:
        options.append(f"--builderOptimizationLevel={settings.optimization_level}")
    if settings.timing_cache is not None:
        options.append(f"--timingCacheFile={settings.timing_cache}")
    return options + [f"--staticPlugins={plugin}" for plugin in settings.plugins if not plugin.endswith(".py")]
