from dataclasses import replace

import numpy as np
import onnx_ir as ir
import pytest

from quantlab.affine import Range, encoding_from_range, quantize
from quantlab.calibrate import calibrate
from quantlab.calibrators import calibrator_named
from quantlab.collect import collect
from quantlab.data.arrays import array_source
from quantlab.data.batch import Batches
from quantlab.engines.onnxruntime import OnnxRuntime
from quantlab.errors import CalibrationError, PlanError
from quantlab.plan import Plan, Point, Reader
from quantlab.qdq import bake, insert
from quantlab.stats.count import statistics_of
from quantlab.stats.table import Statistics
from tests.models import ACTIVATION, noise, two_convs, two_convs_plan

MINMAX = calibrator_named("minmax")


def statistics_of_two_convs() -> Statistics:
    model, plan = two_convs(), two_convs_plan()
    batches = Batches(array_source({"image": noise(16, 3, 8, 8)}, model.inputs), 8)
    return collect(model, plan.observed, OnnxRuntime(threads=1), batches)


def test_every_activation_and_weight_gets_an_encoding_and_no_bias_does():
    encodings = calibrate(two_convs(), two_convs_plan(), statistics_of_two_convs(), MINMAX)
    assert set(encodings) == {"image", "w1", "hidden", "w2", "scores"}


@pytest.mark.parametrize("cores", [1, 3])
def test_encodings_do_not_depend_on_how_many_cores_decide(cores, monkeypatch):
    statistics, entropy = statistics_of_two_convs(), calibrator_named("entropy")
    expected = calibrate(two_convs(), two_convs_plan(), statistics, entropy)
    monkeypatch.setattr("quantlab.calibrate.usable_cores", lambda: cores)
    encodings = calibrate(two_convs(), two_convs_plan(), statistics, entropy)
    assert list(encodings) == list(expected)
    assert all(encodings[name].same_as(expected[name]) for name in expected)


def test_a_tensor_after_relu_gets_zero_point_zero():
    encodings = calibrate(two_convs(), two_convs_plan(), statistics_of_two_convs(), MINMAX)
    assert encodings["hidden"].zero_point == 0
    assert encodings["image"].zero_point != 0


def test_shared_points_are_calibrated_once_on_the_merged_statistics():
    points = (
        Point("image", ACTIVATION, "activation", (Reader("conv1", 0),)),
        Point("hidden", ACTIVATION, "activation", (Reader("conv2", 0),), shared_with="image"),
    )
    statistics = Statistics({"image": statistics_of([-1.0, 1.0]), "hidden": statistics_of([0.0, 9.0])}, 1)
    encodings = calibrate(two_convs(), Plan("onnxruntime", points), statistics, MINMAX)
    assert set(encodings) == {"image"}
    assert encodings["image"].same_as(encoding_from_range(Range.of(-1.0, 9.0), ACTIVATION))


def test_a_fixed_range_needs_no_statistics():
    point = Point("image", ACTIVATION, "activation", (Reader("conv1", 0),), fixed_range=(0.0, 1.0))
    encodings = calibrate(two_convs(), Plan("onnxruntime", (point,)), Statistics({}, 0), MINMAX)
    assert encodings["image"].scale == np.float32(1 / 255)


def test_a_range_is_cut_to_the_limits_of_its_point():
    point = Point("image", ACTIVATION, "activation", (Reader("conv1", 0),), limits=(0.0, 6.0))
    statistics = Statistics({"image": statistics_of([-1.0, 9.0])}, 1)
    encodings = calibrate(two_convs(), Plan("onnxruntime", (point,)), statistics, MINMAX)
    assert encodings["image"].same_as(encoding_from_range(Range.of(0.0, 6.0), ACTIVATION))


def test_missing_statistics_name_the_tensor():
    with pytest.raises(PlanError, match="'image'"):
        calibrate(two_convs(), two_convs_plan(), Statistics({}, 0), MINMAX)


def test_the_bias_of_a_dead_channel_still_fits_int32():
    model, plan = two_convs(), two_convs_plan()
    weight = model.constant("w1").copy()
    weight[1] = 0.0
    weight[2] = 1e-30
    model.graph.initializers["w1"].const_value = ir.tensor(weight)
    encodings = calibrate(model, plan, statistics_of_two_convs(), MINMAX)
    baked = bake(insert(model, plan, encodings), plan)
    bias, scale = baked.constant("b1_quantized"), baked.constant("b1_scale")
    # Half a step of the bias's own scale: it was rounded, not clipped.
    np.testing.assert_array_less(
        np.abs(bias * scale.astype(np.float64) - model.constant("b1")), scale * 0.500001 + 1e-7
    )
    assert np.abs(bias.astype(np.int64)).max() <= 2**30


def test_weights_without_a_small_channel_keep_their_own_scale():
    model = two_convs()
    encodings = calibrate(model, two_convs_plan(), statistics_of_two_convs(), MINMAX)
    high = np.abs(model.constant("w1")).max(axis=(1, 2, 3))
    np.testing.assert_array_equal(encodings["w1"].scale, (high.astype(np.float64) / 127).astype(np.float32))
    assert np.abs(quantize(model.constant("w1"), encodings["w1"]).astype(int)).max() == 127


def test_a_scale_below_its_floor_is_raised_to_it_and_the_zero_point_stays():
    model, plan, statistics = two_convs(), two_convs_plan(), statistics_of_two_convs()
    free = calibrate(model, plan, statistics, MINMAX)
    for share in (0.5, 64.0):
        points = (replace(p, scale_floor=("image", share)) if p.tensor == "scores" else p for p in plan.points)
        found = calibrate(model, replace(plan, points=tuple(points)), statistics, MINMAX)["scores"]
        assert found.scale == max(free["scores"].scale, np.float32(share) * free["image"].scale)
        assert found.zero_point == free["scores"].zero_point
    assert free["scores"].scale > 0.5 * free["image"].scale
    assert free["scores"].scale < 64.0 * free["image"].scale


def test_a_tensor_without_a_single_value_is_named():
    empty = statistics_of([])
    statistics = Statistics({**statistics_of_two_convs().tensors, "hidden": empty}, 1)
    with pytest.raises(CalibrationError, match=r"activation 'hidden': no value was seen"):
        calibrate(two_convs(), two_convs_plan(), statistics, MINMAX)


def test_a_weight_with_nan_is_named():
    model = two_convs()
    weight = model.constant("w2").copy()
    weight[0, 0, 0, 0] = np.nan
    model.graph.initializers["w2"].const_value = ir.tensor(weight)
    with pytest.raises(CalibrationError, match=r"weight 'w2': .*not finite"):
        calibrate(model, two_convs_plan(), statistics_of_two_convs(), MINMAX)
