"""One model per rule for ONNX Runtime, with that fault and no other, and the operator that stays float for it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from quantlab.graph.model import Model
from tests.lint.build import IMAGE, KERNEL, ROWS, Array, conv, model, pair, weight
from tests.lint.planted_encodings import Planted


def image(nodes: str, **constants: Array | tuple[int, ...]) -> Model:
    """A model of images whose output is y_d."""
    return model(f"{IMAGE.replace(' y)', ' y_d)')} {{ {nodes} }}", **{"w": KERNEL, **constants})


def sound(scale: str = "s", zero_point: str = "u", **constants: Array | tuple[int, ...]) -> Model:
    """A convolution between pairs."""
    nodes = pair("x", scale, zero_point) + weight() + conv("y", "x_d") + pair("y", "t", "u")
    return image(nodes, **constants)


def shared_int8() -> Model:
    nodes = pair("x", "s", "z") + weight() + conv("a", "x_d", name="conv1") + pair("a", "s", "u")
    nodes += weight("v") + conv("b", "x_d", "v_d", name="conv2") + pair("b", "t", "u")
    return image(nodes + "[add] y = Add(a_d, b_d)\n" + pair("y", "t", "u"), v=KERNEL)


def relu_before_int8() -> Model:
    nodes = pair("x", "s", "u") + weight() + conv("c", "x_d") + "[relu] y = Relu(c)\n" + pair("y", "t", "z")
    return image(nodes)


def clip_before_more() -> Model:
    nodes = pair("x", "s", "u") + weight() + conv("c", "x_d") + "[clip] y = Clip(c, zero, six)\n" + pair("y", "t", "u")
    return image(nodes)


def other_bias_scale() -> Model:
    nodes = pair("x", "t", "u") + weight() + "[dq_b] b_d = DequantizeLinear<axis=0>(b, bs, bz)\n"
    nodes += conv("y", "x_d", "w_d", "b_d") + pair("y", "t", "u")
    return image(nodes, b=np.arange(32, dtype=np.int32))


def float_output() -> Model:
    return model(f"{IMAGE} {{ {pair('x', 's', 'u')} {weight()} {conv('y', 'x_d')} }}", w=KERNEL)


def twice_rounded() -> Model:
    nodes = pair("x", "s", "u") + weight() + conv("c", "x_d", name="conv1") + pair("c", "t", "u")
    nodes += "[q_again] again = QuantizeLinear(c, s, u) [dq_again] again_d = DequantizeLinear(again, s, u)\n"
    return image(nodes + "[add] y = Add(c_d, again_d)\n" + pair("y", "t", "u"))


def also_float() -> Model:
    nodes = pair("x", "s", "u") + weight() + conv("c", "x_d", name="conv1") + pair("c", "t", "u")
    nodes += weight("v") + conv("d", "c_d", "v_d", name="conv2") + pair("d", "t", "u")
    return image(nodes + "[sub] y_d = Sub(d_d, c)\n", v=KERNEL)


def weight_alone() -> Model:
    return model(f"{IMAGE} {{ {weight()} {conv('y', 'x')} }}", w=KERNEL)


def float_weight() -> Model:
    return image(pair("x", "s", "u") + conv("y", "x_d", "w") + pair("y", "t", "u"))


def float_gemm() -> Model:
    nodes = pair("x", "s", "u") + weight(axis=1, scale="ws512", zero_point="wz512") + "[gemm] y = Gemm(x_d, w_d, b)"
    text = f"(float[N,512] x) => (float[N,512] y) {{ {nodes} }}"
    scales = np.full(512, 0.01, np.float32)
    return model(text, w=(512, 512), b=(512,), ws512=scales, wz512=np.zeros(512, np.int8))


def changed_by_pool() -> Model:
    nodes = pair("x", "s", "u") + weight() + conv("c", "x_d") + pair("c", "s", "u")
    nodes += "[pool] y = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(c_d)\n" + pair("y", "t", "u")
    return image(nodes)


def idle() -> Model:
    return model(f"{ROWS} {{ [tanh] a = Tanh(x) {pair('a', 's', 'u_middle')} [norm] y = Softmax(a_d) }}")


def dead() -> Model:
    nodes = pair("x", "s", "u") + weight(scale="rising") + conv("y", "x_d") + pair("y", "t", "u")
    return image(nodes, rising=np.arange(32, dtype=np.float32))


def per_channel() -> Model:
    return sound("s_channels", "u_channels", u_channels=np.zeros(32, np.uint8))


PLANTED: Mapping[str, Planted] = {
    "ORT101": Planted(shared_int8, "q_x"),
    "ORT102": Planted(relu_before_int8, "relu"),
    "ORT103": Planted(other_bias_scale, "conv"),
    "ORT104": Planted(dead, "q_w"),
    "ORT105": Planted(per_channel, "q_x"),
    "ORT106": Planted(lambda: model(f"{IMAGE} {{ {conv('y', 'x', 'w')} }}", w=KERNEL), ""),
    "ORT201": Planted(float_output, "conv"),
    "ORT202": Planted(also_float, "conv1"),
    "ORT203": Planted(weight_alone, "conv"),
    "ORT204": Planted(float_weight, "conv"),
    "ORT205": Planted(float_gemm, "gemm"),
    "ORT206": Planted(changed_by_pool, "pool"),
    "ORT207": Planted(idle, "q_a"),
}
MORE: Mapping[str, tuple[str, Planted]] = {
    "a Clip below the highest integer": ("ORT102", Planted(clip_before_more, "clip")),
    "two QuantizeLinear behind one convolution": ("ORT202", Planted(twice_rounded, "conv1")),
}
# The operators that stay float for the fault, and those that it leaves no integer kernel of.
FLOAT_OPERATORS: Mapping[str, tuple[str, int]] = {
    "ORT101": ("Conv", 2),
    "ORT102": ("FusedConv", 1),
    "ORT103": ("Conv", 1),
    "ORT201": ("Conv", 1),
    "ORT202": ("Conv", 1),
    "ORT203": ("Conv", 1),
    "ORT205": ("Gemm", 1),
    "ORT206": ("MaxPool", 1),
}
