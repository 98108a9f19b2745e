"""Where branches meet, TensorRT wants one operand of a sum in INT8, and one encoding of a concatenation."""

from __future__ import annotations

import pytest

from quantlab.plan import Reader
from quantlab.targets.tensorrt import TensorRT
from tests.patterns import build, integers, scalar
from tests.targets.placing import edges, place, reason


def test_a_residual_sum_quantizes_only_the_skip() -> None:
    plan = place("residual_identity")
    assert {"add1[1]", "add2[1]"} <= edges(plan)
    assert not {"add1[0]", "add2[0]"} & edges(plan)
    assert plan.by_tensor["a0"].readers == (Reader("conv1", 0), Reader("add1", 1))


def test_a_projection_shortcut_counts_as_the_skip() -> None:
    plan = place("residual_projection")
    assert plan.by_tensor["p"].readers == (Reader("add", 1),)
    assert "the skip is quantized" in reason(plan, "c2")


def test_the_skip_of_an_inverted_residual_is_the_block_input_whichever_operand_it_is() -> None:
    assert "add[0]" in edges(place("inverted_residual"))
    assert "add[1]" not in edges(place("inverted_residual"))


def test_a_sum_into_a_matrix_product_stays_float() -> None:
    # Nothing takes the sum in, and LayerNormalization reads the stream in float anyway.
    assert not {"add[0]", "add[1]"} & edges(place("layernorm_mlp_gelu"))


def test_a_sum_that_needs_the_convolution_result_twice_is_no_residual() -> None:
    model = build(
        "squared",
        """(float[N,32,8,8] x) => (float[N,32,8,8] y) {
            [conv] c = Conv(x, w) [square] s = Mul(c, c) [norm] n = Softmax<axis=1>(s) [add] y = Add(c, n)
        }""",
        w=(32, 32, 1, 1),
    )
    assert edges(TensorRT().place(model)) == {"conv[0]"}


def test_concatenated_tensors_share_one_encoding_with_the_result() -> None:
    plan = place("concat")
    assert plan.groups == {"a": ("a", "r", "j")}
    assert {"concat[0]", "concat[1]", "conv[0]"} <= edges(plan)


def test_a_chain_of_concatenations_shares_one_encoding() -> None:
    assert place("dense_concat_chain").groups == {"x": ("x", "a1", "j1", "a2", "j2")}


def test_a_concatenation_that_no_product_reads_stays_float() -> None:
    assert not {"join[0]", "join[1]", "detections[0]"} & edges(place("detection_head"))


def test_a_concatenation_behind_a_max_pool_still_shares_one_encoding() -> None:
    model = build(
        "pooled_concat",
        """(float[N,16,8,8] x, float[N,16,8,8] z) => (float[N,32,4,4] y) {
            [concat] j = Concat<axis=1>(x, z)
            [pool] p = MaxPool<kernel_shape=[2,2],strides=[2,2]>(j)
            [conv] y = Conv(p, w)
        }""",
        w=(32, 32, 1, 1),
    )
    plan = TensorRT().place(model)
    assert plan.groups == {"x": ("x", "z", "p")}
    assert edges(plan) == {"concat[0]", "concat[1]", "conv[0]"}


@pytest.mark.parametrize(
    ("pattern", "before", "edge"), [("maxpool", "a1", "conv2[0]"), ("resize_concat", "t", "concat[0]")]
)
def test_a_pair_sits_behind_what_only_moves_values(pattern: str, before: str, edge: str) -> None:
    plan = place(pattern)
    assert edge in edges(plan)
    assert "sits behind" in reason(plan, before)


def test_a_pooled_tensor_shares_with_its_source_when_both_are_read_in_integers() -> None:
    model = build(
        "stem_and_pool",
        """(float[N,32,8,8] x) => (float[N,32,8,8] y, float[N,32,4,4] z) {
            [fine] y = Conv(x, w)
            [pool] p = MaxPool<kernel_shape=[2,2],strides=[2,2]>(x)
            [coarse] z = Conv(p, v)
        }""",
        w=(32, 32, 1, 1),
        v=(32, 32, 1, 1),
    )
    plan = TensorRT().place(model)
    assert plan.groups == {"x": ("x", "p")}
    assert edges(plan) == {"fine[0]", "pool[0]", "coarse[0]"}


def test_a_tensor_moved_twice_shares_with_its_source_without_pairs_in_between() -> None:
    model = build(
        "moved_twice",
        """(float[N,32,64] x) => (float[N,32,32] y, float[N,64,16] z) {
            [matmul] y = MatMul(x, w)
            [fold] f = Reshape(x, shape) [turn] t = Transpose<perm=[0,2,1]>(f)
            [other] z = MatMul(t, v)
        }""",
        w=(64, 32),
        shape=integers(0, 32, 64),
        v=(32, 16),
    )
    plan = TensorRT().place(model)
    assert plan.groups == {"x": ("x", "t")}
    assert edges(plan) == {"matmul[0]", "fold[0]", "other[0]"}


@pytest.mark.parametrize(("fill", "groups"), [(0.0, {"x": ("x", "p")}), (1.0, {})])
def test_padding_shares_an_encoding_only_if_it_fills_with_zero(fill: float, groups: dict[str, tuple[str, ...]]) -> None:
    model = build(
        "padded",
        """(float[N,32,8,8] x) => (float[N,32,8,8] y, float[N,32,10,10] z) {
            [plain] y = Conv(x, w)
            [pad] p = Pad(x, pads, fill)
            [padded] z = Conv(p, v)
        }""",
        w=(32, 32, 1, 1),
        v=(32, 32, 1, 1),
        pads=integers(0, 0, 1, 1, 0, 0, 1, 1),
        fill=scalar(fill),
    )
    assert TensorRT().place(model).groups == groups


def test_a_sum_and_a_concatenation_can_be_kept_float() -> None:
    assert not {"add1[1]", "add2[1]"} & edges(place("residual_identity", "Add"))
    assert not place("concat", "Concat").groups
