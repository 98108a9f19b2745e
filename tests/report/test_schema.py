"""Every report is as `schema.json` says, and the schema speaks of everything that is in one."""

import copy
import json
from typing import Any

import jsonschema
import pytest

import quantlab
from quantlab.report.report import SCHEMA_VERSION, Report, schema
from tests.runs import UNTIMED, classifier, images, labels

TIMED: dict[str, Any] = {"latency_batches": (1, 4), "layer_samples": 4}


def closed(node: Any) -> Any:
    """Return a schema that refuses whatever it does not speak of."""
    if isinstance(node, dict):
        result = {key: closed(value) for key, value in node.items()}
        if "properties" in result:
            result["additionalProperties"] = False
        return result
    return [closed(item) for item in node] if isinstance(node, list) else node


def check(report: Report) -> None:
    content = json.loads(report.to_json())
    validator = jsonschema.Draft202012Validator(
        closed(schema()), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    validator.validate(content)


def test_the_schema_itself_is_valid_and_of_this_version():
    jsonschema.Draft202012Validator.check_schema(schema())
    assert schema()["properties"]["schema_version"]["const"] == SCHEMA_VERSION
    added = {"histograms", "qat", "flips", "resources"}  # since version 1 began: readers must do without
    assert set(schema()["required"]) == set(schema()["properties"]) - added


def test_a_labelled_and_timed_run_for_two_targets_fits(tmp_path):
    settings = {**UNTIMED, **TIMED, "targets": ("onnxruntime", "tensorrt"), "top_k": 2, "sensitivity_samples": 2}
    run = quantlab.ptq(classifier(), (images(), labels()), out=tmp_path, **settings)
    check(run.report)
    content = run.report.content
    assert [row["is_simulated"] for row in run.report.rows] == [False, True, False, True]
    assert all(row["drop"] for row in run.report.rows[1:])
    assert [row["memory"] is None for row in run.report.rows] == [False, True, False, True]
    assert set(content["files"]) == {
        *("recipe.toml", "plan.json", "stats.npz", "model.fp32.onnx"),
        *("model.onnxruntime.int8.onnx", "model.tensorrt.int8.onnx"),
    }


def test_an_unlabelled_run_without_a_folder_fits():
    run = quantlab.ptq(classifier(), images(), **UNTIMED)
    check(run.report)
    assert run.report.content["files"] == {}
    assert run.report.content["command"] is None


def test_a_training_fits_also_of_a_model_that_was_quantized_already(tmp_path):
    pytest.importorskip("torch")
    settings = quantlab.qat.QatSettings(epochs=1, device="cpu", learn_scales=True)
    run = quantlab.qat.train(classifier(), (images(), labels()), settings=settings, out=tmp_path, **UNTIMED)
    check(run.report)
    again = quantlab.qat.train(run.int8_model, images(), settings=settings, **UNTIMED)
    check(again.report)
    assert again.report.content["samples"]["calibration"] == 0
    assert again.report.content["qat"]["drop_against_start"] is None


def test_a_run_in_which_nothing_is_quantized_fits():
    run = quantlab.ptq(classifier(), images(), **UNTIMED, keep_float=("*",))
    check(run.report)
    assert "Nothing is quantized" in run.report.content["verdict"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("samples", "calibration"), -1),
        (("evaluation", "rows", 0, "correct"), 3),
        (("files", "x"), {"size_bytes": 1, "sha256": "123"}),
        (("targets", "onnxruntime", "tensors", 0, "role"), "other"),
        (("unknown",), 1),
    ],
)
def test_the_schema_refuses_what_no_report_may_hold(path, value):
    run = quantlab.ptq(classifier(), images(), **UNTIMED)
    content = copy.deepcopy(dict(run.report.content))
    where: Any = content
    for key in path[:-1]:
        where = where[key]
    where[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        check(Report(content))
