"""The weights that a model keeps in files of their own, mapped into memory.

A data file is opened once, checked, and mapped read-only: loading reads only the pages that are used, and the arrays
stay valid when the file is replaced later.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx_ir as ir

from quantlab.errors import ModelError


def map_external_data(model: ir.Model, folder: Path | None) -> None:
    """Replace every tensor that lives in a data file by one that maps it.

    Args:
        model: changed in place.
        folder: where the model's file lies, or None for a model that came as bytes.

    Raises:
        ModelError: a data file is missing, too short, or outside the folder; the message names it and the tensor.
    """
    files = _DataFiles(folder)
    for graph in model.graphs():
        for value in graph.initializers.values():
            if isinstance(value.const_value, ir.ExternalTensor):
                value.const_value = files.read(value.const_value)
        for node in graph:
            for name, attribute in _external_attributes(node):
                node.attributes[name] = ir.AttrTensor(name, files.read(attribute))


def _external_attributes(node: ir.Node) -> Iterator[tuple[str, ir.ExternalTensor]]:
    for name, attribute in list(node.attributes.items()):
        if attribute.type == ir.AttributeType.TENSOR and isinstance(attribute.value, ir.ExternalTensor):
            yield name, attribute.value


class _DataFiles:
    """The data files of one model, each mapped once."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._maps: dict[str, mmap.mmap] = {}

    def read(self, tensor: ir.ExternalTensor) -> ir.TensorProtocol:
        """Return the tensor as a view of its file."""
        dtype = tensor.dtype
        storage = np.dtype(np.uint8) if dtype.bitwidth < 8 else np.dtype(dtype.numpy()).newbyteorder("<")
        start, nbytes = tensor.offset or 0, tensor.nbytes
        if tensor.length not in (None, 0, nbytes):
            raise ModelError(
                f"tensor {tensor.name!r}: its shape needs {nbytes} bytes, its entry claims {tensor.length}; "
                "the file is damaged, export it again"
            )
        if nbytes == 0:
            return ir.Tensor(np.empty(tensor.shape.numpy(), dtype.numpy()), dtype=dtype, name=tensor.name)
        data = self._map(str(tensor.location), tensor.name)
        if start < 0 or start + nbytes > len(data):
            raise ModelError(
                f"tensor {tensor.name!r}: it ends at byte {start + nbytes} of {str(tensor.location)!r}, which has "
                f"{len(data)}; the file is truncated, copy or export it again"
            )
        if dtype.bitwidth < 8:
            return _packed(tensor, self._inside(str(tensor.location), tensor.name))
        array = np.frombuffer(data, storage, count=nbytes // storage.itemsize, offset=start)
        return ir.Tensor(array.reshape(tensor.shape.numpy()), dtype=dtype, name=tensor.name)

    def _map(self, location: str, tensor: str) -> mmap.mmap:
        if location not in self._maps:
            path = self._inside(location, tensor)
            try:
                with path.open("rb") as file:
                    self._maps[location] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except (OSError, ValueError) as error:
                raise ModelError(
                    f"tensor {tensor!r}: its data file {str(path)!r} cannot be read ({_reason(error)}); "
                    "put it beside the model"
                ) from error
        return self._maps[location]

    def _inside(self, location: str, tensor: str) -> Path:
        """Return the path of a data file, which must lie in the model's folder, links followed."""
        if self._folder is None:
            raise ModelError(
                f"tensor {tensor!r}: it lives in the file {location!r}, which bytes do not say where to find; "
                "load the model from its path"
            )
        path = self._folder / location
        folder = os.path.realpath(self._folder)
        target = os.path.realpath(path)
        outside = Path(location).is_absolute() or os.path.commonpath([folder, target]) != folder
        if not location or outside:
            raise ModelError(
                f"tensor {tensor!r}: its data file {location!r} lies outside the model's folder "
                f"{str(self._folder)!r}, which is refused for safety; copy it into the folder"
            )
        return path


def _packed(tensor: ir.ExternalTensor, path: Path) -> ir.TensorProtocol:
    """Read a tensor whose elements are smaller than a byte, which no view can show."""
    whole = ir.ExternalTensor(
        path.name,
        tensor.offset,
        tensor.nbytes,
        tensor.dtype,
        shape=tensor.shape,
        name=tensor.name,
        base_dir=path.parent,
    )
    return ir.Tensor(np.array(whole.numpy()), dtype=tensor.dtype, name=tensor.name)


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else "it is empty"
