"""`lint --fix` makes sound models of faulty ones, with the ranges that they have."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from quantlab.errors import CalibrationError, ModelError
from quantlab.graph.model import Model
from quantlab.graph.save import to_bytes
from quantlab.interop.requantize import requantize
from quantlab.lint import fix, lint
from quantlab.qdq import read
from quantlab.targets import target_named
from tests.lint import planted_encodings, planted_onnxruntime, planted_placement
from tests.lint.planted_encodings import integer_bias, qlinear, run_time_scale
from tests.lint.quantizer import quantized_by_onnxruntime
from tests.lint.valid import VALID, integer_interface, pytorch_quantization
from tests.patterns import PATTERNS
from tests.rtx import build_engines, requires_rtx
from tests.targets.quantize import LITERALLY, noise_for, quantized

PLANTED = {**planted_encodings.PLANTED, **planted_placement.PLANTED}
# What its own ranges cannot repair: scales of run time or of blocks, a broken interface, nothing quantized, or nothing
# that is worth it.
BEYOND_REPAIR = {"TRT106", "TRT110", "TRT112", "TRT204", "TRT401", "TRT402", "TRT403", "TRT404"}
REPAIRED = sorted(set(PLANTED) - BEYOND_REPAIR)
QUANTIZED = ["conv_relu", "conv_silu", "residual_projection", "concat", "inverted_residual", "attention", "maxpool"]


@pytest.fixture(scope="module")
def by_onnxruntime() -> dict[str, Model]:
    """What ONNX Runtime's quantizer makes of patterns, in both of its formats."""
    made = {name: quantized_by_onnxruntime(PATTERNS[name]()) for name in QUANTIZED}
    return made | {
        f"{name}_operators": quantized_by_onnxruntime(PATTERNS[name](), operators=True) for name in QUANTIZED
    }


def outputs(model: Model, like: Model) -> list[np.ndarray]:
    with LITERALLY.open(model) as session:
        found = session.run(noise_for(like))
    return [np.asarray(found[name]) for name in model.outputs]


@pytest.mark.parametrize("rule", REPAIRED)
def test_a_planted_fault_is_repaired(rule):
    fixed = fix(PLANTED[rule].build())
    assert not fixed.before.is_clean
    assert fixed.after.is_clean, str(fixed.after)


@pytest.mark.parametrize("rule", ["ORT101", "ORT102", "ORT103", "ORT202", "ORT204", "ORT205", "ORT206"])
def test_a_planted_fault_is_repaired_for_onnxruntime(rule):
    fixed = fix(planted_onnxruntime.PLANTED[rule].build(), "onnxruntime")
    assert fixed.after.is_clean, str(fixed.after)
    assert read(fixed.model)[0].points


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (run_time_scale, ModelError, "QuantizeLinear 'q_x' cannot be taken out"),
        (integer_interface, ModelError, "DequantizeLinear 'dq_x' cannot be taken out"),
        (PLANTED["TRT110"].build, ModelError, "'dq_w' cannot be taken out"),
        (PLANTED["TRT204"].build, ModelError, "it is not quantized"),
        (PLANTED["TRT401"].build, CalibrationError, "tensorrt would quantize none of it"),
        (PLANTED["TRT404"].build, CalibrationError, "tensorrt would quantize none of it"),
    ],
)
def test_what_cannot_be_repaired_says_why(build, error, message):
    with pytest.raises(error, match=message):
        fix(build())


@pytest.mark.parametrize("name", QUANTIZED)
def test_models_of_onnxruntimes_quantizer_have_its_faults(name, by_onnxruntime):
    rules = {finding.rule for finding in lint(by_onnxruntime[name]).findings}
    assert "TRT103" in rules
    has_convolutions = any(node.op_type == "Conv" for node in by_onnxruntime[name].graph)
    assert ("TRT111" in rules) == has_convolutions
    assert "TRT201" in {finding.rule for finding in lint(by_onnxruntime[f"{name}_operators"]).findings}


@pytest.mark.parametrize("form", ["", "_operators"])
@pytest.mark.parametrize("name", QUANTIZED)
def test_models_of_onnxruntimes_quantizer_are_repaired(name, form, by_onnxruntime):
    fixed = fix(by_onnxruntime[name + form])
    assert fixed.after.is_clean, str(fixed.after)
    assert any("became symmetric" in note for note in fixed.notes)
    float_model = PATTERNS[name]()
    # The quantizer drops a Relu before a QuantizeLinear that cuts off the same; without it this is about 0.6.
    for left, right in zip(outputs(fixed.model, float_model), outputs(float_model, float_model), strict=True):
        assert np.corrcoef(left.ravel(), right.ravel())[0, 1] > 0.995


@pytest.mark.tensorrt
@requires_rtx
def test_the_builder_takes_all_repaired_models_and_multiplies_integers_as_planned(by_onnxruntime):
    made = {name: requantize(model, "tensorrt").migration for name, model in by_onnxruntime.items()}
    made |= {rule: requantize(PLANTED[rule].build(), "tensorrt").migration for rule in REPAIRED}
    engines = build_engines({name: migration.int8_model for name, migration in made.items()})
    floats = {name: engines[name].float_nodes_of(migration.plan) for name, migration in made.items()}
    assert not any(floats.values()), floats
    assert all(migration.plan.integer_nodes for migration in made.values())


@pytest.mark.parametrize("target", ["onnxruntime", "tensorrt"])
@pytest.mark.parametrize("pattern", ["residual_identity", "dense_concat_chain", "attention_fused_qkv", "conv_relu6"])
def test_a_sound_model_keeps_every_bit(pattern, target):
    float_model = PATTERNS[pattern]()
    plan = target_named(target).place(float_model)
    int8_model = quantized(float_model, plan)
    again = requantize(int8_model, target).migration
    assert {point.tensor for point in again.plan.points} == {point.tensor for point in plan.points}
    for left, right in zip(outputs(again.int8_model, float_model), outputs(int8_model, float_model), strict=True):
        np.testing.assert_array_equal(left, right)


def test_what_the_model_leaves_float_stays_float():
    float_model = PATTERNS["conv_relu"]()
    plan = target_named("tensorrt").place(float_model, keep_float=["conv2"])
    again = requantize(quantized(float_model, plan), "tensorrt").migration
    assert again.plan.integer_nodes == plan.integer_nodes == ("conv1",)


def test_folding_a_batch_norm_keeps_the_integers_of_the_weight():
    original = pytorch_quantization()
    factor = np.linspace(0.5, 3.0, 32, dtype=np.float32)
    original.graph.initializers["ones"].const_value = ir.tensor(factor, name="ones")
    scale = requantize(original, "tensorrt").migration.encodings["w"].scale
    # Scale and variance are both `factor`, so that the norm multiplies by its root.
    np.testing.assert_allclose(scale, 0.01 * np.sqrt(factor), rtol=1e-4)


def test_the_notes_say_that_numerics_change():
    fixed = fix(integer_bias())
    assert fixed.notes[0].startswith("numerics change")
    assert "1 biases were restored from integers" in fixed.notes[1]
    assert "fixed: planted: nothing found" in str(fixed)


def test_a_relu_that_the_quantizer_dropped_is_restored(by_onnxruntime):
    assert not any(node.op_type == "Relu" for node in by_onnxruntime["conv_relu"].graph)
    fixed = fix(by_onnxruntime["conv_relu"])
    assert [node.op_type for node in fixed.model.graph if node.op_type in ("Relu", "Clip")] == ["Clip", "Clip"]
    assert any("cut off what is negative" in note for note in fixed.notes)


def test_the_given_model_is_not_changed():
    model = qlinear()
    before = to_bytes(model)
    fix(model)
    assert to_bytes(model) == before


def test_a_pair_moves_behind_the_function_it_stood_before():
    migration = requantize(PLANTED["TRT302"].build(), "tensorrt").migration
    assert {point.tensor for point in migration.plan.points} == {"x", "w"}


def test_all_sound_forms_but_half_precision_and_integer_interfaces_can_be_placed_anew():
    forms = set(VALID) - {"half_precision", "cast_around", "integer_interface", "weight_alone"}
    for form in forms:
        assert fix(VALID[form]()).after.is_clean, form
