"""The examples that README and CONTRIBUTING send readers to do what they say."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the torch extra")
pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

from quantlab.graph.load import load  # noqa: E402 - after the check for torch
from quantlab.torchgraph import registry  # noqa: E402

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_an_operator_of_ones_own_goes_the_whole_way(tmp_path: Path):
    description = importlib.util.spec_from_file_location("custom_operator", EXAMPLES / "custom_operator.py")
    assert description is not None
    assert description.loader is not None
    example = importlib.util.module_from_spec(description)
    description.loader.exec_module(example)
    try:
        losses = example.main(tmp_path / "int8.onnx")
    finally:
        del registry._ops["my.plugins", "HSwish"]
    assert losses[-1] < losses[0]
    model = load(tmp_path / "int8.onnx")
    assert [node.domain for node in model.graph if node.op_type == "HSwish"] == ["my.plugins"]
    weights = {str(value.dtype) for value in model.graph.initializers.values()}
    assert "INT8" in weights
