"""Turns ONNX text and weight shapes into a prepared model, with weights that keep activations of about unit size."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir as ir
from onnx import numpy_helper, parser, shape_inference

from quantlab.graph.model import Model

Pattern = Callable[[], Model]
Array = npt.NDArray[np.float32] | npt.NDArray[np.int64]
OPSET = 20


def build(name: str, text: str, **constants: tuple[int, ...] | Array) -> Model:
    """Return the model of an ONNX graph text, with shapes inferred.

    Args:
        name: the graph's name; it seeds the weights, so that a pattern has the same ones in every run.
        text: `(inputs) => (outputs) { nodes }` in ONNX's textual form; every node is labelled `[name]`.
        constants: by name, an array, or the shape of a random float32 weight.
    """
    proto = parser.parse_model(f'<ir_version: 10, opset_import: ["": {OPSET}]> {name} {text}')
    generator = np.random.default_rng(list(name.encode()))
    for key, constant in constants.items():
        array = _random_weight(constant, generator) if isinstance(constant, tuple) else constant
        proto.graph.initializer.append(numpy_helper.from_array(array, key))
    onnx.checker.check_model(proto, full_check=True)
    return Model(ir.from_proto(shape_inference.infer_shapes(proto, strict_mode=True, data_prop=True)))


def integers(*values: int) -> npt.NDArray[np.int64]:
    """Return an int64 vector: a shape, axes, sizes."""
    return np.asarray(values, np.int64)


def floats(*values: float) -> npt.NDArray[np.float32]:
    """Return a float32 vector."""
    return np.asarray(values, np.float32)


def scalar(value: float) -> npt.NDArray[np.float32]:
    """Return a float32 array of rank 0."""
    return np.asarray(value, np.float32)


def ones(*shape: int) -> npt.NDArray[np.float32]:
    """Return a float32 array of ones: the scale of a normalization."""
    return np.ones(shape, np.float32)


def _random_weight(shape: tuple[int, ...], generator: np.random.Generator) -> npt.NDArray[np.float32]:
    if len(shape) < 2:  # a bias
        return generator.normal(0.0, 0.1, shape).astype(np.float32)
    # A kernel is [outputs, inputs, ...]; a matrix may lie either way, and its first axis is as good as its second.
    fan_in = float(np.prod(shape[1:])) if len(shape) > 2 else float(shape[0])
    return generator.normal(0.0, (2.0 / fan_in) ** 0.5, shape).astype(np.float32)
