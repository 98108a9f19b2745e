"""What is listed, what is listed as broken and why, and that no name leads out of the folder."""

import json
import os
import shutil

import pytest

from quantlab.errors import RunError
from quantlab.serve import run_list
from quantlab.serve.run_list import RunList
from tests.serve.conftest import change_report


def faults(root) -> dict[str, str | None]:
    return {entry.name: entry.fault for entry in RunList.open(root).entries()}


def test_runs_at_any_depth_are_listed_with_what_a_table_needs(root):
    entries = {entry.name: entry for entry in RunList.open(root).entries()}
    assert set(entries) == {"one", "group/two"}
    (row,) = entries["group/two"].rows
    assert (row.model, row.name, row.calibrator, row.is_simulated) == ("net.onnx", "onnxruntime", "minmax", False)
    assert row.accuracy is not None
    assert row.drop_interval is not None
    assert row.median_ms is None


def test_a_folder_that_is_a_run_itself_is_listed_as_the_dot(root):
    assert faults(root / "one") == {".": None}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "report.json: this is no quantlab report"),
        ("[]", "report.json: this is no quantlab report"),
        ('{"schema_version": 99}', "report.json: report version 99, this quantlab reads 1; update quantlab"),
        ('{"schema_version": 1}', "the report has no section"),
    ],
)
def test_a_report_that_cannot_be_read_is_listed_with_the_reason(root, text, reason):
    (root / "one" / "report.json").write_text(text)
    found = faults(root)
    assert found["group/two"] is None
    assert reason in (found["one"] or "")


@pytest.mark.parametrize("evaluation", [{}, {"rows": 3}, {"rows": [{}, {}]}, {"rows": [None, None]}, None])
def test_a_report_whose_inside_is_damaged_is_listed_as_damaged(root, evaluation):
    change_report(root / "one", evaluation=evaluation)
    assert "report.json: it is damaged" in (faults(root)["one"] or "")


def test_a_run_that_was_interrupted_or_failed_is_listed_as_unfinished(root):
    (root / "half" / "unfinished").mkdir(parents=True)
    assert "did not finish" in (faults(root)["half"] or "")


def test_a_report_that_is_a_folder_or_a_pipe_is_refused_without_waiting_for_it(root):
    for name in ("folder", "pipe"):
        (root / name).mkdir()
    (root / "folder" / "report.json").mkdir()
    os.mkfifo(root / "pipe" / "report.json")
    found = faults(root)
    assert "no plain file" in (found["folder"] or "")
    assert "no plain file" in (found["pipe"] or "")


def test_a_report_larger_than_any_run_writes_is_not_read(root, monkeypatch):
    monkeypatch.setattr(run_list, "_MOST_REPORT_BYTES", 100)
    assert "larger than" in (faults(root)["one"] or "")


def test_a_link_out_of_the_folder_is_not_followed(root, made):
    (root / "linked").symlink_to(made / "one", target_is_directory=True)
    (root / "stolen").mkdir()
    (root / "stolen" / "report.json").symlink_to(made / "one" / "report.json")
    (root / "circle").mkdir()
    (root / "circle" / "report.json").symlink_to("report.json")
    found = faults(root)
    assert "linked" not in found
    assert "link out of the served folder" in (found["stolen"] or "")
    assert found["circle"] is not None


def test_a_link_within_the_folder_is_followed(root):
    (root / "same").mkdir()
    (root / "same" / "report.json").symlink_to(root / "one" / "report.json")
    assert faults(root)["same"] is None


@pytest.mark.parametrize("name", ["../one", "/etc", "one/", "one/report.json", "", "ONE", "one\0", "group"])
def test_a_name_that_is_not_in_the_list_is_no_run(root, name):
    with pytest.raises(RunError, match="there is no such run"):
        RunList.open(root).entry(name)


def test_a_run_that_was_made_again_is_read_again(root):
    runs = RunList.open(root)
    assert runs.entry("one").rows[0].calibrator == "entropy"
    content = json.loads((root / "one" / "report.json").read_text())
    change_report(root / "one", recipe={**content["recipe"], "calibrator": "percentile"})
    assert runs.entry("one").rows[0].calibrator == "percentile"
    shutil.rmtree(root / "one")
    assert [entry.name for entry in runs.entries()] == ["group/two"]


@pytest.mark.parametrize("name", ["nothing", "net.onnx"])
def test_what_is_no_folder_cannot_be_served(root, name):
    with pytest.raises(RunError, match=f"{name}: .*give a folder that holds runs"):
        RunList.open(root / name)
