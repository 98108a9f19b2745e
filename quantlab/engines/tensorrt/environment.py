"""What the process that builds must find: this quantlab, and the runtime's library under both of its names."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import quantlab

# The name under which the ONNX parser of TensorRT-RTX (1.7.1) opens the runtime once more when it adds a plugin. The
# package has `libtensorrt_rtx.so.1` only, and the parser ends the process if it finds nothing.
_RTX_LIBRARY = "libtensorrt_rtx.so"


def worker_environment(runtime: str, folder: Path) -> dict[str, str]:
    """Return the environment of a worker: that of this process, and where to look.

    Args:
        runtime: `tensorrt` or `tensorrt_rtx`.
        folder: the worker's own; for `tensorrt_rtx` on Linux it gets a link to the runtime's library.
    """
    # The worker must find this quantlab, wherever the caller's working folder is.
    environment = {**os.environ, "PYTHONPATH": _before("PYTHONPATH", Path(quantlab.__file__).parents[1])}
    library = _packaged_library() if runtime == "tensorrt_rtx" else None
    if library is not None:
        (folder / _RTX_LIBRARY).symlink_to(library)
        environment["LD_LIBRARY_PATH"] = _before("LD_LIBRARY_PATH", folder)
    return environment


def _before(variable: str, folder: Path) -> str:
    return os.pathsep.join(filter(None, (str(folder), os.environ.get(variable))))


def _packaged_library() -> Path | None:
    """Return the library that comes with the Python package; None on Windows, where its name is another."""
    spec = find_spec("tensorrt_rtx_libs")
    folders = () if spec is None else spec.submodule_search_locations or ()
    return next((path for folder in folders for path in Path(folder).glob(f"{_RTX_LIBRARY}.*")), None)
