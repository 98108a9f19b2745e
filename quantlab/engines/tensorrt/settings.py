"""How a plan is built: what `quantlab build` asks for, checked before the builder starts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from quantlab.engines.tensorrt.shapes import ShapeRange, parse_shapes
from quantlab.errors import RecipeError

_CAPABILITY = re.compile(r"\d+\.\d")
_HIGHEST_LEVEL = 5

# What each setting may be in a recipe; lists hold texts.
_IN_RECIPES: Mapping[str, tuple[type, ...]] = {
    "runtime": (str,),
    "shapes": (list, tuple),
    "workspace_mb": (int,),
    "optimization_level": (int,),
    "timing_cache": (str,),
    "compute_capabilities": (list, tuple),
    "plugins": (list, tuple),
    "timeout_s": (int, float),
}
OPTIONS = tuple(_IN_RECIPES)
"""The settings by the names that recipes use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSettings:
    """What the builder is told.

    Attributes:
        runtime: `tensorrt`, `tensorrt_rtx`, or None for the one that is installed.
        shapes: the range of every input; see `profile_for`.
        workspace_mb: scratch memory that a layer may use, or None for all there is.
        optimization_level: 0 (fast build) to 5 (fast engine), or None for the builder's own, 3.
        timing_cache: a file that spares later builds the timing of kernels; read and written. TensorRT only:
            TensorRT-RTX times nothing while building.
        compute_capabilities: the GPUs to build for, such as `8.9`; empty for all that TensorRT-RTX supports.
            TensorRT-RTX only: TensorRT builds for the GPU it runs on.
        plugins: libraries (.so, .dll) and Python files with custom operators; a Python file is run.
        timeout_s: how long the build may take.

    Raises:
        RecipeError: a value is out of its limits, or a plugin is no file.
    """

    runtime: str | None = None
    shapes: Mapping[str, ShapeRange] = field(default_factory=dict)
    workspace_mb: int | None = None
    optimization_level: int | None = None
    timing_cache: Path | None = None
    compute_capabilities: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()
    timeout_s: float = 3600.0

    def __post_init__(self) -> None:
        if self.workspace_mb is not None and self.workspace_mb < 1:
            raise RecipeError(f"workspace: {self.workspace_mb} MB is not possible; give at least 1")
        if self.optimization_level is not None and not 0 <= self.optimization_level <= _HIGHEST_LEVEL:
            raise RecipeError(f"optimization level {self.optimization_level} is unknown; choose 0 to {_HIGHEST_LEVEL}")
        if not self.timeout_s > 0:
            raise RecipeError(f"timeout: {self.timeout_s:g} s is not possible; give more than 0")
        for capability in self.compute_capabilities:
            if not _CAPABILITY.fullmatch(capability):
                raise RecipeError(f"compute capability {capability!r}: write it with a dot, such as 8.9")
        for plugin in self.plugins:
            if not Path(plugin).is_file():
                raise RecipeError(f"plugin {plugin}: there is no such file; give a .so or .py file")

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> BuildSettings:
        """Return settings from plain values by name, as recipes hold them; one that is missing has its default.

        Args:
            options: names are of `OPTIONS`; shapes are texts, see `parse_shapes`.

        Raises:
            RecipeError: a value is of a wrong type or out of its limits.
        """
        for name, value in options.items():
            types = _IN_RECIPES[name]
            is_right = isinstance(value, types) and not isinstance(value, bool)
            if not is_right or (list in types and not all(isinstance(item, str) for item in value)):
                wanted = "a list of texts" if list in types else f"of type {types[-1].__name__}"
                raise RecipeError(f"{name}: {value!r} is not {wanted}")
        readers: Mapping[str, Callable[[Any], Any]] = {
            "shapes": parse_shapes,
            "timing_cache": Path,
            "compute_capabilities": tuple,
            "plugins": tuple,
        }
        return cls(**{name: readers[name](value) if name in readers else value for name, value in options.items()})

    def check_for(self, runtime: str) -> None:
        """Check that a runtime knows the settings.

        Raises:
            RecipeError: a setting is one of the other runtime.
        """
        if self.compute_capabilities and runtime != "tensorrt_rtx":
            raise RecipeError(
                f"compute capabilities: {runtime} builds for the GPU of this machine; leave them out, "
                "or build with the runtime tensorrt_rtx"
            )
        if self.timing_cache is not None and runtime == "tensorrt_rtx":
            raise RecipeError("timing cache: tensorrt_rtx times nothing while building; leave it out")
