"""ONNX Runtime makes of every pattern what its plan says, and computes what the Q/DQ graph says."""

from __future__ import annotations

import functools
import random

import numpy as np
import onnx_ir as ir
import pytest

from quantlab.audit import Audit, audit_onnxruntime
from quantlab.graph.model import Model
from quantlab.graph.prepare import prepare
from quantlab.plan import Plan
from quantlab.targets.onnxruntime import OnnxRuntime
from tests.targets.onnxruntime_plans import ALL_PATTERNS
from tests.targets.quantize import ENGINE, LITERALLY, noise_for, quantized
from tests.targets.random_networks import random_network


@functools.cache
def placed(pattern: str, calibrator: str = "minmax", *keep_float: str) -> tuple[Model, Plan]:
    model = ALL_PATTERNS[pattern]()
    plan = OnnxRuntime().place(model, keep_float=keep_float)
    return quantized(model, plan, calibrator=calibrator), plan


def audit(pattern: str, calibrator: str = "minmax", *keep_float: str) -> Audit:
    return audit_onnxruntime(*placed(pattern, calibrator, *keep_float))


def ran_as(pattern: str, *keep_float: str) -> dict[str, str]:
    return {row.node: row.ran_as for row in audit(pattern, "minmax", *keep_float).rows}


@pytest.mark.parametrize("pattern", ALL_PATTERNS)
def test_every_node_runs_where_the_plan_wants_it(pattern: str) -> None:
    assert not audit(pattern).leftovers


@pytest.mark.parametrize("calibrator", ["entropy", "percentile", "mse"])
@pytest.mark.parametrize("pattern", ["conv_relu6", "uncommon_clip", "inverted_residual", "maxpool"])
def test_activations_disappear_whatever_the_calibrator(pattern: str, calibrator: str) -> None:
    assert not audit(pattern, calibrator).leftovers


@pytest.mark.parametrize("pattern", ALL_PATTERNS)
def test_integer_kernels_compute_what_the_quantized_graph_says(pattern: str) -> None:
    model, _ = placed(pattern)
    feeds = noise_for(model, seed=1)
    with ENGINE.open(model) as fused, LITERALLY.open(model) as literal:
        found, expected = fused.run(feeds), literal.run(feeds)
    for name in model.outputs:
        # A kernel may round the other way at a tie of one of its inputs, or of its output: two steps of uint8.
        step = np.ptp(expected[name]) / 255
        np.testing.assert_allclose(found[name], expected[name], atol=2.01 * step, rtol=0, err_msg=name)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("conv_relu", {"conv1": "QLinearConv", "conv2": "QLinearConv"}),
        ("conv_relu6", {"conv1": "QLinearConv", "conv2": "QLinearConv"}),
        ("conv_silu", {"sigmoid1": "QLinearSigmoid", "mul1": "QLinearMul"}),
        ("conv_leaky_relu", {"leaky1": "QLinearLeakyRelu"}),
        ("depthwise", {"depthwise": "Conv", "pointwise": "QLinearConv"}),
        ("inverted_residual", {"depthwise": "QLinearConv", "add": "QLinearAdd"}),
        ("residual_identity", {"conv2": "QLinearConv", "add1": "QLinearAdd", "add2": "Add"}),
        ("concat", {"left": "QLinearConv", "right": "QLinearConv", "concat": "QLinearConcat"}),
        ("maxpool", {"pool": "NhwcMaxPool"}),
        ("average_pool", {"pool": "AveragePool"}),
        ("global_pool_head", {"pool": "QLinearGlobalAveragePool"}),
        ("resize_feature_pyramid", {"resize": "Resize", "sum": "QLinearAdd"}),
        ("squeeze_excite_sigmoid", {"gate": "QLinearSigmoid", "excite": "QLinearMul"}),
        ("conv_transpose", {"up": "ConvTranspose"}),
        ("wide_attention", {"q_matmul": "QGemm", "scores": "MatMulIntegerToFloat", "context": "QLinearMatMul"}),
        ("free_attention", {"q_matmul": "MatMulIntegerToFloat", "context": "QLinearMatMul"}),
        ("fixed_mlp", {"up": "QGemm", "down": "QGemm"}),
        ("gemm_head", {"first": "QGemm", "second": "QGemm", "third": "QGemm"}),
        ("shared_bias", {"left": "QGemm", "right": "QLinearMatMul"}),
    ],
)
def test_nodes_become_the_kernels_they_are_known_to_become(pattern: str, expected: dict[str, str]) -> None:
    found = ran_as(pattern)
    assert {node: found[node] for node in expected} == expected


@pytest.mark.parametrize(
    ("pattern", "kept", "operator"),
    [
        ("residual_identity", "conv1", "Conv"),
        ("residual_identity", "add1", "Add"),
        ("conv_silu", "mul1", "Mul"),
        ("concat", "concat", "Concat"),
        ("gemm_head", "second", "Gemm"),
        ("wide_attention", "out_matmul", "Gemm"),
    ],
)
def test_a_node_kept_float_is_float_and_the_rest_is_not(pattern: str, kept: str, operator: str) -> None:
    found = audit(pattern, "minmax", kept)
    assert not found.leftovers
    assert operator in next(row.ran_as for row in found.rows if row.node == kept)


def test_a_layer_kept_float_keeps_its_weight() -> None:
    # Unfenced, ORT rounds the weight with one scale for all channels, of which one here is much larger: 11 steps off.
    model = ALL_PATTERNS["residual_identity"]()
    weight = model.constant("w1").copy()
    weight[0] *= 8
    model.graph.initializers["w1"].const_value = ir.tensor(weight, name="w1")
    feeds = noise_for(model)
    int8 = quantized(model, OnnxRuntime().place(model, keep_float=["conv1"]))
    with LITERALLY.open(int8) as literal, ENGINE.open(int8) as fused:
        expected, found = literal.run(feeds)["y"], fused.run(feeds)["y"]
    np.testing.assert_allclose(found, expected, atol=1.01 * np.ptp(expected) / 255, rtol=0)


@pytest.mark.parametrize("seed", range(40))
def test_whatever_is_combined_runs_where_the_plan_wants_it(seed: int) -> None:
    model = prepare(random_network(seed))
    pick = random.Random(seed)
    names = [node.name or "" for node in model.graph]
    keep_float = pick.sample(names, len(names) // 5) if seed % 2 else []
    plan = OnnxRuntime().place(model, keep_float=keep_float)
    assert not audit_onnxruntime(quantized(model, plan), plan).leftovers
