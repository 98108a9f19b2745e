"""Models that are sound for TensorRT, in the forms in which other tools write them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from quantlab.graph.model import Model
from tests.lint.build import IMAGE, KERNEL, MATRIX, ROWS, conv, model, pair, weight
from tests.lint.planted_encodings import attention

WHOLE = "[s_x] s_c = Constant<value=float {0.02}>() [z_x] z_c = Constant<value=int8 {0}>()\n"
ONES = np.ones(32, np.float32)


def pytorch_quantization() -> Model:
    """Constants are nodes, batch norms stand alone, weights are float."""
    nodes = WHOLE + pair("x", "s_c", "z_c") + weight() + conv("c", "x_d")
    nodes += "[bn] n = BatchNormalization(c, ones, ones, ones, ones) [relu] y = Relu(n)"
    return model(f"{IMAGE} {{ {nodes} }}", w=KERNEL, ones=ONES)


def linear() -> Model:
    """torch.nn.Linear of three dimensions: the weight [N, K] is turned behind its pair."""
    nodes = pair("x") + weight(axis=0) + "[turn] w_t = Transpose<perm=[1,0]>(w_d) [matmul] m = MatMul(x_d, w_t)\n"
    return model(f"{ROWS} {{ {nodes} [bias] y = Add(b, m) }}", w=MATRIX, b=(32,))


def baked() -> Model:
    """ModelOpt with dq_only: integers and a DequantizeLinear."""
    nodes = pair("x") + "[dq_w] w_d = DequantizeLinear<axis=0>(w, ws, wz)\n" + conv("y", "x_d", "w_d", "b")
    return model(f"{IMAGE} {{ {nodes} }}", w=np.ones(KERNEL, np.int8), b=(32,))


def half_precision() -> Model:
    """ModelOpt's default: everything but the integers in half precision."""
    halves = {name: np.asarray(value, np.float16) for name, value in (("h", 0.02), ("hw", ONES * 0.01), ("b", ONES))}
    nodes = pair("x", "h") + "[dq_w] w_d = DequantizeLinear<axis=0>(w, hw, wz)\n" + conv("y", "x_d", "w_d", "b")
    return model(f"{IMAGE.replace('float', 'float16')} {{ {nodes} }}", w=np.ones(KERNEL, np.int8), **halves)


def cast_around() -> Model:
    """Half precision around float32 scales, for opsets before 19."""
    nodes = "[up] f = Cast<to=1>(x)\n" + pair("f") + "[down] h = Cast<to=10>(f_d)\n" + weight()
    nodes += "[down_w] w_h = Cast<to=10>(w_d)\n" + conv("y", "h", "w_h")
    return model(f"{IMAGE.replace('float', 'float16')} {{ {nodes} }}", w=KERNEL)


def pair_before_pool() -> Model:
    """What only moves values may stand between a pair and its reader."""
    nodes = pair("x") + "[pool] p = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(x_d)\n" + weight() + conv("y", "p")
    return model(f"{IMAGE} {{ {nodes} }}", w=KERNEL)


def weight_alone() -> Model:
    """A matrix product with an int8 weight and a float activation."""
    return model(f"{ROWS} {{ {weight(axis=1)} [matmul] y = MatMul(x, w_d) }}", w=MATRIX)


def integer_interface() -> Model:
    """Integers come in and go out."""
    nodes = "[dq_x] x_d = DequantizeLinear(x, s, z)\n" + weight() + conv("c", "x_d")
    return model(f"{IMAGE.replace('float', 'int8')} {{ {nodes} [q_c] y = QuantizeLinear(c, t, z) }}", w=KERNEL)


def reshaped_weight() -> Model:
    """A weight that takes its shape behind its pair."""
    nodes = pair("x") + weight() + "[shape] w_r = Reshape(w_d, kernel)\n" + conv("y", "x_d", "w_r")
    return model(f"{IMAGE} {{ {nodes} }}", w=(32, 288), kernel=np.asarray(KERNEL, np.int64))


def one_scale() -> Model:
    """A weight with one scale."""
    return model(
        f"{IMAGE} {{ {pair('x')} {weight(axis=None, scale='s', zero_point='z')} {conv('y', 'x_d')} }}", w=KERNEL
    )


def pool_between_pairs() -> Model:
    """A global average with pairs on both sides, as TensorRT 10 likes it."""
    nodes = pair("x") + "[pool] p = GlobalAveragePool(x_d)\n" + pair("p", "t") + "[flat] f = Flatten(p_d)\n"
    text = f"(float[N,32,16,16] x) => (float[N,32] y) {{ {nodes} {weight(axis=0)} "
    return model(text + "[gemm] y = Gemm<transB=1>(f, w_d) }", w=MATRIX)


def residual() -> Model:
    """The skip alone is quantized, and the sum is read by the next convolution."""
    nodes = pair("x") + weight() + conv("c", "x_d") + "[add] a = Add(c, x_d) [relu] r = Relu(a)\n" + pair("r", "t")
    return model(f"{IMAGE} {{ {nodes} {weight('v')} {conv('y', 'r_d', 'v_d', name='conv2')} }}", w=KERNEL, v=KERNEL)


def concat() -> Model:
    """Inputs of one scale."""
    nodes = pair("x") + pair("r") + "[concat] c = Concat<axis=1>(x_d, r_d)\n" + weight()
    text = f"(float[N,16,16,16] x, float[N,16,16,16] r) => (float[N,32,16,16] y) {{ {nodes} {conv('y', 'c')} }}"
    return model(text, w=KERNEL)


VALID: Mapping[str, Callable[[], Model]] = {
    function.__name__: function
    for function in (
        pytorch_quantization,
        linear,
        baked,
        half_precision,
        cast_around,
        pair_before_pool,
        weight_alone,
        integer_interface,
        reshaped_weight,
        one_scale,
        pool_between_pairs,
        residual,
        concat,
    )
} | {"attention": lambda: attention("q", "k", "v", "p")}
