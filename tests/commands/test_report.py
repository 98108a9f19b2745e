"""`quantlab report` and the page it writes."""


def test_a_run_leaves_its_page_and_report_writes_the_same_elsewhere(workplace, quantlab):
    run = ("--data", "samples.npz", "--samples", "16", "--threads", "1", "--no-latency", "--out", "run")
    made = quantlab("ptq", "--model", "net.onnx", *run)
    assert made.code == 0
    assert "run/report.html" in made.out
    assert quantlab("report", "run", "--html", "mine.html").code == 0
    page = (workplace / "mine.html").read_text(encoding="utf-8")
    assert page == (workplace / "run" / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")


def test_a_page_that_cannot_be_written_is_told_in_one_line(workplace, quantlab):
    run = ("--data", "samples.npz", "--samples", "16", "--threads", "1", "--no-latency", "--out", "run")
    quantlab("ptq", "--model", "net.onnx", *run)
    said = quantlab("report", "run", "--html", "missing/mine.html")
    assert said.code == 1
    assert "missing/mine.html: cannot be written" in said.err


def test_a_report_whose_page_is_gone_does_not_name_one(workplace, quantlab):
    run = ("--data", "samples.npz", "--samples", "16", "--threads", "1", "--no-latency", "--out", "run")
    quantlab("ptq", "--model", "net.onnx", *run)
    (workplace / "run" / "report.html").unlink()
    said = quantlab("report", "run")
    assert said.code == 0
    assert "report.html" not in said.out
