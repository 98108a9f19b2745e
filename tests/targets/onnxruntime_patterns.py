"""Patterns that only ONNX Runtime treats apart: sizes at which integers pay, and what its optimizer fuses."""

from __future__ import annotations

from quantlab.graph.model import Model
from tests.patterns import Pattern, build, integers, ones, scalar


def wide_attention() -> Model:
    """Attention large enough to pay, with shapes so fixed that MatMul and bias become one Gemm."""
    return _attention("wide_attention", "2,48,64")


def free_attention() -> Model:
    """The same with a free batch, where MatMul and bias stay apart."""
    return _attention("free_attention", "N,48,64")


def _attention(name: str, shape: str) -> Model:
    return build(
        name,
        f"""(float[{shape}] x) => (float[{shape}] y) {{
            [norm] n = LayerNormalization<axis=-1>(x, gain, shift)
            [q_matmul] qm = MatMul(n, wq) [q_bias] qb = Add(qm, bq)
            [q_split] qs = Reshape(qb, heads) [q_turn] q = Transpose<perm=[0,2,1,3]>(qs)
            [k_matmul] km = MatMul(n, wk) [k_bias] kb = Add(km, bk)
            [k_split] ks = Reshape(kb, heads) [k_turn] k = Transpose<perm=[0,2,3,1]>(ks)
            [v_matmul] vm = MatMul(n, wv) [v_bias] vb = Add(vm, bv)
            [v_split] vs = Reshape(vb, heads) [v_turn] v = Transpose<perm=[0,2,1,3]>(vs)
            [scores] s = MatMul(q, k)
            [scale] sd = Mul(s, factor)
            [softmax] p = Softmax<axis=-1>(sd)
            [context] c = MatMul(p, v)
            [back] ct = Transpose<perm=[0,2,1,3]>(c) [merge] cm = Reshape(ct, merged)
            [out_matmul] om = MatMul(cm, wo) [out_bias] o = Add(om, bo)
            [add] y = Add(x, o)
        }}""",
        gain=ones(64),
        shift=(64,),
        wq=(64, 64),
        bq=(64,),
        wk=(64, 64),
        bk=(64,),
        wv=(64, 64),
        bv=(64,),
        wo=(64, 64),
        bo=(64,),
        factor=scalar(0.25),
        heads=integers(0, 0, 2, 32),
        merged=integers(0, 0, 64),
    )


def fixed_mlp() -> Model:
    """Linear, GELU, linear with fixed shapes: both pairs of MatMul and Add become a Gemm."""
    return build(
        "fixed_mlp",
        """(float[1,24,64] x) => (float[1,24,64] y) {
            [up] u = MatMul(x, w1) [up_bias] ub = Add(u, b1)
            [gelu] g = Gelu(ub)
            [down] d = MatMul(g, w2) [down_bias] y = Add(b2, d)
        }""",
        w1=(64, 256),
        b1=(256,),
        w2=(256, 64),
        b2=(64,),
    )


def matrix_mlp() -> Model:
    """The same on matrices, with ReLU, a residual, and a float reader of each."""
    return build(
        "matrix_mlp",
        """(float[64,64] x) => (float[64,64] y) {
            [up] u = MatMul(x, w1) [up_bias] ub = Add(u, b1) [relu] r = Relu(ub) [tanh] t = Tanh(r)
            [down] d = MatMul(t, w2) [residual] s = Add(d, x) [softsign] y = Softsign(s)
        }""",
        w1=(64, 64),
        b1=(64,),
        w2=(64, 64),
    )


def gemm_head() -> Model:
    """Fully connected layers: one read by another, one by a float node through a ReLU, one that is the output."""
    return build(
        "gemm_head",
        """(float[64,64] x) => (float[64,64] y) {
            [first] a = Gemm<transB=1>(x, w1, b1) [relu1] ar = Relu(a)
            [second] b = Gemm(ar, w2, b2) [relu2] br = Relu(b)
            [norm] n = LayerNormalization<axis=-1>(br, gain, shift)
            [third] y = Gemm(n, w3)
        }""",
        w1=(64, 64),
        b1=(64,),
        w2=(64, 64),
        b2=(64,),
        w3=(64, 64),
        gain=ones(64),
        shift=(64,),
    )


def shared_bias() -> Model:
    """Two linear layers that add the same bias constant, as exporters leave it when two biases are equal."""
    return build(
        "shared_bias",
        """(float[2,24,64] x) => (float[2,24,64] y, float[2,24,64] z) {
            [left] l = MatMul(x, w1) [left_bias] y = Add(l, b)
            [right] r = MatMul(x, w2) [right_bias] z = Add(r, b)
        }""",
        w1=(64, 64),
        w2=(64, 64),
        b=(64,),
    )


def hard_clip() -> Model:
    """A Clip whose lower bound is not 0 does not disappear into a rounding."""
    return build(
        "hard_clip",
        """(float[N,32,16,16] x) => (float[N,32,16,16] y) {
            [conv1] c = Conv<pads=[1,1,1,1]>(x, w1) [clip] a = Clip(c, low, high)
            [conv2] y = Conv<pads=[1,1,1,1]>(a, w2)
        }""",
        w1=(32, 32, 3, 3),
        w2=(32, 32, 3, 3),
        low=scalar(-1.0),
        high=scalar(1.0),
    )


def mobile_gate() -> Model:
    """A MobileNetV3 block: HardSwish around a depthwise convolution, which so stays float."""
    return build(
        "mobile_gate",
        """(float[N,32,16,16] x) => (float[N,32,16,16] y) {
            [expand] c1 = Conv(x, w1, b1) [swish1] a1 = HardSwish(c1)
            [depthwise] c2 = Conv<pads=[1,1,1,1],group=64>(a1, w2, b2) [swish2] a2 = HardSwish(c2)
            [project] y = Conv(a2, w3, b3)
        }""",
        w1=(64, 32, 1, 1),
        b1=(64,),
        w2=(64, 1, 3, 3),
        b2=(64,),
        w3=(32, 64, 1, 1),
        b3=(32,),
    )


def moves() -> Model:
    """A channel shuffle: values are moved seven times between two convolutions."""
    return build(
        "moves",
        """(float[2,32,8,8] x) => (float[2,32,8,8] y) {
            [conv1] c = Conv(x, w1)
            [group] g = Reshape(c, groups) [turn] t = Transpose<perm=[0,2,1,3,4]>(g) [merge] m = Reshape(t, merged)
            [halve] h1, h2 = Split<axis=1,num_outputs=2>(m)
            [join] j = Concat<axis=1>(h2, h1)
            [widen] u = Unsqueeze(j, first) [narrow] s = Squeeze(u, first)
            [cut] k = Slice(s, starts, ends)
            [conv2] y = Conv(k, w2)
        }""",
        w1=(32, 32, 1, 1),
        w2=(32, 32, 1, 1),
        groups=integers(2, 2, 16, 8, 8),
        merged=integers(2, 32, 8, 8),
        first=integers(0),
        starts=integers(0),
        ends=integers(2),
    )


def resnext_block() -> Model:
    """A grouped convolution too narrow for integers between two that are not."""
    return build(
        "resnext_block",
        """(float[N,32,16,16] x) => (float[N,32,16,16] y) {
            [reduce] c1 = Conv(x, w1, b1) [relu1] a1 = Relu(c1)
            [grouped] c2 = Conv<pads=[1,1,1,1],group=8>(a1, w2, b2) [relu2] a2 = Relu(c2)
            [expand] y = Conv(a2, w3, b3)
        }""",
        w1=(32, 32, 1, 1),
        b1=(32,),
        w2=(32, 4, 3, 3),
        b2=(32,),
        w3=(32, 32, 1, 1),
        b3=(32,),
    )


def image_stems() -> Model:
    """First convolutions of an image: a large one, and one that is cheaper in float."""
    return build(
        "image_stems",
        """(float[N,3,32,32] image) => (float[N,64,16,16] y, float[N,32,16,16] z) {
            [large] a = Conv<pads=[3,3,3,3],strides=[2,2]>(image, w1) [relu1] b = Relu(a) [next1] y = Conv(b, w3)
            [small] c = Conv<pads=[1,1,1,1],strides=[2,2]>(image, w2) [relu2] d = Relu(c) [next2] z = Conv(d, w4)
        }""",
        w1=(64, 3, 7, 7),
        w2=(32, 3, 3, 3),
        w3=(64, 64, 1, 1),
        w4=(32, 32, 1, 1),
    )


def uncommon_clip() -> Model:
    """A Clip to a number whose 255th part, times 255, comes out one step above it in float32."""
    return build(
        "uncommon_clip",
        """(float[N,32,16,16] x) => (float[N,32,16,16] y) {
            [conv1] c = Conv(x, w1) [clip] a = Clip(c, zero, high) [conv2] y = Conv(a, w2)
        }""",
        w1=(32, 32, 1, 1),
        w2=(32, 32, 1, 1),
        zero=scalar(0.0),
        high=scalar(3.9843752),
    )


def vanishing_average() -> Model:
    """A global average of what was just centred: rounding errors, of a thousandth of its input's step."""
    return build(
        "vanishing_average",
        """(float[2,32,16,16] x) => (float[2,32,16,16] y) {
            [norm] n = LayerNormalization<axis=2>(x, gain) [conv] c = Conv(n, w1)
            [pool] p = GlobalAveragePool(c) [add] s = Add(c, p) [next] y = Conv(s, w2)
        }""",
        gain=ones(16, 16),
        w1=(32, 32, 1, 1),
        w2=(32, 32, 1, 1),
    )


OWN_PATTERNS: dict[str, Pattern] = {
    function.__name__: function
    for function in (
        wide_attention,
        free_attention,
        fixed_mlp,
        matrix_mlp,
        gemm_head,
        shared_bias,
        hard_clip,
        mobile_gate,
        moves,
        resnext_block,
        image_stems,
        uncommon_clip,
        vanishing_average,
    )
}
