"""Which TensorRT is installed: `tensorrt` (10.12 and later, 11) or `tensorrt_rtx`. Both speak the same language.

TensorRT builds on the GPU that will run the plan. TensorRT-RTX builds anywhere, for a list of GPU generations, and
compiles kernels on the machine that runs them.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from quantlab.engines.tensorrt.gpu import current_gpu
from quantlab.errors import EngineError, EngineMissing, RecipeError

RUNTIMES: Mapping[str, str] = {
    "tensorrt": "pip install 'quantlab[tensorrt]'",
    "tensorrt_rtx": "pip install 'quantlab[tensorrt-rtx]'",
}
"""The name of each module, which is what users type, and the command that installs it; the preferred one first."""

OLDEST_TENSORRT = (10, 12)
"""From here on strong typing, which Q/DQ models need, is complete."""


def installed_runtime(name: str | None = None) -> str:
    """Return the runtime that users call `name`, or the one of those installed that fits this machine.

    That is `tensorrt`, but without a GPU `tensorrt_rtx` where it is installed too.

    Raises:
        RecipeError: there is no runtime of this name.
        EngineMissing: it is not installed, or none is; the message says how to install it.
    """
    if name is not None and name not in RUNTIMES:
        raise RecipeError(f"runtime {name!r} is unknown; choose one of {', '.join(RUNTIMES)}")
    wanted = tuple(RUNTIMES) if name is None else (name,)
    found = [runtime for runtime in wanted if find_spec(runtime) is not None]
    if not found:
        commands = " or ".join(RUNTIMES[runtime] for runtime in wanted)
        raise EngineMissing(f"{name or 'TensorRT'}: not installed: {commands} (tensorrt_rtx builds without a GPU)")
    return found[0] if len(found) == 1 or current_gpu() is not None else "tensorrt_rtx"


def import_runtime(name: str) -> Any:  # noqa: ANN401 - TensorRT has no types
    """Import a runtime.

    Raises:
        EngineMissing: it is not installed, or its libraries cannot be loaded.
        EngineError: it is older than quantlab can use.
    """
    try:
        trt = import_module(name)
    except (ImportError, OSError) as error:
        raise EngineMissing(f"{name}: it cannot be loaded ({error}): {RUNTIMES[name]}") from error
    if name == "tensorrt" and release_of(trt.__version__) < OLDEST_TENSORRT:
        oldest = ".".join(map(str, OLDEST_TENSORRT))
        raise EngineError(f"tensorrt {trt.__version__} is too old; quantlab needs {oldest}: {RUNTIMES[name]}")
    return trt


def release_of(version: str) -> tuple[int, ...]:
    """Return major and minor number of a version such as `10.12.0.36`."""
    return tuple(int(part) for part in version.split(".")[:2])
