"""Models of half precision that become float32."""

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
from onnx import numpy_helper, parser

from quantlab.graph.passes.widen_halves import widen_halves

BODY = """
    [conv] c = Conv (h, w)
    [two] t = Constant <value_float = 2.0> ()
    [half] k = Cast <to = 10> (t)
    [mul] m = Mul (c, k)
    [relu] r = Relu (m)
"""


def _model(text: str) -> ir.Model:
    proto = parser.parse_model(f'<ir_version: 10, opset_import: ["": 19]> agraph {text}')
    kernel = np.random.default_rng(0).normal(size=(4, 4, 3, 3)).astype(np.float16)
    proto.graph.initializer.append(numpy_helper.from_array(kernel, "w"))
    onnx.checker.check_model(proto, full_check=True)
    return ir.from_proto(proto)


def _run(model: ir.Model, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(ir.to_proto(model).SerializeToString())
    return np.asarray(session.run(None, {"x": x})[0])


def test_nothing_is_half_any_more_between_float_inputs_and_outputs():
    model = _model(
        f"(float[1,4,8,8] x) => (float[1,4,6,6] y) {{ [to] h = Cast <to=10> (x) {BODY} [back] y = Cast <to=1> (r) }}"
    )
    x = np.random.default_rng(1).normal(size=(1, 4, 8, 8)).astype(np.float32)
    before = _run(model, x)
    (note,) = widen_halves(model)
    assert "float32" in note
    types = {value.dtype for node in model.graph for value in node.outputs} | {w.dtype for w in _weights(model)}
    assert types == {ir.DataType.FLOAT}
    assert [node.op_type for node in model.graph] == [
        "Identity",
        "Conv",
        "Constant",
        "Identity",
        "Mul",
        "Relu",
        "Identity",
    ]
    # Half precision holds 11 bits; the sums are of 36 products of about 1, twice.
    np.testing.assert_allclose(_run(model, x), before, atol=0.05)


def test_half_inputs_and_outputs_keep_type_and_name():
    model = _model(f"(float16[1,4,8,8] x) => (float16[1,4,6,6] y) {{ [in] h = Identity (x) {BODY} [abs] y = Abs (r) }}")
    x = np.random.default_rng(1).normal(size=(1, 4, 8, 8)).astype(np.float16)
    before = _run(model, x)
    widen_halves(model)
    assert [(v.name, v.dtype) for v in (*model.graph.inputs, *model.graph.outputs)] == [
        ("x", ir.DataType.FLOAT16),
        ("y", ir.DataType.FLOAT16),
    ]
    assert model.graph.node("conv").outputs[0].dtype == ir.DataType.FLOAT
    np.testing.assert_allclose(_run(model, x).astype(np.float32), before.astype(np.float32), atol=0.05)


def test_a_model_without_half_precision_stays_as_it_is():
    model = ir.from_proto(
        parser.parse_model('<ir_version: 10, opset_import: ["": 19]> g (float[4] x) => (float[4] y) { y = Relu (x) }')
    )
    before = ir.to_proto(model)
    assert not widen_halves(model)
    assert ir.to_proto(model) == before


def _weights(model: ir.Model) -> list[ir.Value]:
    return list(model.graph.initializers.values())
