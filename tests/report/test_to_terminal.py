import copy
import re
from pathlib import Path
from typing import Any

import pytest

import quantlab
from quantlab.report.report import Report
from quantlab.report.tables import SIMULATED
from quantlab.report.to_terminal import to_text
from tests.runs import UNTIMED, classifier, images, labels


@pytest.fixture(scope="module")
def report() -> Report:
    settings = {**UNTIMED, "targets": ("onnxruntime", "tensorrt"), "keep_float": ("linear",)}
    return quantlab.ptq(classifier(), (images(), labels()), **settings).report


def changed(report: Report, **sections: Any) -> str:
    return to_text(Report({**report.content, **sections}))


def test_a_report_begins_with_the_verdict_and_fits_100_columns(report):
    text = to_text(report, folder=Path("runs/net"))
    assert text.startswith("onnxruntime: ")
    assert all(len(line) <= 100 for line in text.splitlines())


def test_it_says_how_much_runs_in_integers_and_why_the_rest_does_not(report):
    text = to_text(report)
    planned = len(report.content["targets"]["onnxruntime"]["integer_nodes"])
    assert f"onnxruntime: {planned} nodes planned in integers" in text
    assert "all of them run so on onnxruntime" in text
    assert "1 node float: Kept float on request (linear)." in text
    assert "tensorrt: " in text
    assert "was not measured here" in " ".join(text.split())


def test_equal_reasons_are_told_once_and_rare_ones_counted(report):
    reasons = ["a", "a", "b", "c", "d", "e"]
    floats = [{"node": f"n{number}", "reason": f"Reason {reason}."} for number, reason in enumerate(reasons)]
    target = {**report.content["targets"]["onnxruntime"], "float_nodes": floats}
    text = changed(report, targets={"onnxruntime": target})
    assert "  2 nodes float: Reason a.\n  1 node float: Reason b.\n  1 node float: Reason c.\n" in text
    assert "  2 nodes float for other reasons; the report tells all." in text


def test_a_node_that_did_not_run_as_planned_is_named(report):
    target = dict(report.content["targets"]["onnxruntime"])
    row = {**target["audit"]["rows"][0], "is_integer": False, "planned": "integer", "reason": "It reads x as float."}
    target["audit"] = {**target["audit"], "share": 0.5, "rows": [row]}
    text = changed(report, targets={"onnxruntime": target})
    assert f"  Not as planned: {row['node']} (Conv): It reads x as float." in text
    assert "50% of them run so" in text


def section(**changes: Any) -> dict[str, Any]:
    """Return a section on sensitivity with seven nodes, each of half the noise of the one before."""
    sqnrs = [{"sqnr_db": 10 + 3.0 * n, "identical": False, "noise": 64.0 / 2**n} for n in range(7)]
    nodes = [{"node": f"node {n}", "operator": "Conv", "sqnr": sqnr} for n, sqnr in enumerate(sqnrs)]
    return {"nodes": nodes, "suggested": ["node 0", "b"], "summary": "Two are to blame.", **changes}


def with_target(report: Report, **changes: Any) -> str:
    return changed(report, targets={"onnxruntime": {**report.content["targets"]["onnxruntime"], **changes}})


def test_the_costliest_nodes_are_told_with_what_to_add_to_the_command(report):
    text = with_target(report, sensitivity=section())
    assert re.search(r"^node 0 +Conv +10.0 dB +50.4%$", text, re.MULTILINE)
    assert "node 4" in text
    assert "node 5" not in text
    assert "onnxruntime: Two are to blame.\n  Add: --keep-float 'node 0' --keep-float b\n" in text
    assert "Add:" not in with_target(report, sensitivity=section(suggested=None))


def test_who_lost_accuracy_is_told_how_to_find_the_nodes_to_blame(report):
    hint = "the same command with --sensitivity-samples 32"
    assert hint not in to_text(report)
    evaluation = copy.deepcopy(report.content["evaluation"])
    lost = next(row for row in evaluation["rows"] if row["name"] == "onnxruntime")
    lost["drop"]["interval"] = [0.5, 2.5]
    assert hint in changed(report, evaluation=evaluation)
    target = {**report.content["targets"]["onnxruntime"], "sensitivity": section()}
    assert hint not in changed(report, evaluation=evaluation, targets={"onnxruntime": target})


def test_what_is_simulated_is_marked_and_explained(report):
    assert "tensorrt*" in to_text(report)
    assert SIMULATED.split(";", maxsplit=1)[0] in " ".join(to_text(report).split())
    rows = [row for row in report.content["evaluation"]["rows"] if not row["is_simulated"]]
    assert "*" not in changed(report, evaluation={**report.content["evaluation"], "rows": rows})


def test_warnings_stand_out_and_many_notes_are_cut(report):
    notes = [f"note {number}" for number in range(11)]
    # What an evaluation notes depends on the processor.
    evaluation = {**report.content["evaluation"], "notes": []}
    text = changed(report, warnings=["mind this"], notes=notes, evaluation=evaluation)
    assert "WARNING: mind this\n" in text
    assert "Note: note 7\nNote: 3 more notes are in the report.\n" in text


def test_the_files_end_it_and_are_never_broken(report):
    folder = Path("runs") / ("a-rather-long-name" * 6)
    files = {"model.onnxruntime.int8.onnx": {"size_bytes": 1, "sha256": "0" * 64}}
    text = to_text(Report({**report.content, "files": files}), folder=folder)
    assert f"INT8 model: {folder}/model.onnxruntime.int8.onnx\nReport: {folder}/report.json\n" in text


def test_without_a_folder_no_file_is_named(report):
    assert "report.json" not in to_text(report)
