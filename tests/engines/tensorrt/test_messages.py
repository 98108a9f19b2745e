"""Users read what TensorRT has to say, not what it says about a missing driver."""

from __future__ import annotations

from types import SimpleNamespace

from quantlab.engines.tensorrt.messages import parse_errors, shortened, without_noise
from tests.engines.tensorrt.fake_trt import ParserError


def test_lines_about_the_missing_driver_and_repetitions_are_left_out() -> None:
    messages = [
        "Unable to determine GPU memory usage: cudaError 35",
        "Non-zero zero point is not supported\nCUDA driver version is insufficient for CUDA runtime version",
        "Non-zero zero point is not supported",
    ]
    assert without_noise(messages) == ["Non-zero zero point is not supported"]


def test_where_in_tensorrt_it_happened_is_left_out() -> None:
    message = "Error Code 6: API Usage Error (The engine is old. In deserialize at /src/runtime/api.cpp:123)"
    assert without_noise([message]) == ["Error Code 6: API Usage Error (The engine is old)"]


def test_the_file_that_a_warning_begins_with_is_left_out() -> None:
    message = "ModelImporter.cpp:1071: Make sure input size has Int64 binding."
    assert without_noise([message]) == ["Make sure input size has Int64 binding."]


def test_of_many_messages_the_first_are_shown() -> None:
    assert shortened([str(number) for number in range(7)]) == "0; 1; 2; 3; 4 ... and 2 more"


def test_an_operator_without_a_layer_is_refused_in_words() -> None:
    fault = ParserError("Det", "det", "false")
    parser = SimpleNamespace(num_errors=1, get_error=lambda index: fault)
    assert parse_errors(parser) == ["node 'det' (Det): it has no layer for this operator"]
