"""The texts are those of ONNX Runtime 1.31."""

import pytest

from quantlab.engines.failures import failure_reason

IR_VERSION = (
    "[ONNXRuntimeError] : 1 : FAIL : /onnxruntime_src/onnxruntime/core/graph/model.cc:256 onnxruntime::Model::Model("
    "onnx::ModelProto&&, const onnxruntime::PathString&, const onnxruntime::logging::Logger&) Unsupported model IR "
    "version: 14, max supported IR version: 13"
)
OPSET = (
    "[ONNXRuntimeError] : 1 : FAIL : /onnxruntime_src/onnxruntime/core/graph/model_load_utils.h:46 void onnxruntime::"
    "model_load_utils::ValidateOpsetForDomain(const std::unordered_map<std::__cxx11::basic_string<char>, int>&, int) "
    "ONNX Runtime only *guarantees* support for models stamped with official released onnx opset versions. Opset 99 is "
    "under development and support for this is limited. Current official support for domain ai.onnx is till opset 26."
)
OTHER = (
    "[ONNXRuntimeError] : 1 : FAIL : /onnxruntime_src/onnxruntime/core/graph/graph.cc:3 "
    "void onnxruntime::Graph::Check(int) Something new happened."
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (IR_VERSION, "IR version 14, too new for it (it reads up to 13); install a newer onnxruntime"),
        (OPSET, "opset 99 is too new for it; export the model again with opset 26 or older"),
        (OTHER, "Something new happened."),
    ],
)
def test_what_is_too_new_is_told_with_what_to_do_and_no_source_path(text, reason):
    found = failure_reason(text)
    assert reason in found
    assert "onnxruntime_src" not in found
