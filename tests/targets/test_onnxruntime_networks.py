"""Whole networks at random weights run in integers where their plan says so: exported, prepared, placed, audited."""

from __future__ import annotations

import functools

import numpy as np
import onnx_ir as ir
import pytest

from quantlab.audit import audit_onnxruntime
from quantlab.graph.model import Model
from quantlab.graph.prepare import prepare
from quantlab.targets.onnxruntime import OnnxRuntime
from tests.graph.test_architectures import ARCHITECTURES, exported
from tests.graph.test_architectures import pytestmark as pytestmark
from tests.targets.quantize import ENGINE, noise_for, quantized


@functools.cache
def prepared(name: str, batch: str = "free") -> Model:
    """Return a prepared architecture; ONNX Runtime fuses more where it knows every shape."""
    _, model = exported(name, "eager", 18)
    if batch == "fixed":
        (image,) = model.graph.inputs
        image.shape = ir.Shape([1, *(image.shape or ())[1:]])
    after = prepare(model)
    for node in after.graph:
        if node.op_type == "Conv":
            _enliven(node)
    return after


def _enliven(node: ir.Node) -> None:
    """Give a convolution a weight that keeps the size of its input: fresh networks without one answer all zeros."""
    weight = node.inputs[1]
    assert weight is not None
    assert weight.const_value is not None
    shape = weight.const_value.numpy().shape
    generator = np.random.default_rng(len(node.name or ""))
    array = generator.normal(0.0, (2.0 / np.prod(shape[1:])) ** 0.5, shape).astype(np.float32)
    weight.const_value = ir.tensor(array, name=weight.name)


@pytest.mark.parametrize("batch", ["free", "fixed"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_node_of_a_network_runs_where_the_plan_wants_it(name: str, batch: str) -> None:
    model = prepared(name, batch)
    plan = OnnxRuntime().place(model)
    audit = audit_onnxruntime(quantized(model, plan), plan)
    assert not audit.leftovers, audit
    assert len(plan.integer_nodes) > 30


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_quantized_network_still_computes_what_the_float_one_does(name: str) -> None:
    model = prepared(name, "fixed")
    int8 = quantized(model, OnnxRuntime().place(model))
    feeds = noise_for(model)
    with ENGINE.open(model) as reference, ENGINE.open(int8) as session:
        expected, found = (np.concatenate([v.ravel() for v in s.run(feeds).values()]) for s in (reference, session))
    noise_db = 10 * np.log10(np.sum(expected**2) / np.sum((found - expected) ** 2))
    # Calibrated on the very sample; a layer that lost its scale leaves less than 10 dB.
    assert noise_db > 15


def test_every_convolution_of_a_residual_network_becomes_an_integer_kernel() -> None:
    model = prepared("resnet")
    plan = OnnxRuntime().place(model)
    ran_as = {row.node: row.ran_as for row in audit_onnxruntime(quantized(model, plan), plan).rows}
    convolutions = [node.name or "" for node in model.graph if node.op_type == "Conv"]
    assert len(convolutions) == 53
    assert {ran_as[name] for name in convolutions} == {"QLinearConv"}
    assert {ran_as[node.name or ""] for node in model.graph if node.op_type == "Add"} == {"QLinearAdd"}


@pytest.mark.parametrize("name", ["vit", "segformer", "convnext"])
def test_every_linear_layer_of_a_transformer_large_enough_is_integer(name: str) -> None:
    plan = OnnxRuntime().place(prepared(name, "fixed"))
    small = [reason for _, reason in plan.float_nodes if reason.startswith("So small a product")]
    products = [node for node in prepared(name, "fixed").graph if node.op_type in ("Gemm", "MatMul")]
    integer = [node for node in products if node.name in plan.integer_nodes]
    assert len(integer) + len(small) == len(products)
    assert len(integer) > 20
