"""Which nodes cost the accuracy, and whether what is suggested brings it back."""

from __future__ import annotations

import re
from typing import Any

import pytest

import quantlab
from quantlab.errors import EngineError, RecipeError
from quantlab.recipe import Recipe
from quantlab.report.sensitivity import keep_float_options, noise_shares
from quantlab.run import Run
from quantlab.zoo.solved import small_digits, solved_network
from tests.runs import UNTIMED, classifier, images, labels

FAST: dict[str, Any] = {**UNTIMED, "samples": 64, "targets": ("tensorrt",), "fp16": False}


def ruined(**settings: Any) -> Run:
    """Quantize a network two of whose convolutions have channels between them that are a thousand times apart."""
    model, samples = solved_network(spread=1000.0), small_digits("calibration")
    return quantlab.ptq(model, samples, eval_data=small_digits("evaluation"), **{**FAST, **settings})


@pytest.fixture(scope="module")
def run() -> Run:
    return ruined(sensitivity_samples=4)


def test_the_node_to_blame_is_named_and_keeping_it_float_brings_the_accuracy_back(run: Run):
    section = run.report.content["targets"]["tensorrt"]["sensitivity"]
    assert section["suggested"] == ["conv2"]
    assert section["nodes"][0]["node"] == "conv2"
    lost = run.evaluation.row("tensorrt").drop
    assert lost is not None
    assert lost.interval[0] > 20
    without = ruined(keep_float=tuple(section["suggested"])).evaluation.row("tensorrt")
    assert without.drop is not None
    assert without.drop.interval[0] <= 0
    # What was promised is what came.
    assert section["row"] == {**without.to_json(), "correct": None}


def test_the_summary_says_how_few_are_to_blame_and_what_that_gains(run: Run):
    section = run.report.content["targets"]["tensorrt"]["sensitivity"]
    assert section["summary"].startswith("1 node is to blame for most of the noise: kept float, it leaves SQNR")
    assert re.search(r"and a drop in accuracy of [+-]\d\.\d\d points \[.*\] instead of \+\d", section["summary"])
    shares = [share for share in noise_shares(section) if share is not None]
    assert sum(shares) == pytest.approx(1.0)
    assert shares[0] > 0.99


def test_names_that_a_shell_would_split_are_quoted():
    assert keep_float_options(["/layer/Conv", "my node"]) == "--keep-float /layer/Conv --keep-float 'my node'"


def test_where_nothing_is_lost_nothing_has_to_be_kept_float():
    run = quantlab.ptq(classifier(), (images(), labels()), **UNTIMED, sensitivity_samples=2)
    summary = run.report.content["targets"]["onnxruntime"]["sensitivity"]["summary"]
    assert summary == "No loss of accuracy shows: nothing has to be kept float for it."


def test_without_labels_and_few_to_blame_other_ways_are_named():
    run = quantlab.ptq(classifier(), images(), **UNTIMED, sensitivity_samples=2)
    section = run.report.content["targets"]["onnxruntime"]["sensitivity"]
    assert section["suggested"] is None
    assert "training (quantlab qat) may gain more" in section["summary"]


def test_it_is_measured_only_where_it_is_asked_for():
    run = quantlab.ptq(classifier(), images(), **UNTIMED)
    assert "sensitivity" not in run.report.content["targets"]["onnxruntime"]
    with pytest.raises(RecipeError, match="sensitivity_samples: -1 is not possible"):
        Recipe(sensitivity_samples=-1)


def test_a_run_does_not_fail_over_what_cannot_be_measured(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object, **__: object) -> None:
        raise EngineError("node 'a': refused")

    monkeypatch.setattr("quantlab.diagnosis.try_kept_float", refuse)
    run = quantlab.ptq(classifier(), images(), **UNTIMED, sensitivity_samples=2)
    section = run.report.content["targets"]["onnxruntime"]["sensitivity"]
    assert section["summary"] == section["reason"] == "Not measured: node 'a': refused."
    assert len(section["nodes"]) == len(run.quantized["onnxruntime"].plan.integer_nodes)
