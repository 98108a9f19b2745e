import copy
import itertools
from typing import Any

import pytest
from rich.console import Console, RenderableType

import quantlab
from quantlab.report.tables import answers_table, costs_table, ranges_table, samples_sentence
from tests.runs import UNTIMED, classifier, images, labels


def shown(renderable: RenderableType) -> list[str]:
    console = Console(width=100, color_system=None)
    with console.capture() as capture:
        console.print(renderable, crop=False)
    return [line.rstrip() for line in capture.get().splitlines()]


@pytest.fixture(scope="module")
def evaluation() -> dict[str, Any]:
    """Two targets, labelled, and the float model timed at two batch sizes."""
    settings = {**UNTIMED, "targets": ("onnxruntime", "tensorrt"), "top_k": 3}
    content = quantlab.ptq(classifier(), (images(), labels()), **settings).evaluation.to_json()
    fp32, _fp16, onnxruntime, _tensorrt = content["rows"]
    for row in (fp32, onnxruntime):
        times = {"threads": "1", "runs": 4, "median_ms": 1.5, "p90_ms": 2.0, "p99_ms": 3.0, "mean_ms": 1.6}
        row["latencies"] = [{"batch_size": size, "images_per_second": size / 1.5e-3, **times} for size in (1, 16)]
        row["memory"] = {"peak_bytes": 12_300_000, "batch_size": 1}
    onnxruntime["speedups"] = [{"ratio": 2.5, "interval": [2.4, 2.6]}, {"ratio": 3.5, "interval": [3.4, 3.6]}]
    return content


def test_samples_are_told_with_what_computed_their_statistics_where_that_is_known() -> None:
    told = {"note": "Calibrated on a; evaluated on b.", "collected_by": ["torch 2 on cpu", "torch 2 on GPU"]}
    assert samples_sentence(told).endswith("on b. Statistics collected by torch 2 on cpu and torch 2 on GPU.")
    assert samples_sentence({**told, "collected_by": []}) == told["note"]
    assert samples_sentence({"note": "of an older report"}) == "of an older report"


def test_answers_tell_accuracy_drop_and_agreement_with_a_line_for_top_k(evaluation):
    lines = shown(answers_table(evaluation))
    assert lines[1].split() == ["model", "accuracy", "interval", "points", "interval", "agrees", "SQNR"]
    models = ("fp32", "fp16*", "onnxruntime", "tensorrt*")
    assert [line.split()[0] for line in lines[2:]] == [word for name in models for word in (name, "top-3")]


def test_without_labels_there_are_no_columns_of_accuracy(evaluation):
    unlabelled = copy.deepcopy(evaluation)
    for row in unlabelled["rows"]:
        row["accuracies"], row["drop"] = [], None
    assert shown(answers_table(unlabelled))[0].split() == ["model", "agrees", "SQNR"]


def test_costs_tell_every_batch_size_and_the_memory_once(evaluation):
    lines = shown(costs_table(evaluation))
    assert lines[2].split() == ["fp32", "1", "1.500", "2.000", "3.000", "667", "-", "-", "0.04", "12.3"]
    assert lines[6].split() == ["16", "1.500", "2.000", "3.000", "10667", "3.50x", "3.40..3.60"]
    for line, name in ((lines[4], "fp16*"), (lines[7], "tensorrt*")):
        assert line.split()[:8] == [name, *["-"] * 7]


def test_where_nothing_was_timed_only_the_size_is_told(evaluation):
    untimed = copy.deepcopy(evaluation)
    for row in untimed["rows"]:
        row["latencies"] = []
    lines = shown(costs_table(untimed))
    assert lines[1].split() == ["model", "MB"]


def test_long_names_are_folded_and_no_number_is_lost(evaluation):
    long = copy.deepcopy(evaluation)
    for number, row in enumerate(long["rows"]):
        row["name"] = f"model-with-a-name-that-is-much-longer-than-the-table-is-wide-{number}" * 2
    for table, plain in ((answers_table, answers_table(evaluation)), (costs_table, costs_table(evaluation))):
        lines = shown(table(long))
        assert all(len(line) <= 100 for line in lines)
        numbers = itertools.chain.from_iterable(line.split()[1:] for line in shown(plain)[2:])
        assert all(any(number in line.split() for line in lines) for number in numbers)


def test_ranges_have_a_column_per_calibrator():
    rows = [{"tensor": "x", "minimum": -1.0, "maximum": 2.0, "ranges": {"minmax": (-1.0, 2.0), "mse": (-0.5, 1.5)}}]
    lines = shown(ranges_table("tensorrt", rows))
    assert lines[0] == "Ranges for tensorrt"
    assert lines[1].split() == ["tensor", "seen", "minmax", "mse"]
    assert lines[2].split() == ["x", "-1..2", "-1..2", "-0.5..1.5"]
