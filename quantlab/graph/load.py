"""The door through which protobuf comes in: a file or bytes in, a checked `Model` out.

Functions of the model are inlined and nodes put in execution order, so that everything behind the door sees one flat
graph (and the subgraphs of If, Loop and Scan).
"""

from __future__ import annotations

import os
from pathlib import Path

import onnx
import onnx.checker
import onnx_ir as ir
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx_ir.passes.common import CheckerPass, InlinePass

from quantlab.errors import ModelError
from quantlab.graph.external import map_external_data
from quantlab.graph.model import Model

_NOT_ONNX = "this is no ONNX model, or a damaged one; check that the file was copied whole, or export it again"


def load(source: str | os.PathLike[str] | bytes) -> Model:
    """Read an ONNX model.

    Weights in data files beside the model are mapped, not read.

    Args:
        source: the path of an `.onnx` file, or the file's bytes.

    Raises:
        ModelError: there is no such file, it is no valid ONNX model, or a data file is missing or lies elsewhere.
    """
    if isinstance(source, bytes):
        return Model(_parse(source, "bytes", None))
    path = Path(source)
    return Model(_parse(_read(path), str(path), path.parent), path)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else str(error.strerror or error)
        raise ModelError(f"{path}: {reason}; give the path of an .onnx file") from error


def _parse(data: bytes, where: str, folder: Path | None) -> ir.Model:
    if not data:
        raise ModelError(f"{where}: it is empty (0 bytes); check that the file was copied whole, or export it again")
    try:
        proto = onnx.ModelProto.FromString(data)
    except DecodeError as error:
        raise ModelError(f"{where}: {_NOT_ONNX}") from error
    if not proto.ir_version or not proto.HasField("graph"):
        raise ModelError(f"{where}: {_NOT_ONNX}")
    try:
        model: ir.Model = ir.from_proto(proto)
        map_external_data(model, folder)
        InlinePass()(model)
        model.graph.sort()
        _check(model)
    except ModelError as error:
        raise ModelError(f"{where}: {error}") from error
    except (ir.serde.SerdeError, ir.passes.PassError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{where}: {_NOT_ONNX} ({_deepest(error)})") from error
    return model


def _check(model: ir.Model) -> None:
    """Check what the rest relies on.

    Raises:
        ModelError: an input or output is missing, or the graph is not valid ONNX.
    """
    graph = model.graph
    if not graph.outputs:
        raise ModelError("the graph has no outputs, so it computes nothing; export it again")
    fed = [value for value in graph.inputs if value.name not in graph.initializers]
    if not fed:
        raise ModelError("the graph has no inputs to feed; export it again with its inputs")
    for value in fed:
        if value.type is not None and not isinstance(value.type, ir.TensorType):
            raise ModelError(f"input {value.name!r} is no tensor but {value.type}; only tensors can be fed")
    try:
        CheckerPass()(model)
    except onnx.checker.ValidationError as error:
        raise ModelError(f"the graph is not valid ONNX ({_first_line(error)}); export it again") from error


def _deepest(error: BaseException) -> str:
    """Return what the innermost of chained errors says, in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return _first_line(error)


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
