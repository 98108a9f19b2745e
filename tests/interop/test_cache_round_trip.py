"""A run's scales go out as a calibration cache and come back as the same model, bit for bit, without any data."""

import numpy as np
import pytest

from quantlab.errors import CalibrationError
from quantlab.graph.model import Model
from quantlab.graph.prepare import prepare
from quantlab.graph.save import to_bytes
from quantlab.interop.calibration_cache import CalibrationCache, parse_cache
from quantlab.interop.export_cache import export_cache
from quantlab.interop.import_cache import import_cache
from quantlab.plan import Plan
from quantlab.qdq import read
from quantlab.targets import target_named
from tests.models import two_convs
from tests.patterns import PATTERNS
from tests.targets.quantize import quantized

HEADER = "TRT-8601-EntropyCalibration2"


def run(pattern: str, target: str = "tensorrt") -> tuple[Model, Plan, Model]:
    """Return a float model, its plan and its INT8 model."""
    model = prepare(PATTERNS[pattern]())
    plan = target_named(target).place(model)
    return model, plan, quantized(model, plan)


@pytest.mark.parametrize(
    "pattern", [name for name in PATTERNS if target_named("tensorrt").place(PATTERNS[name]()).points]
)
def test_a_run_exported_and_imported_is_the_same_model_bit_for_bit(pattern):
    model, plan, int8_model = run(pattern)
    exported = export_cache(int8_model)
    assert not exported.covered
    imported = import_cache(parse_cache(exported.cache.to_text()), model)
    assert imported.migration.plan == plan
    assert not imported.missing
    assert not imported.unknown
    assert to_bytes(imported.migration.int8_model) == to_bytes(int8_model)


@pytest.mark.parametrize(("version", "header"), [("8.6.1", HEADER), ("10.3.0", "TRT-100300-EntropyCalibration2")])
def test_the_header_is_that_of_the_tensorrt_that_will_read_it(version, header):
    assert export_cache(run("conv_relu")[2], version=version).cache.header == header


def test_a_run_for_another_target_is_covered_by_symmetric_ranges():
    model, plan, int8_model = run("residual_identity", "onnxruntime")
    exported = export_cache(int8_model)
    _, encodings = read(int8_model)
    assert set(exported.cache.scales) == {point.tensor for point in plan.of_role("activation")}
    assert set(exported.covered) == set(exported.cache.scales)
    encoding = encodings["a0"]
    # uint8 behind a ReLU: 255 steps above 0 become 127.
    assert float(exported.cache.scales["a0"]) * 127 == pytest.approx(float(encoding.scale) * 255, rel=1e-6)
    assert not import_cache(exported.cache, model).missing


def test_tensors_that_the_model_does_not_have_are_reported_and_names_with_colons_found():
    model = two_convs(16)
    model.values_by_name()["hidden"].name = "block:0/relu:1"
    cache = CalibrationCache(
        HEADER,
        {
            "image": np.float32(0.01),
            "block:0/relu:1": np.float32(0.02),
            "(Unnamed Layer* 8) [Constant]_output": np.float32(0.03),
        },
    )
    imported = import_cache(cache, model)
    assert imported.unknown == ("(Unnamed Layer* 8) [Constant]_output",)
    assert imported.used == ("image", "block:0/relu:1")
    assert imported.migration.encodings["block:0/relu:1"].scale == np.float32(0.02)
    assert "not in the model: (Unnamed Layer* 8)" in str(imported)


@pytest.mark.parametrize("scale", [0.0, -1.0, np.inf, np.nan])
def test_what_has_no_usable_scale_stays_float_and_is_reported(scale):
    cache = CalibrationCache(HEADER, {"image": np.float32(0.01), "hidden": np.float32(scale)})
    imported = import_cache(cache, two_convs(16))
    assert imported.unusable == ("hidden",)
    assert imported.missing == ("hidden",)
    assert imported.migration.plan.integer_nodes == ("conv1",)
    assert imported.migration.kept_float == {"conv2": "hidden"}
    assert ("conv2", "No scale is known for hidden.") in imported.migration.plan.float_nodes
    assert "conv2 stays float: no scale is known for hidden" in str(imported)
    assert "Kept float on request" not in str(imported.migration.plan)


def test_what_must_share_a_scale_gets_the_largest():
    model, plan, int8_model = run("concat")
    (owner,) = plan.groups
    members = plan.groups[owner]
    scales = dict(export_cache(int8_model).cache.scales)
    scales |= {name: np.float32(0.01 * (index + 1)) for index, name in enumerate(members)}
    imported = import_cache(CalibrationCache(HEADER, scales), model)
    assert imported.migration.encodings[owner].scale == np.float32(0.01 * len(members))
    assert imported.migration.joined == {owner: members[1:]}
    assert "must share a scale" in str(imported)


def test_nodes_can_be_kept_float():
    cache = CalibrationCache(HEADER, {"image": np.float32(0.01), "hidden": np.float32(0.02)})
    imported = import_cache(cache, two_convs(16), keep_float=["conv1"])
    assert imported.migration.plan.integer_nodes == ("conv2",)
    assert not imported.missing


def test_a_cache_of_another_model_is_refused():
    with pytest.raises(CalibrationError, match="none of its 1 tensors is in two_convs, as 'data'"):
        import_cache(CalibrationCache(HEADER, {"data": np.float32(0.01)}), two_convs(16))


def test_a_cache_without_what_the_target_quantizes_is_refused():
    with pytest.raises(CalibrationError, match="nothing is left to quantize"):
        import_cache(CalibrationCache(HEADER, {"scores": np.float32(0.01)}), two_convs(16))


def test_a_float_model_has_nothing_to_export():
    with pytest.raises(CalibrationError, match="quantizes no activation"):
        export_cache(two_convs())
