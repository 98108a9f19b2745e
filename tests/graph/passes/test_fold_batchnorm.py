from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantlab.graph.prepare import prepare
from tests.graph.models import ops, parsed, prepared, weight


def parameters(channels: int, seed: int = 0) -> dict[str, Any]:
    """Return what BatchNormalization needs, as training leaves it behind."""
    random = np.random.default_rng(seed)
    return {
        "scale": random.normal(size=channels).astype(np.float32),
        "shift": random.normal(size=channels).astype(np.float32),
        "mean": random.normal(size=channels).astype(np.float32),
        "variance": random.uniform(0.01, 4, channels).astype(np.float32),
    }


NORM = "BatchNormalization(t, scale, shift, mean, variance)"


def weights(*shape: int, seed: int = 1) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@settings(max_examples=25, deadline=None)
@given(
    groups=st.sampled_from([1, 2, 4]),
    has_bias=st.booleans(),
    epsilon=st.sampled_from([1e-5, 1e-3, 0.1]),
    seed=st.integers(0, 1000),
)
def test_a_convolution_takes_its_batchnorm_in(groups, has_bias, epsilon, seed):
    bias: dict[str, Any] = {"b": weights(8, seed=seed)} if has_bias else {}
    model = parsed(
        f"""g (float[N,4,6,6] x) => (float[N,8,4,4] y) {{ t = Conv<group = {groups}>(x, {", ".join(["w", *bias])})
        y = BatchNormalization<epsilon = {epsilon}>(t, scale, shift, mean, variance) }}""",
        w=weights(8, 4 // groups, 3, 3, seed=seed),
        **bias,
        **parameters(8, seed),
    )
    after = prepared(model)
    assert ops(after) == ["Conv"]
    assert after.outputs == ("y",)


@settings(max_examples=25, deadline=None)
@given(groups=st.sampled_from([1, 2, 4]), has_bias=st.booleans(), seed=st.integers(0, 1000))
def test_a_transposed_convolution_takes_its_batchnorm_in(groups, has_bias, seed):
    bias: dict[str, Any] = {"b": weights(8, seed=seed)} if has_bias else {}
    model = parsed(
        f"""g (float[N,4,6,6] x) => (float[N,8,A,B] y) {{
        t = ConvTranspose<group = {groups}, strides = [2, 2]>(x, {", ".join(["w", *bias])})  y = {NORM} }}""",
        w=weights(4, 8 // groups, 3, 3, seed=seed),
        **bias,
        **parameters(8, seed),
    )
    assert ops(prepared(model)) == ["ConvTranspose"]


@pytest.mark.parametrize("transposed", [0, 1])
@pytest.mark.parametrize("bias", [None, (), (6,), (1, 6), (2, 1), (2, 6)])
@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 1.0), (0.5, 2.0)])
def test_a_gemm_takes_its_batchnorm_in(transposed, bias, alpha, beta):
    extra: dict[str, Any] = {} if bias is None else {"b": weights(*bias)}
    model = parsed(
        f"""g (float[2,5] x) => (float[2,6] y) {{
        t = Gemm<transB = {transposed}, alpha = {alpha}, beta = {beta}>(x, {", ".join(["w", *extra])})
        y = {NORM} }}""",
        w=weights(*((6, 5) if transposed else (5, 6))),
        **extra,
        **parameters(6),
    )
    assert ops(prepared(model)) == ["Gemm"]


def test_the_weight_keeps_its_name_and_a_new_bias_is_called_after_it():
    model = parsed(
        f'g (float[N,2,4,4] x) => (float[N,3,2,2] y) {{ t = Conv(x, "layer.weight")  u = {NORM}  y = Relu(u) }}',
        **(parameters(3) | {"layer.weight": weights(3, 2, 3, 3)}),
    )
    after = prepared(model)
    assert sorted(after.graph.initializers) == ["layer.bias", "layer.weight"]
    assert not np.array_equal(weight(after, "layer.weight"), weight(model, "layer.weight"))
    assert after.notes == ("1 BatchNormalization were folded into the layers before them",)


def test_a_weight_that_another_layer_reads_is_copied_first():
    model = parsed(
        f"""g (float[N,3,4,4] x) => (float[N,3,4,4] y, float[N,3,4,4] z) {{ z = Conv(x, w)
        t = Conv(x, w)  y = {NORM} }}""",
        w=weights(3, 3, 1, 1),
        **parameters(3),
    )
    after = prepared(model)
    assert ops(after) == ["Conv", "Conv"]
    assert np.array_equal(weight(after, "w"), weight(model, "w"))


def test_half_precision_stays_half_precision():
    model = parsed(
        f"g (float16[N,2,4,4] x) => (float16[N,3,2,2] y) {{ t = Conv(x, w)  y = {NORM} }}",
        w=weights(3, 2, 3, 3).astype(np.float16),
        **{name: array.astype(np.float16) for name, array in parameters(3).items()},
    )
    after = prepare(model)
    assert ops(after) == ["Conv"]
    assert {str(weight(after, name).dtype) for name in after.graph.initializers} == {"float16"}


CONV = "t = Conv(x, w)"
INPUT = "(float[N,3,4,4] x)"
OUTPUT = "(float[N,3,A,B] y)"


@pytest.mark.parametrize(
    ("graph", "reason"),
    [
        (f"g {INPUT} => {OUTPUT} {{ {CONV}  [bn] u = {NORM}  y = Add(u, t) }}", "is read by others too"),
        (f"g {INPUT} => (float[N,3,A,B] t, float[N,3,A,B] y) {{ {CONV}  [bn] y = {NORM} }}", "is read by others too"),
        (f"g {INPUT} => {OUTPUT} {{ c = Conv(x, w)  t = Relu(c)  [bn] y = {NORM} }}", "it follows Relu"),
        (f"g (float[N,3,4,4] t) => {OUTPUT} {{ [bn] y = {NORM} }}", "it follows the graph's input"),
        (
            f"""g (float[N,3,4,4] x, float[3] k) => {OUTPUT} {{ {CONV}
            [bn] y = BatchNormalization(t, scale, shift, mean, k) }}""",
            "its parameters are not constant",
        ),
        (f"g (float[N,3,4,4] x, float[3,3,1,1] k) => {OUTPUT} {{ t = Conv(x, k)  [bn] y = {NORM} }}", "the weight of"),
        (f"g (float[N,3,4,4] x, float[3] k) => {OUTPUT} {{ t = Conv(x, w, k)  [bn] y = {NORM} }}", "the bias of"),
    ],
)
def test_a_batchnorm_that_cannot_be_folded_stays_with_its_reason(graph, reason):
    model = parsed(graph, w=weights(3, 3, 1, 1), **parameters(3))
    after = prepare(model)
    assert "BatchNormalization" in ops(after)
    assert len(after.notes) == 1
    assert "'bn' stays" in after.notes[0]
    assert reason in after.notes[0]


def test_a_batchnorm_in_training_mode_stays_with_its_reason():
    model = parsed(
        f"""g {INPUT} => {OUTPUT} {{ {CONV}
        [bn] y, m, v = BatchNormalization<training_mode = 1>(t, scale, shift, mean, variance) }}""",
        w=weights(3, 3, 1, 1),
        **parameters(3),
    )
    after = prepare(model)
    assert "BatchNormalization" in ops(after)
    assert "training mode" in after.notes[0]


def test_below_opset_14_further_outputs_mean_training_mode():
    model = parsed(
        f"""g {INPUT} => {OUTPUT} {{ {CONV}
        [bn] y, m, v, a, b = BatchNormalization(t, scale, shift, mean, variance) }}""",
        11,
        6,
        w=weights(3, 3, 1, 1),
        **parameters(3),
    )
    after = prepared(model)
    assert "BatchNormalization" in ops(after)
    assert "training mode" in after.notes[-1]


def test_a_damaged_variance_is_told():
    damaged = parameters(3) | {"variance": np.array([1, -1, 1], np.float32)}
    model = parsed(f"g {INPUT} => {OUTPUT} {{ {CONV}  [bn] y = {NORM} }}", w=weights(3, 3, 1, 1), **damaged)
    assert "variance is negative" in prepare(model).notes[0]
