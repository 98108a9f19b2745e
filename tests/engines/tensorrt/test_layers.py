"""What TensorRT writes about layers is read back as it is, from both of its sources."""

from __future__ import annotations

import json

import pytest

from quantlab.engines.tensorrt.layers import EngineLayer, nodes_of, parse_layers
from quantlab.errors import EngineError

_TENSOR = (
    "{ Name: %s, Dimensions: [-1,32,16,16], Strides: [8192,1,512,32], Datatype: %s, Format: (NHWC) Channel major }"
)
_SHAPES = (
    "Name: __mye97_0_myl0_0, LayerType: shape_call, Inputs: [], Constants: [], Outputs: [], "
    "TacticName: , StreamId: 0, Metadata: "
)
_CONVOLUTION = (
    f"Name: conv1_myl0_2, LayerType: correlation, Inputs: [ {_TENSOR % ('x', 'Int8')}], "
    f"Constants: [ {_TENSOR % ('w', 'Int8')}, {_TENSOR % ('s', 'Float')}], Outputs: [ {_TENSOR % ('y', 'Float')}], "
    "TacticName: __myelin_CASK_STUB, StreamId: 0, Metadata: [ONNX Layer: conv1]\x1f[ONNX Layer: block[0].relu]"
)
_INPUT = " Name: x, IOMode: Input, DataType: Float, Dimensions: [-1,32,16,16], Location: Device"
MESSAGE = "\n".join(["Layers:", _SHAPES, _CONVOLUTION, "", "I/O Tensors:", _INPUT])


def inspected(form: str, *, kind: str = "CaskConvolution", tactic: str = "") -> str:
    """Return the inspector's JSON of one layer whose first tensor's type is told as `form` says."""
    key, word = form.split("=")
    layer = {
        "Name": "conv1 + relu1",
        "LayerType": kind,
        "Inputs": [{"Name": "x", "Dimensions": [1, 32, 8, 8], key: word}],
        "Outputs": [{"Name": "y", key: "Row major linear FP16 format"}],
        "Weights": {"Type": "Int8", "Count": 9216},
        "TacticName": tactic,
        "Metadata": "[ONNX Layer: conv1]\x1e[ONNX Layer: relu1]",
    }
    return json.dumps({"Layers": [layer], "Bindings": ["x", "y"]})


def layer(kind: str, inputs: str, outputs: str, *nodes: str) -> EngineLayer:
    return EngineLayer("name", kind, nodes, tuple(inputs.split()), (), tuple(outputs.split()))


def test_layers_carry_their_onnx_nodes_and_the_types_they_read_and_write() -> None:
    shapes, convolution = parse_layers(MESSAGE)
    assert shapes.kind == "shape_call"
    assert not shapes.nodes
    assert convolution.nodes == ("conv1", "block[0].relu")
    assert (convolution.inputs, convolution.constants) == (("Int8",), ("Int8", "Float"))
    assert convolution.outputs == ("Float",)
    assert convolution.multiplies_int8


def test_a_convolution_of_floats_is_no_integer_layer() -> None:
    _, convolution = parse_layers(MESSAGE.replace("Int8", "Float"))
    assert not convolution.multiplies_int8


@pytest.mark.parametrize(
    "form",
    [
        "Format/Datatype=Thirty-two wide channel vectorized row major Int8 format",
        "Format/Datatype=Int8",
        "Datatype=Int8",
        "Datatype=INT8",
    ],
)
def test_every_way_the_inspector_tells_a_type_is_understood(form: str) -> None:
    (convolution,) = parse_layers(inspected(form))
    assert convolution.nodes == ("conv1", "relu1")
    assert (convolution.inputs, convolution.constants, convolution.outputs) == (("Int8",), ("Int8",), ("Half",))
    assert convolution.multiplies_int8


def test_a_fusion_is_a_product_by_its_kernel_only() -> None:
    (gemm,) = parse_layers(inspected("Datatype=Int8", kind="fusion", tactic="sm80_xmma_gemm_i8f32_i8i32_f32_tn"))
    (other,) = parse_layers(inspected("Datatype=Int8", kind="fusion", tactic="pointwise"))
    assert gemm.multiplies_int8
    assert not other.multiplies_int8


def test_an_engine_built_without_details_is_refused() -> None:
    with pytest.raises(EngineError, match="detailed profiling"):
        parse_layers('{"Layers": ["conv1 + relu1"]}')


def test_text_that_begins_like_json_but_is_none_is_refused() -> None:
    with pytest.raises(EngineError, match="not JSON"):
        parse_layers('{"Layers": [')


def test_a_pointwise_kernel_from_float_to_int8_is_a_requantization() -> None:
    assert layer("kgen", "Float", "Int8", "relu1").is_requantization
    assert not layer("kgen", "Int8", "Int8", "pool").is_requantization
    assert not layer("correlation", "Float", "Int8", "conv1").is_requantization


def test_a_reformat_computes_no_node() -> None:
    assert layer("Reformat", "Float", "Int8").is_reformat
    assert not layer("Shuffle", "Int8", "Int8", "transpose1").is_reformat


@pytest.mark.parametrize(
    ("metadata", "nodes"),
    [
        ("", ()),
        ("[ONNX Layer: a]", ("a",)),
        ("[ONNX Layer: a][ONNX Layer: b]", ("a", "b")),
        ("[ONNX Layer: a[0] b]\x1f[ONNX Layer: c]", ("a[0] b", "c")),
    ],
)
def test_nodes_are_read_from_metadata_whatever_separates_them(metadata: str, nodes: tuple[str, ...]) -> None:
    assert nodes_of(metadata) == nodes
