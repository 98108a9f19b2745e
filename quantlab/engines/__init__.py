"""Runtimes behind one protocol, by the names that users type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

from quantlab.engines.engine import Engine, Session
from quantlab.engines.onnxruntime import OnnxRuntime
from quantlab.engines.tensorrt import TensorRT
from quantlab.engines.tensorrt.gpu import current_gpu
from quantlab.engines.torch import Torch
from quantlab.errors import EngineMissing, RecipeError

__all__ = ["ENGINES", "Engine", "OnnxRuntime", "Session", "TensorRT", "Torch", "available_engines", "engine_named"]

ENGINES: dict[str, Callable[..., Engine]] = {"onnxruntime": OnnxRuntime, "tensorrt": TensorRT, "torch": Torch}

# What each engine needs: one of the packages it can import, and the command that installs it.
_PACKAGES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "onnxruntime": (("onnxruntime",), "pip install onnxruntime"),
    "tensorrt": (("tensorrt", "tensorrt_rtx"), "pip install 'quantlab[tensorrt]'"),
    "torch": (("torch",), "pip install 'quantlab[torch]'"),
}
_ON_A_GPU = frozenset({"tensorrt"})


def available_engines() -> tuple[str, ...]:
    """Return the names of the engines that run here: package installed, and a GPU there for those that need one."""
    installed = [name for name in ENGINES if _is_installed(name)]
    return tuple(name for name in installed if name not in _ON_A_GPU or current_gpu() is not None)


def _is_installed(name: str) -> bool:
    packages, _ = _PACKAGES[name]
    return any(find_spec(package) is not None for package in packages)


def engine_named(name: str, **options: Any) -> Engine:  # noqa: ANN401 - each engine has its own options
    """Return the engine that users call `name`.

    Args:
        name: a key of `ENGINES`.
        options: fields of the engine, such as `threads=1`.

    Raises:
        RecipeError: no engine has this name, or it has no such option.
        EngineMissing: its package is not installed; the message says how to install it.
    """
    if name not in ENGINES:
        raise RecipeError(f"engine {name!r} is unknown; choose one of {', '.join(sorted(ENGINES))}")
    if not _is_installed(name):
        packages, command = _PACKAGES[name]
        needed = " or ".join(map(repr, packages))
        raise EngineMissing(f"engine {name!r} needs the package {needed}, which is not installed: {command}")
    try:
        return ENGINES[name](**options)
    except TypeError as error:
        raise RecipeError(f"engine {name!r}: {error}; see help(quantlab.engines.{ENGINES[name].__name__})") from error
