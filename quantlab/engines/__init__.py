"""Runtimes behind one protocol, by the names that users type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

from quantlab.engines.engine import Engine, Session
from quantlab.engines.onnxruntime import OnnxRuntime
from quantlab.engines.torch import Torch
from quantlab.errors import EngineMissing, RecipeError

__all__ = ["ENGINES", "Engine", "OnnxRuntime", "Session", "Torch", "available_engines", "engine_named"]

ENGINES: dict[str, Callable[..., Engine]] = {"onnxruntime": OnnxRuntime, "torch": Torch}

# What each engine needs: the package it imports, and the command that installs it.
_PACKAGES: Mapping[str, tuple[str, str]] = {
    "onnxruntime": ("onnxruntime", "pip install onnxruntime"),
    "torch": ("torch", "pip install 'quantlab[torch]'"),
}


def available_engines() -> tuple[str, ...]:
    """Return the names of the engines whose package is installed."""
    return tuple(name for name in ENGINES if find_spec(_PACKAGES[name][0]) is not None)


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
    package, command = _PACKAGES[name]
    if find_spec(package) is None:
        raise EngineMissing(f"engine {name!r} needs the package {package!r}, which is not installed: {command}")
    try:
        return ENGINES[name](**options)
    except TypeError as error:
        raise RecipeError(f"engine {name!r}: {error}; see help(quantlab.engines.{ENGINES[name].__name__})") from error
