"""One model per rule about where TensorRT wants pairs, with that fault and no other."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from quantlab.graph.model import Model
from tests.lint.build import IMAGE, KERNEL, MATRIX, ROWS, conv, model, pair, weight
from tests.lint.planted_encodings import Planted, attention


def residual(skip: str, main: str) -> Model:
    """A sum of what a convolution leaves and its own input."""
    nodes = pair("x") + weight() + conv("c", "x_d") + (pair("c", "t") if main == "c_d" else "")
    return model(f"{IMAGE} {{ {nodes} [add] a = Add({main}, {skip}) [relu] y = Relu(a) }}", w=KERNEL)


def between() -> Model:
    nodes = pair("x") + weight() + conv("c", "x_d") + pair("c", "t") + "[relu] y = Relu(c_d)"
    return model(f"{IMAGE} {{ {nodes} }}", w=KERNEL)


def before_batch_norm() -> Model:
    nodes = pair("x") + weight() + conv("c", "x_d") + pair("c", "t")
    nodes += "[bn] n = BatchNormalization(c_d, ones, ones, ones, ones) [relu] y = Relu(n)"
    return model(f"{IMAGE} {{ {nodes} }}", w=KERNEL, ones=np.ones(32, np.float32))


def concat() -> Model:
    nodes = (
        pair("x") + pair("r", "t") + "[concat] c = Concat<axis=1>(x_d, r_d)\n" + weight(scale="ws64", zero_point="wz64")
    )
    text = f"(float[N,32,16,16] x, float[N,32,16,16] r) => (float[N,64,16,16] y) {{ {nodes} {conv('y', 'c')} }}"
    return model(text, w=(64, 64, 3, 3), ws64=np.full(64, 0.01, np.float32), wz64=np.zeros(64, np.int8))


def half() -> Model:
    return model(f"{IMAGE} {{ {pair('x')} {conv('y', 'x_d', 'w')} }}", w=KERNEL)


def weight_only() -> Model:
    return model(f"{IMAGE} {{ {weight()} {conv('y', 'x')} }}", w=KERNEL)


def half_of_activations() -> Model:
    text = f"(float[N,64,32] x, float[N,32,64] r) => (float[N,64,64] y) {{ {pair('x')}"
    return model(text + "[matmul] y = MatMul(x_d, r) }")


def float_pool() -> Model:
    nodes = f"{pair('x')} {weight()} {conv('c', 'x_d')} {pair('c', 't')} [pool] y = GlobalAveragePool(c_d)"
    return model(f"(float[N,32,16,16] x) => (float[N,32,1,1] y) {{ {nodes} }}", w=KERNEL)


def float_softmax() -> Model:
    nodes = f"{pair('x')} {weight(axis=1)} [matmul] c = MatMul(x_d, w_d) [relu] r = Relu(c) {pair('r')}"
    return model(f"{ROWS} {{ {nodes} [softmax] y = Softmax(r_d) }}", w=MATRIX)


def tiny() -> Model:
    text = f"(float[N,64,8] x) => (float[N,64,32] y) {{ {pair('x')} {weight(axis=1)} [matmul] y = MatMul(x_d, w_d) }}"
    return model(text, w=(8, 32))


def groups(groups: int, per_group: int) -> Model:
    channels = groups * per_group
    text = f"(float[N,{channels},16,16] x) => (float[N,32,16,16] y) {{ {pair('x')} {weight()} "
    text += conv("y", "x_d", attributes=f"pads=[1,1,1,1], group={groups}")
    return model(f"{text} }}", w=(32, per_group, 3, 3))


def transposed() -> Model:
    text = f"{IMAGE} {{ {pair('x')} {weight(axis=1)} [deconv] y = ConvTranspose<pads=[1,1,1,1]>(x_d, w_d) }}"
    return model(text, w=KERNEL)


PLANTED: Mapping[str, Planted] = {
    "TRT301": Planted(between, "q_c"),
    "TRT302": Planted(lambda: residual("x_d", "c_d"), "q_c"),
    "TRT303": Planted(lambda: residual("x", "c"), "add"),
    "TRT304": Planted(concat, "concat"),
    "TRT305": Planted(half, "conv"),
    "TRT306": Planted(lambda: attention("q", "k"), "matmul2"),
    "TRT307": Planted(float_pool, "q_c"),
    "TRT401": Planted(tiny, "matmul"),
    "TRT402": Planted(lambda: groups(8, 2), "conv"),
    "TRT403": Planted(lambda: groups(32, 1), "conv"),
    "TRT404": Planted(transposed, "deconv"),
}
MORE: Mapping[str, tuple[str, Planted]] = {
    "a pair before a batch norm": ("TRT301", Planted(before_batch_norm, "q_c")),
    "a weight alone": ("TRT305", Planted(weight_only, "conv")),
    "one of two activations": ("TRT305", Planted(half_of_activations, "matmul")),
    "a pair before a softmax": ("TRT307", Planted(float_softmax, "q_r")),
}
