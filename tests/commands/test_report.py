"""`quantlab report`, the page it writes, and runs side by side."""

import json


def test_a_run_leaves_its_page_and_report_writes_the_same_elsewhere(workplace, quantlab):
    run = ("--data", "samples.npz", "--samples", "16", "--threads", "1", "--no-latency", "--out", "run")
    made = quantlab("ptq", "--model", "net.onnx", *run)
    assert made.code == 0
    assert "run/report.html" in made.out
    assert quantlab("report", "run", "--format", "html", "--out", "mine.html").code == 0
    page = (workplace / "mine.html").read_text(encoding="utf-8")
    assert page == (workplace / "run" / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")


def test_a_page_that_cannot_be_written_is_told_in_one_line(workplace, quantlab):
    run = ("--data", "samples.npz", "--samples", "16", "--threads", "1", "--no-latency", "--out", "run")
    quantlab("ptq", "--model", "net.onnx", *run)
    said = quantlab("report", "run", "--format", "html", "--out", "missing/mine.html")
    assert said.code == 1
    assert "missing/mine.html: cannot be written" in said.err


def test_a_report_whose_page_is_gone_does_not_name_one(workplace, quantlab):
    run = ("--data", "samples.npz", "--samples", "16", "--threads", "1", "--no-latency", "--out", "run")
    quantlab("ptq", "--model", "net.onnx", *run)
    (workplace / "run" / "report.html").unlink()
    said = quantlab("report", "run")
    assert said.code == 0
    assert "report.html" not in said.out


def two_runs(quantlab):
    run = ("--data", "samples.npz", "--samples", "16", "--threads", "1", "--no-latency")
    for calibrator in ("minmax", "mse"):
        made = quantlab("ptq", "--model", "net.onnx", *run, "--calibrator", calibrator, "--out", calibrator)
        assert made.code == 0


def test_several_runs_are_joined_in_every_format(workplace, quantlab):
    two_runs(quantlab)
    said = quantlab("report", "minmax", "mse/report.json")
    assert said.code == 0
    assert max(map(len, said.out.splitlines())) <= 100
    assert "calibrator: minmax: minmax, mse: mse" in said.out
    assert quantlab("report", "minmax", "mse", "--format", "markdown").out.count("\n| m") == 4
    assert quantlab("report", "minmax", "mse", "--format", "csv").out.startswith("run,model,")
    page = quantlab("report", "minmax", "mse", "--format", "html", "--out", "both.html")
    assert (page.code, page.out) == (0, "")
    assert "2 runs side by side" in (workplace / "both.html").read_text(encoding="utf-8")
    assert json.loads(quantlab("report", "minmax", "mse", "--json").out)["runs"] == ["minmax", "mse"]


def test_json_and_a_format_exclude_each_other(quantlab):
    said = quantlab("report", "run", "--format", "csv", "--json")
    assert (said.code, said.out) == (2, "")
    assert "--format exclude each other; leave one of them out" in said.err


def test_a_wrong_format_is_told_with_those_there_are(workplace, quantlab):
    two_runs(quantlab)
    said = quantlab("report", "mse", "--format", "markdwon")
    assert said.code == 2
    assert "did you mean 'markdown'?" in said.err
    assert quantlab("report", "mse", "--out", "x").code == 2
