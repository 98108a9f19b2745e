"""A residual block and a head in the forms of other projects' quantizers, with the faults that come of them.

Written by hand after what the defaults of torchao 0.18 (x86), NNCF 3.4 and ModelOpt 0.47 (ONNX, and torch exported by
trace) make of a ResNet, and after the sources of pytorch-quantization; ONNX Runtime's quantizer is run itself, see
`quantizer.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx
import onnx_ir as ir

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


def _baked(name: str) -> str:
    return f"[dq_{name}] {name}_d = DequantizeLinear<axis=0>({name}, ws, wz)\n"


def _integers(value: int) -> dict[str, np.ndarray]:
    shapes = (("w", KERNEL), ("v", KERNEL), ("head", (32, 32)))
    return {name: np.full(shape, value, np.int8) for name, shape in shapes}


def torchao() -> Model:
    """uint8 affine activations, int8 weights in DequantizeLinear alone, float biases; a sum reads one rounded side."""
    nodes = pair("x", "s", "u_middle") + _baked("w") + conv("c", "x_d", "w_d", "b", name="conv1")
    nodes += "[relu1] r = Relu(c)\n" + pair("r", "t", "u") + _baked("v") + conv("e", "r_d", "v_d", "b", name="conv2")
    nodes += "[add] a = Add(e, x_d) [relu2] g = Relu(a)\n" + pair("g", "t", "u")
    nodes += "[pool] p = GlobalAveragePool(g_d)\n" + pair("p", "s", "u") + "[flat] f = Flatten(p_d)\n"
    nodes += pair("f", "s", "u") + _baked("head") + HEAD
    return _model(nodes, **_integers(7))


def nncf() -> Model:
    """Symmetric, but uint8 where nothing is negative; both inputs of a sum are rounded, and what a pool makes."""
    nodes = pair("x", "s", "z") + _baked("w") + conv("c", "x_d", "w_d", "b", name="conv1") + "[relu1] r = Relu(c)\n"
    nodes += pair("r", "t", "u") + _baked("v") + conv("e", "r_d", "v_d", "b", name="conv2") + pair("e", "t", "z")
    nodes += "[add] a = Add(e_d, x_d) [relu2] g = Relu(a)\n" + pair("g", "t", "u")
    nodes += "[pool] p = GlobalAveragePool(g_d)\n" + pair("p", "s", "u") + "[flat] f_d = Flatten(p_d)\n"
    return _model(nodes + _baked("head") + HEAD, **_integers(7))


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
    """Half precision between casts, scales too; float weights in pairs; the sum reads one rounded side."""
    nodes = "[to_half] h = Cast<to=10>(x)\n" + pair("h") + weight("w") + conv("c", "h_d", "w_d", "b", name="conv1")
    nodes += "[relu1] r = Relu(c)\n" + pair("r", "t") + weight("v") + conv("e", "r_d", "v_d", "b", name="conv2")
    nodes += "[add] a = Add(e, h_d) [relu2] g = Relu(a)\n" + TAIL.format(r="g") + pair("f", "t") + weight("head")
    nodes += "[fc] o = Gemm<transB=1>(f_d, head_d, b) [from_half] y = Cast<to=1>(o)"
    made = _model(nodes)
    for value in made.graph.initializers.values():
        if value.dtype == ir.DataType.FLOAT:
            value.const_value = ir.tensor(made.constant(value.name or "").astype(np.float16), name=value.name)
            value.dtype = ir.DataType.FLOAT16
    onnx.checker.check_model(ir.to_proto(made.ir_model), full_check=True)
    return made


def modelopt_torch() -> Model:
    """A traced module: a Pad whose borders nodes compute before the convolution, batch norms, a float skip."""
    norm = "[bn{0}] {1} = BatchNormalization({2}, ones, ones, ones, ones)\n"
    nodes = "[borders] k = Cast<to=7>(frame) [padding] o = Pad(x, k, zero)\n" + pair("o") + weight("w")
    nodes += conv("c", "o_d", name="conv1", attributes="pads=[0,0,0,0]") + norm.format(1, "n", "c")
    nodes += "[relu1] r = Relu(n)\n" + pair("r", "t") + weight("v") + conv("e", "r_d", "v_d", name="conv2")
    nodes += norm.format(2, "m", "e") + "[add] a = Add(m, x) [relu2] g = Relu(a)\n" + pair("g", "t")
    nodes += TAIL.format(r="g_d") + pair("f", "t") + weight("head") + HEAD
    return _model(nodes, frame=np.asarray([0, 0, 1, 1, 0, 0, 1, 1], np.int32))


# By tool: the model, and the rules that find something in it.
FOREIGN: Mapping[str, tuple[Callable[[], Model], set[str]]] = {
    "torchao": (torchao, {"TRT101", "TRT103"}),
    "nncf": (nncf, {"TRT101", "TRT302"}),
    "pytorch_quantization": (pytorch_quantization, {"TRT303"}),
    "modelopt": (modelopt, set()),
    "modelopt_torch": (modelopt_torch, {"TRT303", "TRT307"}),
}
