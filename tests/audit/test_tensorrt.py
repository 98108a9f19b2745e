"""The audit says of every planned node which layer of a TensorRT engine computes it, and on what."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from quantlab.audit import Audit, audit_tensorrt
from quantlab.engines.tensorrt import BuildSettings, BuiltEngine, EngineLayer, build_engines, parse_layers
from quantlab.errors import PlanError
from quantlab.graph.model import Model
from quantlab.plan import Plan
from quantlab.targets.tensorrt import TensorRT
from tests.patterns import PATTERNS
from tests.rtx import requires_rtx
from tests.targets.quantize import quantized


def layer(kind: str, nodes: str, types: str, *, name: str = "layer") -> EngineLayer:
    """Return a layer of types such as `Int8 x Int8 -> Float`."""
    inputs, rest = types.split(" x ")
    constants, outputs = rest.split(" -> ")
    read, held, written = (tuple(part.replace("-", "").split()) for part in (inputs, constants, outputs))
    return EngineLayer(name, kind, tuple(nodes.split()), read, held, written)


def audited(*layers: EngineLayer) -> Audit:
    """Audit an engine of `conv_relu`, whose stem and conv are planned in INT8."""
    model = PATTERNS["conv_relu"]()
    plan = TensorRT().place(model)
    return audit_tensorrt(quantized(model, plan), plan, layers, engine="tensorrt 11.1")


def planned() -> tuple[str, ...]:
    return TensorRT().place(PATTERNS["conv_relu"]()).integer_nodes


def test_a_product_of_integers_is_as_planned_with_what_it_took_in() -> None:
    first, second = planned()
    audit = audited(
        layer("correlation", f"{first} relu", "Int8 x Int8 Float -> Float"),
        layer("CaskConvolution", second, "Int8 x Int8 -> Half"),
    )
    row = audit.rows[0]
    assert (row.node, row.ran_as, row.precision, row.fused_with) == (first, "correlation", "int8", ("relu",))
    assert audit.share == 1.0
    assert audit.multiply_add_share == 1.0


@pytest.mark.parametrize(
    ("types", "precision", "reason"),
    [
        ("Float x Float -> Float", "float32", "TensorRT computes it in float"),
        ("Half x Int8 -> Half", "float16", "held in integers, but multiplied as floats"),
        ("Int8 x Float -> Float", "int8", "its weight was turned into floats"),
    ],
)
def test_a_product_of_floats_is_left_over_with_a_reason(types: str, precision: str, reason: str) -> None:
    first, second = planned()
    audit = audited(layer("correlation", first, types), layer("correlation", second, "Int8 x Int8 -> Float"))
    (left,) = audit.leftovers
    assert (left.node, left.precision) == (first, precision)
    assert reason in left.reason
    assert 0 < audit.multiply_add_share < 1


def inspected(first: str, second: str, *, is_eleven: bool) -> str:
    """Return what the inspector of TensorRT 10 or 11 says of an engine of `conv_relu`, as NVIDIA describes both."""

    def tensor(name: str, word: str, order: str) -> dict[str, object]:
        told = {"Datatype": word, "Format": order} if is_eleven else {"Format/Datatype": f"{order} {word} format"}
        return {"Name": name, "Dimensions": [1, 32, 8, 8], **told}

    rows, channels = ("Row major linear", "Thirty-two wide channel vectorized row major")
    half = "Half" if is_eleven else "FP16"
    layers = [
        {
            "Name": "Reformatting CopyNode for Input Tensor 0 to stem",
            "LayerType": "Reformat",
            "Inputs": [tensor("x", "Int8", rows)],
            "Outputs": [tensor("x'", "Int8", channels)],
            "Origin": "REFORMAT",
            "TacticValue": "0x00000000000003ea",
            "Metadata": "",
        },
        {
            "Name": f"{first}.weight + {first} + relu",
            "LayerType": "CaskConvolution",
            "Inputs": [tensor("x'", "Int8", channels)],
            "Outputs": [tensor("a", "Int8", channels)],
            "ParameterType": "Convolution",
            "Weights": {"Type": "Int8", "Count": 9216},
            "Bias": {"Type": "Float", "Count": 32},
            "Activation": "RELU",
            "TacticName": "sm80_xmma_fprop_implicit_gemm_interleaved_i8i8_i8i32_f32_nchw_vect_c_32",
            "Metadata": f"[ONNX Layer: x_QuantizeLinear]\x1e[ONNX Layer: {first}]\x1e[ONNX Layer: relu]",
        },
        {
            "Name": f"__myl_Conv_{second}",
            "LayerType": "correlation",
            "Inputs": [tensor("a", "Int8", channels), tensor("w", "Int8", rows)],
            "Outputs": [tensor("y", half, rows)],
            "TacticName": "sm89_xmma_fprop_implicit_gemm_i8f16_i8i32_f32",
            "Metadata": f"[ONNX Layer: {second}]",
        },
    ]
    ends = [{"Name": "x", "IOMode": "Input"}, {"Name": "y", "IOMode": "Output"}]
    return json.dumps({"Layers": layers, **({"I/O Tensors": ends} if is_eleven else {"Bindings": ["x", "y"]})})


@pytest.mark.parametrize("is_eleven", [False, True])
def test_the_inspector_of_either_version_tells_all_an_audit_asks(*, is_eleven: bool) -> None:
    first, second = planned()
    audit = audited(*parse_layers(inspected(first, second, is_eleven=is_eleven)))
    assert [(row.ran_as, row.precision, row.fused_with) for row in audit.rows if row.planned == "integer"] == [
        ("CaskConvolution", "int8", ("relu",)),
        ("correlation", "int8", ()),
    ]
    assert audit.share == 1.0
    assert [conversion.kind for conversion in audit.conversions] == ["reformat"]


def test_a_product_that_lists_no_constants_must_read_two_tensors_of_integers() -> None:
    first, second = planned()
    audit = audited(
        layer("gemm", first, "Int8 Int8 Float x - -> Half"), layer("gemm", second, "Int8 Float x - -> Half")
    )
    assert [row.node for row in audit.leftovers] == [second]


def test_the_plans_reason_for_a_float_node_is_kept() -> None:
    model = PATTERNS["conv_relu"]()
    (first, _) = planned()
    plan = TensorRT().place(model, keep_float=(first,))
    audit = audit_tensorrt(quantized(model, plan), plan, (), engine="tensorrt 11.1")
    reasons = {row.node: row.planned_reason for row in audit.rows}
    assert reasons[first] == dict(plan.float_nodes)[first] != ""


def test_a_node_that_no_layer_names_is_left_over() -> None:
    first, second = planned()
    (left,) = audited(layer("correlation", second, "Int8 x Int8 -> Float")).leftovers
    assert (left.node, left.ran_as, left.reason) == (first, "", "No layer of the engine names it.")


def test_kernels_that_convert_are_told_apart() -> None:
    audit = audited(
        layer("kgen", "x_QuantizeLinear", "Float x - -> Int8", name="a"),
        layer("kgen", "relu", "Float x Float -> Int8", name="b"),
        layer("Reformat", "", "Int8 x - -> Int8", name="c"),
        layer("kgen", "", "Int8 x - -> Float", name="d"),
        layer("maxpool", "pool", "Int8 x - -> Int8", name="e"),
        layer("kgen", "gelu", "Float x - -> Float", name="f"),
    )
    kinds = [(conversion.kernel, conversion.kind, conversion.nodes) for conversion in audit.conversions]
    assert kinds == [
        ("a", "quantize", ()),
        ("b", "requantize", ("relu",)),
        ("c", "reformat", ()),
        ("d", "dequantize", ()),
    ]


def test_a_plan_of_another_model_is_refused() -> None:
    plan = replace(TensorRT().place(PATTERNS["conv_relu"]()), integer_nodes=("nowhere",))
    with pytest.raises(PlanError, match="no node 'nowhere'"):
        audit_tensorrt(PATTERNS["conv_relu"](), plan, (), engine="tensorrt 11.1")


def without_weights(plan: Plan, *tensors: str) -> Plan:
    return replace(plan, points=tuple(point for point in plan.points if point.tensor not in tensors))


@pytest.fixture(scope="module")
def models() -> dict[str, tuple[Model, Plan]]:
    """By name the INT8 model and the plan it is audited with."""
    result = {}
    for name in ("residual_identity", "attention", "maxpool"):
        model = PATTERNS[name]()
        plan = TensorRT().place(model)
        result[name] = (quantized(model, plan), plan)
    model = PATTERNS["residual_identity"]()
    plan = TensorRT().place(model)
    (weight,) = (point.tensor for point in plan.of_role("weight") if point.readers[0].node == "conv3")
    result["spoilt"] = (quantized(model, without_weights(plan, weight)), plan)
    return result


@pytest.fixture(scope="module")
def engines(models: dict[str, tuple[Model, Plan]]) -> dict[str, BuiltEngine]:
    settings = BuildSettings(runtime="tensorrt_rtx", timeout_s=120)
    return build_engines({name: model for name, (model, _) in models.items()}, settings, batches=(1, 4, 8))


@requires_rtx
@pytest.mark.tensorrt
@pytest.mark.parametrize("name", ["residual_identity", "attention", "maxpool"])
def test_what_tensorrt_rtx_builds_runs_as_planned(
    name: str, models: dict[str, tuple[Model, Plan]], engines: dict[str, BuiltEngine]
) -> None:
    model, plan = models[name]
    audit = audit_tensorrt(model, plan, engines[name].layers, engine="tensorrt_rtx")
    assert not audit.leftovers, str(audit)
    assert audit.share == 1.0
    assert audit.multiply_adds > 0


@requires_rtx
@pytest.mark.tensorrt
def test_a_convolution_without_integer_weights_is_found_in_the_engine(
    models: dict[str, tuple[Model, Plan]], engines: dict[str, BuiltEngine]
) -> None:
    model, plan = models["spoilt"]
    audit = audit_tensorrt(model, plan, engines["spoilt"].layers, engine="tensorrt_rtx")
    (left,) = audit.leftovers
    assert (left.node, left.precision) == ("conv3", "float32")
    assert audit.multiply_add_share == pytest.approx(4 / 5)


@requires_rtx
@pytest.mark.tensorrt
def test_scales_per_channel_leave_a_requantizing_kernel_behind_every_convolution(
    models: dict[str, tuple[Model, Plan]], engines: dict[str, BuiltEngine]
) -> None:
    model, plan = models["residual_identity"]
    audit = audit_tensorrt(model, plan, engines["residual_identity"].layers, engine="tensorrt_rtx")
    kinds = [conversion.kind for conversion in audit.conversions]
    assert kinds[0] == "quantize"
    assert kinds.count("requantize") == 4  # behind all but the last of five convolutions
