"""The layers that TensorRT-RTX writes about are read back as they are."""

from tests.rtx import parse_layers

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
_MESSAGE = "\n".join(["Layers:", _SHAPES, _CONVOLUTION, "", "I/O Tensors:", _INPUT])


def test_layers_carry_their_onnx_nodes_and_the_types_they_read_and_write() -> None:
    shapes, convolution = parse_layers(_MESSAGE)
    assert shapes.kind == "shape_call"
    assert not shapes.nodes
    assert convolution.nodes == ("conv1", "block[0].relu")
    assert (convolution.inputs, convolution.constants) == (("Int8",), ("Int8", "Float"))
    assert convolution.outputs == ("Float",)
    assert convolution.multiplies_int8


def test_a_convolution_of_floats_is_no_integer_layer() -> None:
    _, convolution = parse_layers(_MESSAGE.replace("Int8", "Float"))
    assert not convolution.multiplies_int8
