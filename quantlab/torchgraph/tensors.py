"""ONNX tensors and types as torch has them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir
import torch

from quantlab.errors import ModelError

DTYPES: Mapping[ir.DataType, torch.dtype] = {
    ir.DataType.FLOAT: torch.float32,
    ir.DataType.FLOAT16: torch.float16,
    ir.DataType.BFLOAT16: torch.bfloat16,
    ir.DataType.DOUBLE: torch.float64,
    ir.DataType.INT8: torch.int8,
    ir.DataType.UINT8: torch.uint8,
    ir.DataType.INT16: torch.int16,
    ir.DataType.UINT16: torch.uint16,
    ir.DataType.INT32: torch.int32,
    ir.DataType.UINT32: torch.uint32,
    ir.DataType.INT64: torch.int64,
    ir.DataType.UINT64: torch.uint64,
    ir.DataType.BOOL: torch.bool,
}


def dtype_of(data_type: int) -> torch.dtype:
    """Return the torch type of an ONNX data type number, as the attributes `to` and `dtype` hold it.

    Raises:
        ModelError: torch has no such type, or quantlab does not use it.
    """
    known = DTYPES.get(ir.DataType(data_type))
    if known is None:
        raise ModelError(f"type {ir.DataType(data_type).name} has no counterpart in torch; keep this operator float32")
    return known


def torch_tensor(tensor: ir.TensorProtocol) -> torch.Tensor:
    """Return a copy of an ONNX tensor on the CPU.

    Raises:
        ModelError: its type has no counterpart.
    """
    if tensor.dtype not in DTYPES:
        raise ModelError(f"tensor {tensor.name!r}: type {tensor.dtype.name} has no counterpart in torch")
    array = np.array(tensor.numpy(), order="C")
    if tensor.dtype == ir.DataType.BFLOAT16:
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=False))


def ir_tensor(tensor: torch.Tensor, name: str) -> ir.TensorProtocol:
    """Return a copy of a torch tensor as an ONNX tensor."""
    values = tensor.detach().cpu().contiguous()
    if values.dtype == torch.bfloat16:
        array = values.view(torch.int16).numpy().copy().view(ir.DataType.BFLOAT16.numpy())
        return ir.Tensor(array, dtype=ir.DataType.BFLOAT16, name=name)
    return ir.tensor(values.numpy().copy(), name=name)
