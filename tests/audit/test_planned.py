"""A Q/DQ model without a plan says by its graph which nodes it means to run in integers."""

from __future__ import annotations

import pytest

from quantlab.audit.planned import plan_of
from quantlab.targets import target_named
from tests.patterns import PATTERNS
from tests.targets.quantize import quantized


@pytest.mark.parametrize("target", ["onnxruntime", "tensorrt"])
@pytest.mark.parametrize("pattern", ["residual_identity", "attention", "matmul_bias", "concat", "depthwise"])
def test_the_products_read_from_the_graph_are_those_of_the_plan(pattern: str, target: str) -> None:
    model = PATTERNS[pattern]()
    plan = target_named(target).place(model)
    int8 = quantized(model, plan)
    products = {node.name for node in model.graph if node.op_type in ("Conv", "Gemm", "MatMul")}
    read = plan_of(int8)
    assert read.target == target
    assert products.intersection(read.integer_nodes) == products.intersection(plan.integer_nodes)
    assert {name for name, _ in read.float_nodes} == products.difference(plan.integer_nodes)


def test_joins_count_for_onnxruntime_only() -> None:
    model = PATTERNS["residual_identity"]()
    reads = {
        target: plan_of(quantized(model, target_named(target).place(model))) for target in ("onnxruntime", "tensorrt")
    }
    assert "add1" in reads["onnxruntime"].integer_nodes
    assert "add1" not in reads["tensorrt"].integer_nodes
