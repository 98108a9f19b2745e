"""Turns FILE.py:FUNCTION into what the function returns. Nothing of a user's file runs unless it is named like this."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from quantlab.errors import DataError


def is_python_function(spec: str) -> bool:
    """Return whether a text has the form FILE.py:FUNCTION."""
    file, _, function = spec.rpartition(":")
    return file.endswith(".py") and function.isidentifier()


def load_function(spec: str) -> Callable[[], Any]:
    """Run a Python file and return one of its functions, wrapped so that what it raises is a DataError.

    While the file and the function run, modules beside the file can be imported.

    Args:
        spec: FILE.py:FUNCTION; the function is called without arguments.

    Raises:
        DataError: there is no such file or function, or the file fails to run.
    """
    file, _, name = spec.rpartition(":")
    path = Path(file)
    module = _run_file(path, spec)
    function = getattr(module, name, None)
    if not callable(function):
        there = sorted(key for key, value in vars(module).items() if _is_own(value, module))
        raise DataError(f"{spec}: {path} has no function {name!r}; it has {', '.join(there) or 'none'}")

    def call() -> object:
        try:
            with _beside(path):
                return function()
        except Exception as error:
            raise DataError(f"{spec}: the function raised {type(error).__name__}: {error}") from error

    return call


def _run_file(path: Path, spec: str) -> ModuleType:
    if not path.is_file():
        raise DataError(f"{spec}: there is no file {path}")
    # The name is tied to the path, so that two files of one name do not meet in sys.modules, where data classes and
    # the worker processes of a DataLoader look a module up.
    module_name = f"_quantlab_{path.stem}_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    description = importlib.util.spec_from_file_location(module_name, path)
    if description is None or description.loader is None:
        raise DataError(f"{spec}: {path} is no Python file")
    module = importlib.util.module_from_spec(description)
    sys.modules[module_name] = module
    try:
        with _beside(path):
            description.loader.exec_module(module)
    except Exception as error:
        del sys.modules[module_name]
        raise DataError(f"{spec}: running {path} raised {type(error).__name__}: {error}") from error
    return module


def _is_own(value: object, module: ModuleType) -> bool:
    return callable(value) and getattr(value, "__module__", None) == module.__name__


@contextmanager
def _beside(path: Path) -> Iterator[None]:
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        if folder in sys.path:
            sys.path.remove(folder)
