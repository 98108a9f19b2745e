"""What holds for every plan of the target `onnxruntime`, and every pattern's placement as committed text."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from quantlab.plan import Reader
from quantlab.scheme import Scheme
from quantlab.targets.onnxruntime import OnnxRuntime
from tests.patterns import PATTERNS
from tests.targets.golden import CheckGolden
from tests.targets.onnxruntime_plans import ALL_PATTERNS, place

PRODUCTS = {"Conv", "ConvTranspose", "Gemm", "MatMul"}


@pytest.mark.parametrize("pattern", ALL_PATTERNS)
def test_every_pattern_is_placed_as_committed(pattern: str, golden: CheckGolden) -> None:
    golden(place(pattern), pattern)


@pytest.mark.parametrize("pattern", ALL_PATTERNS)
def test_every_tensor_has_a_point_or_a_reason(pattern: str) -> None:
    model, plan = ALL_PATTERNS[pattern](), place(pattern)
    told = {point.tensor for point in plan.points} | {skip.tensor for skip in plan.skips}
    computed = {value.name for node in model.graph for value in node.outputs} | {spec.name for spec in model.inputs}
    assert computed <= told
    assert all(skip.reason.endswith(".") for skip in plan.skips)


@pytest.mark.parametrize("pattern", ALL_PATTERNS)
def test_every_product_is_an_integer_node_or_has_a_reason(pattern: str) -> None:
    plan = place(pattern)
    products = {node.name for node in ALL_PATTERNS[pattern]().graph if node.op_type in PRODUCTS}
    assert products <= set(plan.integer_nodes) | {name for name, _ in plan.float_nodes}
    assert not set(plan.integer_nodes) & {name for name, _ in plan.float_nodes}


@pytest.mark.parametrize("pattern", ALL_PATTERNS)
def test_activations_are_uint8_affine_weights_narrow_int8_and_biases_derived_int32(pattern: str) -> None:
    plan = place(pattern)
    assert {point.scheme for point in plan.of_role("activation")} <= {Scheme("uint8", symmetric=False)}
    assert all(point.scheme.dtype == "int8" and point.scheme.narrow for point in plan.of_role("weight"))
    assert all(point.scheme == Scheme("int32", axis=0) and point.derived_from for point in plan.of_role("bias"))


@pytest.mark.parametrize("pattern", ALL_PATTERNS)
def test_an_integer_node_reads_rounded_values_only(pattern: str) -> None:
    model, plan = ALL_PATTERNS[pattern](), place(pattern)
    quantized = {reader for point in plan.points for reader in point.readers}
    for name in plan.integer_nodes:
        node = model.nodes_by_name()[name]
        for index, value in enumerate(node.inputs):
            is_left_to_ort = node.op_type == "Resize" or (node.op_type == "Conv" and index == 2)
            if value is not None and value.dtype == ir.DataType.FLOAT and not is_left_to_ort:
                assert Reader(name, index) in quantized, f"{name}[{index}] is read as float"


@pytest.mark.parametrize("pattern", ALL_PATTERNS)
def test_everything_that_reads_an_integer_nodes_output_reads_it_rounded(pattern: str) -> None:
    # ONNX Runtime makes no integer node of one whose output goes anywhere but into one QuantizeLinear.
    model, plan = ALL_PATTERNS[pattern](), place(pattern)
    for name in plan.integer_nodes:
        for value in model.nodes_by_name()[name].outputs:
            point = plan.by_tensor.get(value.name or "")
            if point is not None:
                assert set(point.readers) == {Reader(use.node.name or "", use.idx) for use in value.uses()}
                assert point.is_output == value.is_graph_output()


@pytest.mark.parametrize("pattern", ALL_PATTERNS)
def test_what_a_float_node_leaves_is_rounded_only_for_integer_readers(pattern: str) -> None:
    model, plan = ALL_PATTERNS[pattern](), place(pattern)
    for point in plan.of_role("activation"):
        producer = model.values_by_name()[point.tensor].producer()
        if producer is None or (producer.name not in plan.integer_nodes and producer.op_type not in ("Relu", "Clip")):
            assert {reader.node for reader in point.readers} <= set(plan.integer_nodes)
            assert not point.is_output


def test_placing_changes_no_model_and_gives_the_same_plan_again() -> None:
    model = PATTERNS["residual_identity"]()
    before = str(model.graph)
    assert OnnxRuntime().place(model) == OnnxRuntime().place(model)
    assert str(model.graph) == before
