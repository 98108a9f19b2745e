"""A residual block and a head in the forms of other projects' quantizers, with the faults that come of them.

Written by hand after the defaults of torchao (x86), NNCF, pytorch-quantization and ModelOpt; ONNX Runtime's quantizer
is run itself, see `quantizer.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from quantlab.graph.model import Model
from tests.lint.build import KERNEL, conv, model, pair, weight

TEXT = "(float[N,32,16,16] x) => (float[N,32] y)"
CONSTANTS = {
    "b": np.linspace(-0.1, 0.1, 32, dtype=np.float32),
    "ones": np.ones(32, np.float32),
    "head": (32, 32),
    "v": KERNEL,
    "w": KERNEL,
}
HEAD = "[fc] y = Gemm<transB=1>(f_d, head_d, b)"
TAIL = "[pool] p = GlobalAveragePool({r}) [flat] f = Flatten(p)\n"


def _model(nodes: str, **constants: np.ndarray) -> Model:
    return model(f"{TEXT} {{ {nodes} }}", **{**CONSTANTS, **constants})  # type: ignore[arg-type]


def torchao() -> Model:
    """uint8 affine activations, int8 weights in DequantizeLinear alone, float biases; sum and pool are rounded too."""
    baked = "[dq_{0}] {0}_d = DequantizeLinear<axis=0>({0}, ws, wz)\n"
    nodes = pair("x", "s", "u_middle") + baked.format("w") + conv("c", "x_d", "w_d", "b", name="conv1")
    nodes += (
        "[relu1] r = Relu(c)\n" + pair("r", "t", "u") + baked.format("v") + conv("e", "r_d", "v_d", "b", name="conv2")
    )
    nodes += pair("e", "t", "u_middle") + "[add] a = Add(e_d, x_d) [relu2] g = Relu(a)\n" + pair("g", "t", "u")
    nodes += (
        TAIL.format(r="g_d") + pair("f", "s", "u") + baked.format("head") + "[fc] y = Gemm<transB=1>(f_d, head_d, b)"
    )
    integers = {name: np.ones(shape, np.int8) for name, shape in (("w", KERNEL), ("v", KERNEL), ("head", (32, 32)))}
    return _model(nodes, **{name: array * np.int8(7) for name, array in integers.items()})


def nncf() -> Model:
    """Symmetric, but uint8 where nothing is negative; both inputs of a sum are rounded."""
    nodes = pair("x", "s", "z") + weight("w") + conv("c", "x_d", "w_d", "b", name="conv1") + "[relu1] r = Relu(c)\n"
    nodes += pair("r", "t", "u") + weight("v") + conv("e", "r_d", "v_d", "b", name="conv2") + pair("e", "t", "z")
    nodes += "[add] a = Add(e_d, x_d) [relu2] g = Relu(a)\n" + pair("g", "t", "u") + TAIL.format(r="g_d")
    return _model(nodes + pair("f", "s", "u") + weight("head") + HEAD)


def pytorch_quantization() -> Model:
    """Batch norms stand alone; the model's author forgot the residual quantizer."""
    norm = "[bn{0}] {1} = BatchNormalization({2}, ones, ones, ones, ones)\n"
    nodes = (
        pair("x") + weight("w") + conv("c", "x_d", name="conv1") + norm.format(1, "n", "c") + "[relu1] r = Relu(n)\n"
    )
    nodes += pair("r", "t") + weight("v") + conv("e", "r_d", "v_d", name="conv2") + norm.format(2, "m", "e")
    nodes += "[add] a = Add(m, x) [relu2] g = Relu(a)\n" + TAIL.format(r="g") + pair("f", "t") + weight("head")
    return _model(nodes + HEAD)


def modelopt() -> Model:
    """Integers for weights, no pair on what a convolution hands to a sum, a pair before the pool."""
    baked = "[dq_{0}] {0}_d = DequantizeLinear<axis=0>({0}, ws, wz)\n"
    nodes = pair("x") + baked.format("w") + conv("c", "x_d", "w_d", "b", name="conv1") + "[relu1] r = Relu(c)\n"
    nodes += pair("r", "t") + baked.format("v") + conv("e", "r_d", "v_d", "b", name="conv2")
    nodes += "[add] a = Add(e, x_d) [relu2] g = Relu(a)\n" + pair("g", "t") + TAIL.format(r="g_d") + pair("f", "t")
    integers = {name: np.ones(shape, np.int8) * np.int8(5) for name, shape in (("w", KERNEL), ("v", KERNEL))}
    return _model(nodes + baked.format("head") + HEAD, **integers, head=np.ones((32, 32), np.int8))


# By tool: the model, and the rules that find something in it.
FOREIGN: Mapping[str, tuple[Callable[[], Model], set[str]]] = {
    "torchao": (torchao, {"TRT101", "TRT103", "TRT302", "TRT307"}),
    "nncf": (nncf, {"TRT101", "TRT302", "TRT307"}),
    "pytorch_quantization": (pytorch_quantization, {"TRT303"}),
    "modelopt": (modelopt, {"TRT307"}),
}
