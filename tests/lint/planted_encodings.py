"""One model per rule about TensorRT's encodings and operators, with that fault and no other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from quantlab.graph.model import Model
from tests.lint.build import CHANNELS, IMAGE, KERNEL, MATRIX, ROWS, Array, conv, model, pair, scalar, weight


class Planted(NamedTuple):
    """A model with one fault, and the node that the finding must name."""

    build: Callable[[], Model]
    node: str


def _activation(nodes: str, **constants: Array) -> Model:
    """A convolution that reads x_d, however `nodes` make it."""
    return model(f"{IMAGE} {{ {nodes} {weight()} {conv('y', 'x_d')} }}", w=KERNEL, **constants)


def _weight(nodes: str, *factors: str, **constants: Array) -> Model:
    """A convolution whose weight w_d `nodes` make."""
    return model(f"{IMAGE} {{ {pair('x')} {nodes} {conv('y', 'x_d', *factors)} }}", w=KERNEL, **constants)


def run_time_scale() -> Model:
    scale = "[top] m = ReduceMax<keepdims=0>(x) [scale] r = Div(m, levels)\n"
    return _activation(scale + pair("x", "r"), levels=scalar(127.0))


def blocked() -> Model:
    nodes = "[dq_w] w_d = DequantizeLinear<axis=0, block_size=16>(w, rows, zeros)\n"
    text = f"{ROWS} {{ {pair('x')} {nodes} [matmul] y = MatMul(x_d, w_d) }}"
    rows, zeros = np.full((2, CHANNELS), 0.01, np.float32), np.zeros((2, CHANNELS), np.int8)
    return model(text, w=np.ones(MATRIX, np.int8), rows=rows, zeros=zeros)


def integer_bias() -> Model:
    bias = "[dq_b] b_d = DequantizeLinear<axis=0>(b, bs, bz)\n"
    return _weight(weight() + bias, "w_d", "b_d", b=np.arange(CHANNELS, dtype=np.int32))


def qlinear() -> Model:
    nodes = "[q_x] x_q = QuantizeLinear(x, s, z) [conv] y_q = QLinearConv<pads=[1,1,1,1]>(x_q, s, z, w, ws, wz, t, z)\n"
    return model(f"{IMAGE} {{ {nodes} [dq_y] y = DequantizeLinear(y_q, t, z) }}", w=np.ones(KERNEL, np.int8))


def window_beyond_map() -> Model:
    text = f"(float[N,32,7,7] x) => (float[N,32,A,B] y) {{ {pair('x')} {weight()} {conv('c', 'x_d')}"
    return model(text + "[pool] y = AveragePool<kernel_shape=[64,64], ceil_mode=1>(c) }", w=KERNEL)


def attention(*quantized: str, softmax: str = "[softmax] p = Softmax(scores)") -> Model:
    """An attention, of whose operands q, k, p, v those that are named are quantized."""
    q, k, p, v = (f"{name}_d" if name in quantized else name for name in "qkpv")
    nodes = "".join(pair(name) for name in "qkv" if name in quantized)
    nodes += f"[matmul1] scores = MatMul({q}, {k})\n{softmax}\n" + (pair("p", "p_s") if "p" in quantized else "")
    nodes += f"[matmul2] c = MatMul({p}, {v})\n" + pair("c") + weight(axis=1) + "[matmul3] y = MatMul(c_d, w_d)"
    text = f"(float[N,2,24,16] q, float[N,2,16,24] k, float[N,2,24,16] v) => (float[N,2,24,32] y) {{ {nodes} }}"
    return model(text, w=(16, CHANNELS), p_s=scalar(1 / 127))


GUARDED = "[softmax] n = Softmax(scores) [test] is = IsNaN(n) [guard] p = Where(is, zero, n)"

PLANTED: Mapping[str, Planted] = {
    "TRT101": Planted(lambda: _activation(pair("x", "s", "u")), "q_x"),
    "TRT102": Planted(lambda: _activation(pair("x", "s", "")), "q_x"),
    "TRT103": Planted(lambda: _activation(pair("x", "s", "z_three")), "q_x"),
    "TRT104": Planted(lambda: _activation(pair("x", "s", "z_int16")), "q_x"),
    "TRT105": Planted(lambda: _weight(weight(scale="dead"), dead=np.arange(CHANNELS, dtype=np.float32)), "q_w"),
    "TRT106": Planted(run_time_scale, "q_x"),
    "TRT107": Planted(lambda: _activation(pair("x", "s_rank1", "z_rank1")), "q_x"),
    "TRT108": Planted(lambda: _activation(pair("x", "s_channels", "z_channels")), "q_x"),
    "TRT109": Planted(lambda: _weight(weight(axis=None)), "q_w"),
    "TRT110": Planted(blocked, "dq_w"),
    "TRT111": Planted(integer_bias, "dq_b"),
    "TRT112": Planted(lambda: _weight(weight(), "w_d", "b", b=np.ones(CHANNELS, np.float16)), "conv"),
    "TRT201": Planted(qlinear, "conv"),
    "TRT202": Planted(window_beyond_map, "pool"),
    "TRT203": Planted(lambda: attention("q", "k", "p", "v", softmax=GUARDED), "guard"),
    "TRT204": Planted(lambda: model(f"{IMAGE} {{ {conv('y', 'x', 'w')} }}", w=KERNEL), ""),
}
