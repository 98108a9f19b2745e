"""Custom operators, in libraries and Python files → the registry where the ONNX parser and the runtime look them up.

A library brings its operators in one of two ways: it hands their creators over when it is asked (`getCreators`), or
registers them itself as it is opened (`REGISTER_TENSORRT_PLUGIN`). A Python file registers them as it is run.
"""

from __future__ import annotations

import ctypes
import importlib.util
import itertools
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from quantlab.errors import EngineError

ENTRY_POINTS = ("getCreators", "getPluginCreators")
"""The functions by which a library hands its operators over; the second is the older one."""

_numbers = itertools.count()


def load_plugins(trt: Any, logger: Any, plugins: Sequence[str]) -> None:  # noqa: ANN401 - TensorRT has no types
    """Register custom operators: TensorRT's own, and those of libraries and Python files.

    Raises:
        EngineError: a file cannot be loaded, or brings no operator.
    """
    if hasattr(trt, "init_libnvinfer_plugins"):
        trt.init_libnvinfer_plugins(logger, "")
    for plugin in plugins:
        _load(trt, str(Path(plugin).absolute()))  # a bare name would be looked up among the system's libraries


@lru_cache
def _load(trt: Any, plugin: str) -> None:  # noqa: ANN401
    """Load a file, once in a process: the registry refuses an operator that it has."""
    if plugin.endswith(".py"):
        _run_file(plugin)
    else:
        _load_library(trt.get_plugin_registry(), plugin)


def _run_file(plugin: str) -> None:
    spec = importlib.util.spec_from_file_location(f"quantlab_plugin_{next(_numbers)}", plugin)
    if spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # any: it is the user's code
        raise EngineError(f"plugin {plugin}: running it failed ({type(error).__name__}: {error})") from error


def _load_library(registry: Any, plugin: str) -> None:  # noqa: ANN401
    known = len(registry.all_creators)
    try:
        library = ctypes.CDLL(plugin)
    except OSError as error:
        raise EngineError(f"plugin {plugin}: it cannot be opened ({error})") from error
    if any(hasattr(library, name) for name in ENTRY_POINTS):
        if registry.load_library(plugin) is None:
            raise EngineError(f"plugin {plugin}: TensorRT takes none of its operators; build it for this version")
    elif len(registry.all_creators) == known:
        raise EngineError(
            f"plugin {plugin}: it brings no operator; let it export getCreators, or use REGISTER_TENSORRT_PLUGIN"
        )
