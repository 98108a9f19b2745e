"""The patterns are what they say they are: valid, prepared, deterministic models that a runtime runs."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest

from tests.patterns import PATTERNS


@pytest.mark.parametrize("name", PATTERNS)
def test_pattern_is_named_and_has_shapes_and_labelled_nodes(name: str) -> None:
    model = PATTERNS[name]()
    assert model.name == name
    for node in model.graph:
        assert node.name
        assert all(value.shape is not None and value.dtype is not None for value in node.outputs)


@pytest.mark.parametrize("name", PATTERNS)
def test_pattern_runs_in_onnx_runtime_and_its_outputs_are_of_a_sane_size(name: str) -> None:
    model = PATTERNS[name]()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        ir.to_proto(model.ir_model).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    generator = np.random.default_rng(0)
    feeds = {
        spec.name: generator.normal(size=[d if isinstance(d, int) else 2 for d in spec.shape or ()]).astype(np.float32)
        for spec in model.inputs
    }
    for output in session.run(None, feeds):
        # Bounds wide enough for any seed: a dead or exploding network would test nothing downstream.
        assert 1e-3 < float(np.std(output)) < 1e2


def test_a_pattern_is_the_same_in_every_build() -> None:
    first, second = (PATTERNS["conv_relu"]().graph.initializers["w1"].const_value for _ in range(2))
    assert first is not None
    assert second is not None
    assert first.numpy().tobytes() == second.numpy().tobytes()
