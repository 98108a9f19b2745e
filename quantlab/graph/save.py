"""The door through which protobuf goes out: a `Model` in, a file or bytes out.

A file appears whole or not at all. Protobuf ends at 2 GB; a larger model writes its weights to `NAME.onnx.data` beside
`NAME.onnx`.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import onnx_ir as ir
from google.protobuf.message import EncodeError  # type: ignore[import-untyped]

from quantlab.errors import ModelError
from quantlab.graph.load import PROTOBUF_LIMIT_BYTES
from quantlab.graph.model import Model
from quantlab.graph.quiet import without_logs_of

# What node descriptions may take besides the weights.
_HEADROOM_BYTES = 64 * 2**20


def to_bytes(model: Model) -> bytes:
    """Return the model as the content of one `.onnx` file.

    Raises:
        ModelError: it is larger than protobuf's 2 GB; `save` can write it.
    """
    if needs_external_data(model):
        raise ModelError(
            f"{model.name}: it is larger than the {PROTOBUF_LIMIT_BYTES / 2**30:.0f} GB that one ONNX file holds; "
            "save it to a path, which puts the weights in a file of their own"
        )
    try:
        # It warns about values of operators that it does not know; they are written without a type, as they came.
        with without_logs_of("onnx_ir"):
            data: bytes = ir.to_proto(model.ir_model).SerializeToString(deterministic=True)
    except (ir.serde.SerdeError, EncodeError, ValueError) as error:
        raise ModelError(f"{model.name}: the graph cannot be written as ONNX ({error})") from error
    return data


def save(model: Model, path: str | os.PathLike[str]) -> None:
    """Write the model to `path`, and above 2 GB its weights to a data file beside it.

    An existing file is replaced only once the new one is complete; after a failure nothing is left behind.

    Args:
        model: the model; it is not changed.
        path: where to write, usually ending in `.onnx`; the folder must exist.

    Raises:
        ModelError: the folder is missing or cannot be written, or the disk is full.
    """
    target = Path(path)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
            written = Path(folder) / target.name
            if needs_external_data(model):
                _write_with_data(model, written)
            else:
                written.write_bytes(to_bytes(model))
            # The data file goes first: a model never points to data that are not there yet.
            for file in sorted(Path(folder).iterdir(), key=lambda file: file.name == target.name):
                file.replace(target.parent / file.name)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ModelError(f"{target}: the model cannot be written ({reason}); choose another folder") from error


def needs_external_data(model: Model) -> bool:
    """Return whether the model is too large for one protobuf file."""
    return _tensor_bytes(model.ir_model) > PROTOBUF_LIMIT_BYTES - _HEADROOM_BYTES


def _write_with_data(model: Model, path: Path) -> None:
    try:
        with without_logs_of("onnx_ir"):
            ir.save(model.clone().ir_model, path, external_data=f"{path.name}.data")
    except (ir.serde.SerdeError, EncodeError, ValueError) as error:
        raise ModelError(f"{model.name}: the graph cannot be written as ONNX ({error})") from error


def _tensor_bytes(model: ir.Model) -> int:
    """Return the bytes of all tensors, those in the attributes of nodes included."""
    total = 0
    for graph in model.graphs():
        total += sum(v.const_value.nbytes for v in graph.initializers.values() if v.const_value is not None)
        for node in graph:
            for attribute in node.attributes.values():
                if attribute.type == ir.AttributeType.TENSOR:
                    total += attribute.as_tensor().nbytes
    return total
