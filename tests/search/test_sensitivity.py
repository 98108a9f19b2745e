"""Every node quantized alone: what it costs at the output."""

import math
from dataclasses import replace

import pytest

import quantlab
from quantlab.calibrate import calibrate
from quantlab.calibrators import calibrator_named
from quantlab.collect import collect
from quantlab.data.arrays import array_source
from quantlab.data.batch import Batches
from quantlab.engines.onnxruntime import OnnxRuntime
from quantlab.errors import DataError, PlanError, RecipeError
from quantlab.plan import Plan
from quantlab.qdq import insert
from quantlab.qdq.pairs import pairs
from quantlab.run import Run
from quantlab.search import measure_sensitivity
from quantlab.search.sensitivity import only_node
from quantlab.side_by_side import Samples
from quantlab.targets import TARGETS, target_named
from tests.patterns import PATTERNS
from tests.runs import UNTIMED, classifier, images, labels
from tests.targets.quantize import LITERALLY, OneBatch, noise_for


@pytest.fixture(scope="module")
def run() -> Run:
    settings = {**UNTIMED, "targets": ("onnxruntime", "tensorrt")}
    return quantlab.ptq(classifier(), (images(), labels()), **settings)


@pytest.mark.parametrize("target", ["onnxruntime", "tensorrt"])
def test_every_planned_node_is_measured_once_and_the_costliest_comes_first(run, target):
    measured = run.sensitivity(target, samples=4)
    plan = run.quantized[target].plan
    assert sorted(row.node for row in measured.nodes) == sorted(plan.integer_nodes)
    decibels = [row.sqnr.db for row in measured.nodes]
    assert decibels == sorted(decibels)
    assert (measured.samples, measured.output, measured.target) == (4, "scores", target)


def test_all_nodes_at_once_are_the_int8_model_itself(run):
    measured = run.sensitivity("tensorrt", samples=4)
    made = run.quantized["tensorrt"]
    samples = Samples((images(24)[16:20], labels(24)[16:20]), batch_size=4)
    ours = next(layer for layer in quantlab.diff(run.model, made.model, samples).layers if layer.tensor == "scores")
    # The same sums, in batches of another size: equal but for the order of float64 additions.
    assert measured.all_nodes.db == pytest.approx(ours.sqnr.db, abs=1e-6)
    assert measured.all_nodes.db < measured.nodes[-1].sqnr.db


def test_alone_a_node_has_only_the_pairs_of_what_it_reads_and_writes(run):
    made = run.quantized["onnxruntime"]
    alone, encodings = only_node(run.model, made.plan, made.encodings, "conv2")
    assert {point.tensor for point in alone.points} == {"hidden", "w2", "b2", "deep"}
    assert {reader.node for point in alone.points if point.tensor != "deep" for reader in point.readers} == {"conv2"}
    assert len(list(pairs(insert(run.model, alone, encodings).graph))) == 3  # the bias has none before it is baked


def test_a_coarser_weight_is_felt_at_its_node_and_at_no_other(run):
    made = run.quantized["onnxruntime"]
    fine = made.encodings["w2"]
    coarse = {**made.encodings, "w2": replace(fine, scale=fine.scale * 32)}  # three bits are left of eight
    batches = run.evaluation_samples.head(4)
    measured = measure_sensitivity(run.model, made.plan, coarse, LITERALLY, batches)
    before = {row.node: row.sqnr.db for row in run.sensitivity(samples=4).nodes}
    change = {row.node: before[row.node] - row.sqnr.db for row in measured.nodes}
    # Steps 32 times as large are 30 dB more noise; the rounding of the other tensors of the node is there before.
    assert change.pop("conv2") > 10
    assert set(change.values()) == {0.0}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_node_of_every_pattern_can_be_quantized_alone(pattern, target):
    model = PATTERNS[pattern]()
    plan = target_named(target).place(model, keep_float=())
    batches = Batches(OneBatch(noise_for(model)))
    statistics = collect(model, plan.observed, LITERALLY, batches)
    encodings = calibrate(model, plan, statistics, calibrator_named("minmax"))
    if plan.integer_nodes:
        measured = measure_sensitivity(model, plan, encodings, LITERALLY, batches)
        assert {row.node for row in measured.nodes} == set(plan.integer_nodes)


def test_a_plan_without_nodes_and_data_without_samples_are_refused(run):
    made = run.quantized["onnxruntime"]
    engine = OnnxRuntime(threads=1, optimization="none")
    batches = Batches(array_source(images(), run.model.inputs), 4)
    with pytest.raises(PlanError, match="no node is quantized"):
        measure_sensitivity(run.model, Plan("onnxruntime", ()), {}, engine, batches)
    with pytest.raises(DataError, match="not a single sample"):
        measure_sensitivity(run.model, made.plan, made.encodings, engine, batches.head(0))
    with pytest.raises(RecipeError, match="this run has onnxruntime, tensorrt"):
        run.sensitivity("openvino")
    with pytest.raises(PlanError, match="no node 'gone'"):
        only_node(run.model, made.plan, made.encodings, "gone")


def test_what_was_measured_prints_and_saves(run):
    measured = run.sensitivity(samples=2)
    lines = str(measured).splitlines()
    assert len(lines) == len(measured.nodes) + 2
    saved = measured.to_json()
    assert [row["node"] for row in saved["nodes"]] == [row.node for row in measured.nodes]
    assert math.isfinite(saved["all_nodes"]["sqnr_db"])
