"""Small Q/DQ models as text: pairs are written by `pair` and `weight`, their constants are here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir as ir
from onnx import numpy_helper, parser

from quantlab.graph.model import Model

Array = npt.NDArray[Any]
CHANNELS = 32


def scalar(value: float, dtype: npt.DTypeLike = np.float32) -> Array:
    return np.asarray(value, dtype)


CONSTANTS: Mapping[str, Array] = {
    "s": scalar(0.02),
    "t": scalar(0.03),
    "s_rank1": np.asarray([0.02], np.float32),
    "s_channels": np.full(CHANNELS, 0.02, np.float32),
    "z": scalar(0, np.int8),
    "z_rank1": np.zeros(1, np.int8),
    "z_three": scalar(3, np.int8),
    "z_channels": np.zeros(CHANNELS, np.int8),
    "u": scalar(0, np.uint8),
    "u_middle": scalar(128, np.uint8),
    "z_int16": scalar(0, np.int16),
    "ws": np.full(CHANNELS, 0.01, np.float32),
    "wz": np.zeros(CHANNELS, np.int8),
    "bs": np.full(CHANNELS, 0.02, np.float32) * np.float32(0.01),
    "bz": np.zeros(CHANNELS, np.int32),
    "zero": scalar(0.0),
    "six": scalar(6.0),
}


def pair(name: str, scale: str = "s", zero_point: str = "z") -> str:
    """Return the nodes `q_NAME` and `dq_NAME` that turn NAME into NAME_d; without a zero point if it is empty."""
    parameters = ", ".join(filter(None, (scale, zero_point)))
    return (
        f"[q_{name}] {name}_q = QuantizeLinear({name}, {parameters})\n"
        f"[dq_{name}] {name}_d = DequantizeLinear({name}_q, {parameters})\n"
    )


def weight(name: str = "w", axis: int | None = 0, scale: str = "ws", zero_point: str = "wz") -> str:
    """Return the nodes that turn a float weight NAME into NAME_d; without an axis if it is None."""
    written = "" if axis is None else f"<axis={axis}>"
    return (
        f"[q_{name}] {name}_q = QuantizeLinear{written}({name}, {scale}, {zero_point})\n"
        f"[dq_{name}] {name}_d = DequantizeLinear{written}({name}_q, {scale}, {zero_point})\n"
    )


def conv(output: str, source: str, *more: str, name: str = "conv", attributes: str = "pads=[1,1,1,1]") -> str:
    """Return a convolution with the weight w_d, or with those that are given, behind `source`."""
    factors = more or ("w_d",)
    return f"[{name}] {output} = Conv<{attributes}>({', '.join((source, *factors))})\n"


def model(text: str, **constants: Array | tuple[int, ...]) -> Model:
    """Return a model; a constant is an array, or the shape of a random one, and those of CONSTANTS need no mention."""
    header = '<ir_version: 10, opset_import: ["": 21, "com.microsoft": 1]> planted '
    proto = parser.parse_model(header + text)
    generator = np.random.default_rng(0)
    for name, constant in {**CONSTANTS, **constants}.items():
        if re.search(rf"[(,] *{name} *[,)]", text):
            is_shape = isinstance(constant, tuple)
            array = generator.normal(0.0, 0.1, constant).astype(np.float32) if is_shape else constant
            proto.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
    onnx.checker.check_model(proto)
    return Model(ir.from_proto(proto))


IMAGE = "(float[N,32,16,16] x) => (float[N,32,16,16] y)"
ROWS = "(float[N,64,32] x) => (float[N,64,32] y)"
KERNEL = (CHANNELS, CHANNELS, 3, 3)
MATRIX = (CHANNELS, CHANNELS)
