"""Matrix products: attention in its several exported forms, and what else a transformer or an MLP is made of."""

from __future__ import annotations

from quantlab.graph.model import Model
from tests.patterns.build import build, integers, ones, scalar

_HEADS = integers(0, 0, 4, 16)
_MERGED = integers(0, 0, 64)


def attention() -> Model:
    """Self-attention of four heads: three projections of one input, scaled product, softmax, product, projection."""
    return build(
        "attention",
        """(float[N,24,64] x) => (float[N,24,64] y) {
            [q_matmul] qm = MatMul(x, wq) [q_bias] qb = Add(qm, bq)
            [q_split] qs = Reshape(qb, heads) [q_turn] q = Transpose<perm=[0,2,1,3]>(qs)
            [k_matmul] km = MatMul(x, wk) [k_bias] kb = Add(km, bk)
            [k_split] ks = Reshape(kb, heads) [k_turn] k = Transpose<perm=[0,2,3,1]>(ks)
            [v_matmul] vm = MatMul(x, wv) [v_bias] vb = Add(vm, bv)
            [v_split] vs = Reshape(vb, heads) [v_turn] v = Transpose<perm=[0,2,1,3]>(vs)
            [scale] qq = Mul(q, factor)
            [scores] s = MatMul(qq, k)
            [softmax] p = Softmax<axis=-1>(s)
            [context] c = MatMul(p, v)
            [back] ct = Transpose<perm=[0,2,1,3]>(c) [merge] cm = Reshape(ct, merged)
            [out_matmul] om = MatMul(cm, wo) [out_bias] y = Add(om, bo)
        }""",
        wq=(64, 64),
        bq=(64,),
        wk=(64, 64),
        bk=(64,),
        wv=(64, 64),
        bv=(64,),
        wo=(64, 64),
        bo=(64,),
        factor=scalar(0.25),
        heads=_HEADS,
        merged=_MERGED,
    )


def attention_scaled_scores_masked() -> Model:
    """The scale and a mask lie between product and softmax, as in BERT."""
    return build(
        "attention_scaled_scores_masked",
        """(float[N,24,64] x, float[N,1,1,24] mask) => (float[N,24,64] y) {
            [q_matmul] qm = MatMul(x, wq) [q_bias] qb = Add(qm, bq)
            [q_split] qs = Reshape(qb, heads) [q_turn] q = Transpose<perm=[0,2,1,3]>(qs)
            [k_matmul] km = MatMul(x, wk) [k_bias] kb = Add(km, bk)
            [k_split] ks = Reshape(kb, heads) [k_turn] k = Transpose<perm=[0,2,3,1]>(ks)
            [v_matmul] vm = MatMul(x, wv) [v_bias] vb = Add(vm, bv)
            [v_split] vs = Reshape(vb, heads) [v_turn] v = Transpose<perm=[0,2,1,3]>(vs)
            [scores] s = MatMul(q, k)
            [scale] sd = Div(s, factor)
            [mask_add] sm = Add(sd, mask)
            [softmax] p = Softmax<axis=-1>(sm)
            [context] c = MatMul(p, v)
            [back] ct = Transpose<perm=[0,2,1,3]>(c) [merge] cm = Reshape(ct, merged)
            [out_matmul] om = MatMul(cm, wo) [out_bias] y = Add(om, bo)
        }""",
        wq=(64, 64),
        bq=(64,),
        wk=(64, 64),
        bk=(64,),
        wv=(64, 64),
        bv=(64,),
        wo=(64, 64),
        bo=(64,),
        factor=scalar(4.0),
        heads=_HEADS,
        merged=_MERGED,
    )


def attention_fused_qkv() -> Model:
    """One projection to three times the width, cut into Q, K and V, as timm's vision transformers have it."""
    return build(
        "attention_fused_qkv",
        """(float[N,24,64] x) => (float[N,24,64] y) {
            [qkv_matmul] m = MatMul(x, wqkv) [qkv_bias] b = Add(m, bqkv)
            [qkv_split] r = Reshape(b, five) [qkv_turn] t = Transpose<perm=[2,0,3,1,4]>(r)
            [q_take] q = Gather<axis=0>(t, zero) [k_take] kk = Gather<axis=0>(t, one)
            [v_take] v = Gather<axis=0>(t, two)
            [scale] qq = Mul(q, factor)
            [k_turn] k = Transpose<perm=[0,1,3,2]>(kk)
            [scores] s = MatMul(qq, k)
            [softmax] p = Softmax<axis=-1>(s)
            [context] c = MatMul(p, v)
            [back] ct = Transpose<perm=[0,2,1,3]>(c) [merge] cm = Reshape(ct, merged)
            [out_matmul] om = MatMul(cm, wo) [out_bias] y = Add(om, bo)
        }""",
        wqkv=(64, 192),
        bqkv=(192,),
        wo=(64, 64),
        bo=(64,),
        factor=scalar(0.25),
        zero=integers(0).reshape(()),
        one=integers(1).reshape(()),
        two=integers(2).reshape(()),
        five=integers(0, 0, 3, 4, 16),
        merged=_MERGED,
    )


def qkv_shared_input() -> Model:
    """Three projections of one normalized input."""
    return build(
        "qkv_shared_input",
        """(float[N,24,64] x) => (float[N,24,64] q, float[N,24,64] k, float[N,24,64] v) {
            [norm] n = LayerNormalization<axis=-1>(x, gain, shift)
            [q_matmul] qm = MatMul(n, wq) [q_bias] q = Add(qm, bq)
            [k_matmul] km = MatMul(n, wk) [k_bias] k = Add(km, bk)
            [v_matmul] vm = MatMul(n, wv) [v_bias] v = Add(vm, bv)
        }""",
        gain=ones(64),
        shift=(64,),
        wq=(64, 64),
        bq=(64,),
        wk=(64, 64),
        bk=(64,),
        wv=(64, 64),
        bv=(64,),
    )


def layernorm_mlp_gelu() -> Model:
    """A transformer's MLP with its residual: LayerNorm, linear, GELU, linear, add."""
    return build(
        "layernorm_mlp_gelu",
        """(float[N,24,64] x) => (float[N,24,64] y) {
            [norm] n = LayerNormalization<axis=-1>(x, gain, shift)
            [up_matmul] um = MatMul(n, wu) [up_bias] u = Add(um, bu)
            [gelu] g = Gelu(u)
            [down_matmul] dm = MatMul(g, wd) [down_bias] d = Add(dm, bd)
            [add] y = Add(d, x)
        }""",
        gain=ones(64),
        shift=(64,),
        wu=(64, 256),
        bu=(256,),
        wd=(256, 64),
        bd=(64,),
    )


def matmul_bias() -> Model:
    """A linear layer on three axes: MatMul with constant weight, then a bias Add."""
    return build(
        "matmul_bias",
        """(float[N,24,64] x) => (float[N,24,32] y) {
            [matmul1] m1 = MatMul(x, w1) [bias1] h = Add(m1, b1)
            [relu] a = Relu(h)
            [matmul2] m2 = MatMul(a, w2) [bias2] y = Add(b2, m2)
        }""",
        w1=(64, 64),
        b1=(64,),
        w2=(64, 32),
        b2=(32,),
    )


def gemv() -> Model:
    """Products with a single row, or a single column."""
    return build(
        "gemv",
        """(float[1,64] x, float[N,24,64] z) => (float[1,32] y, float[N,24,1] v) {
            [one_row] y = MatMul(x, w1)
            [one_column] v = MatMul(z, w2)
        }""",
        w1=(64, 32),
        w2=(64, 1),
    )


def tiny_gemm() -> Model:
    """Products whose inner or outer size is below 16."""
    return build(
        "tiny_gemm",
        """(float[N,24,8] x) => (float[N,24,4] y) {
            [few_inputs] m1 = MatMul(x, w1)
            [relu1] a1 = Relu(m1)
            [wide] m2 = MatMul(a1, w2)
            [relu2] a2 = Relu(m2)
            [few_outputs] y = MatMul(a2, w3)
        }""",
        w1=(8, 64),
        w2=(64, 64),
        w3=(64, 4),
    )


def dynamic_matmul() -> Model:
    """A product of two activations that is no attention, next to a linear layer."""
    return build(
        "dynamic_matmul",
        """(float[N,24,64] x, float[N,64,24] z) => (float[N,24,64] y) {
            [product] p = MatMul(x, z)
            [relu] a = Relu(p)
            [linear] y = MatMul(a, w)
        }""",
        w=(24, 64),
    )
