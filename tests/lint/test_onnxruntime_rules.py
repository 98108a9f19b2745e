"""Every rule for ONNX Runtime finds its fault and nothing else, and its optimizer does what the rule says."""

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest

from quantlab.errors import EngineError
from quantlab.graph.model import Model
from quantlab.graph.save import save
from quantlab.lint import RULES, lint
from tests.lint.planted_onnxruntime import FLOAT_OPERATORS, MORE, PLANTED, sound
from tests.targets.quantize import ENGINE, LITERALLY, noise_for

CASES = [*PLANTED.items(), *MORE.values()]


def optimized_operators(model: Model) -> Counter[str]:
    """Return the operators that a default session runs."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "model.onnx", Path(folder) / "optimized.onnx"
        save(model, source)
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(target)
        options.log_severity_level = 4
        onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
        return Counter(node.op_type for node in ir.load(target).graph)


def test_every_rule_has_a_planted_model():
    assert set(PLANTED) == {rule.identifier for rule in RULES if rule.target == "onnxruntime"}


@pytest.mark.parametrize(("rule", "planted"), CASES, ids=[rule for rule, _ in CASES])
def test_a_planted_fault_is_found_at_its_node_and_nothing_else(rule, planted):
    found = lint(planted.build(), "onnxruntime").findings
    assert [(finding.rule, finding.node) for finding in found] == [(rule, planted.node)], found


def test_without_a_fault_the_convolution_is_an_integer_one():
    assert lint(sound(), "onnxruntime").is_clean
    operators = optimized_operators(sound())
    assert operators["QLinearConv"] == 1
    assert not operators["Conv"]


@pytest.mark.parametrize("rule", FLOAT_OPERATORS)
def test_the_optimizer_leaves_float_what_the_rule_says(rule):
    operators, (operator, count) = optimized_operators(PLANTED[rule].build()), FLOAT_OPERATORS[rule]
    assert operators[operator] == count, operators


def test_a_float_weight_is_rounded_with_one_scale_for_all_channels():
    model = PLANTED["ORT204"].build()
    assert optimized_operators(model)["QLinearConv"] == 1
    feeds = noise_for(model)
    with ENGINE.open(model) as fused, LITERALLY.open(model) as literal:
        (output,) = model.outputs
        assert np.abs(fused.run(feeds)[output] - literal.run(feeds)[output]).max() > 0.02


def test_a_scale_of_zero_makes_everything_the_same():
    model = sound("zero")
    with LITERALLY.open(model) as session:
        values = session.run(noise_for(model))[model.outputs[0]]
    assert np.unique(values).size <= 1 + np.isnan(values).any()


def test_a_scale_per_channel_fails_when_the_session_runs():
    model = PLANTED["ORT105"].build()
    with ENGINE.open(model) as session, pytest.raises(EngineError, match="must be a scalar"):
        session.run(noise_for(model))
