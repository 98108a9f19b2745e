"""Runs side by side: what is paired, what is not and why, and what three formats make of it."""

import copy
import csv
import io
import re

import numpy as np
import pytest

import quantlab
from quantlab.errors import RunError
from quantlab.evaluation.accuracy import paired_drop
from quantlab.pipeline import Run
from quantlab.report.html import joined_to_html
from quantlab.report.joined_text import to_csv, to_markdown
from quantlab.report.joining import bits_of, join, load_runs
from quantlab.report.report import Report
from tests.report.test_html import HOSTILE, Page
from tests.runs import UNTIMED, classifier, images, labels


def made(**settings: object) -> Run:
    return quantlab.ptq(classifier(), (images(48), labels(48)), **{**UNTIMED, **settings})


@pytest.fixture(scope="module")
def runs() -> dict[str, Run]:
    return {"base": made(), "crude": made(calibrator="percentile", calibrator_options={"percentile": 60.0})}


@pytest.fixture(scope="module")
def reports(runs) -> dict[str, Report]:
    return {name: Report.from_json(run.report.to_json()) for name, run in runs.items()}


def changed(report: Report, **evaluation: object) -> Report:
    content = copy.deepcopy(dict(report.content))
    content["evaluation"].update(evaluation)
    return Report(content)


def test_the_stored_answers_are_those_that_were_counted(runs, reports):
    for name, run in runs.items():
        for row, told in zip(run.evaluation.rows, reports[name].rows, strict=True):
            bits = bits_of(told, run.evaluation.labelled)
            assert bits is not None
            assert row.correct is not None
            np.testing.assert_array_equal(bits, row.correct)


def test_models_of_runs_on_the_same_samples_are_paired_with_the_first_run(runs, reports):
    joined = join(reports)
    row = next(row for row in joined.rows if (row.run, row.model) == ("crude", "onnxruntime"))
    ours, theirs = (runs[name].evaluation.row("onnxruntime").correct for name in ("crude", "base"))
    assert ours is not None
    assert theirs is not None
    expected = paired_drop(theirs, ours)
    assert row.difference is not None
    assert expected.lost + expected.gained > 0
    assert (row.difference.points, row.difference.interval) == (expected.points, expected.interval)
    assert (row.difference.lost, row.difference.gained) == (expected.lost, expected.gained)
    assert all(row.difference is None for row in joined.rows if row.run == "base")


def test_other_samples_are_not_paired_and_the_reason_is_told(reports):
    joined = join({**reports, "crude": changed(reports["crude"], samples_sha256="0" * 64)})
    differences = [row.difference for row in joined.rows if row.run == "crude"]
    for difference in differences:
        assert difference is not None
        assert difference.interval is None
        assert difference.points is not None
    assert "not paired: the two runs were not judged on the same samples" in " ".join(joined.sentences())


def timed(report: Report, median_ms: float, speedup: float) -> Report:
    """Return the report as if its models had been timed."""
    rows = copy.deepcopy(report.content["evaluation"]["rows"])
    interval = [speedup - 0.1, speedup + 0.1]
    for row, median in zip(rows, (median_ms, median_ms / speedup), strict=True):
        row["latencies"] = [
            {"batch_size": 1, "median_ms": median, "p90_ms": 9.0, "p99_ms": 9.0, "images_per_second": 1}
        ]
    rows[1]["speedups"] = [{"ratio": speedup, "interval": interval}]
    return changed(report, rows=rows)


def test_the_page_draws_accuracy_against_latency_and_on_several_machines_against_speedup(reports):
    assert "Accuracy against latency" not in Page(joined_to_html(join(reports))).said()
    runs = {"base": timed(reports["base"], 8.0, 2.0), "crude": timed(reports["crude"], 4.0, 4.0)}
    said = Page(joined_to_html(join(runs))).said()
    assert "Accuracy against latency" in said
    assert re.search(r"crude, onnxruntime: 1 ms, \d+\.\d\d %", said)
    environment = {**reports["crude"].content["evaluation"]["environment"], "cpu": "another"}
    apart = Page(joined_to_html(join({**runs, "crude": changed(runs["crude"], environment=environment)}))).said()
    assert "crude, onnxruntime: 4.00×, " in apart
    assert "base, fp32: 1.00×, " in apart
    assert not re.search(r"\d ms, ", apart)


def test_a_report_from_before_samples_were_told_is_joined_but_not_paired(reports):
    content = copy.deepcopy(dict(reports["crude"].content))
    del content["evaluation"]["samples_sha256"]
    joined = join({**reports, "crude": Report(content)})
    assert "from before they told which samples" in " ".join(joined.sentences())


def test_runs_without_labels_are_not_paired():
    run = quantlab.ptq(classifier(), images(), **UNTIMED)
    joined = join({"a": run.report, "b": Report.from_json(run.report.to_json())})
    assert joined.rows[-1].difference is not None
    assert joined.rows[-1].difference.points is None
    assert "the samples have no labels" in " ".join(joined.sentences())


def test_a_trained_model_is_compared_with_the_model_of_the_same_target(reports):
    content = copy.deepcopy(dict(reports["crude"].content))
    content["evaluation"]["rows"][1]["name"] = "onnxruntime qat"
    joined = join({"base": reports["base"], "trained": Report(content)})
    assert joined.rows[-1].difference is not None
    assert joined.rows[-1].difference.counterpart == "onnxruntime"


def test_a_target_that_the_first_run_has_not_is_left_alone(reports):
    content = copy.deepcopy(dict(reports["crude"].content))
    content["evaluation"]["rows"][1]["name"] = "tensorrt"
    assert join({"base": reports["base"], "other": Report(content)}).rows[-1].difference is None


def test_settings_that_differ_are_told_and_no_others(reports):
    assert join(reports).settings["calibrator"] == ("entropy", "percentile")
    assert set(join(reports).settings) == {"calibrator", "calibrator_options"}


def test_other_machines_are_told(reports):
    environment = {**reports["base"].content["evaluation"]["environment"], "cpu": "another"}
    joined = join({**reports, "crude": changed(reports["crude"], environment=environment)})
    assert "different machines" in joined.sentences()[-1]


def test_nothing_to_join_is_refused():
    with pytest.raises(RunError, match="no run to show"):
        join({})


def test_runs_are_called_by_their_folders_or_by_paths_where_these_are_alike(tmp_path, reports):
    for folder in ("one/net", "two/net", "other"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "report.json").write_text(reports["base"].to_json())
    one, two, other = (tmp_path / folder for folder in ("one/net", "two/net", "other"))
    assert list(load_runs([one, other / "report.json"])) == ["net", "other"]
    assert list(load_runs([one, two])) == [str(one), str(two)]
    with pytest.raises(RunError, match="named twice"):
        load_runs([one, one])


def test_markdown_has_a_row_per_model_and_no_text_of_a_run_becomes_markup(reports):
    text = to_markdown(join({"a|b<i>`": reports["base"], "crude": reports["crude"]}))
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in table[:6]}) == 1
    assert "a\\|b\\<i\\>\\`" in table[2]
    assert "| 60" not in table[2]
    assert any(line.startswith("| calibrator ") for line in table)


def test_csv_reads_back_to_the_numbers_and_no_text_becomes_a_formula(reports):
    joined = join({"=cmd": reports["base"], "crude": reports["crude"]})
    lines = list(csv.DictReader(io.StringIO(to_csv(joined))))
    assert [line["run"] for line in lines] == ["'=cmd", "'=cmd", "crude", "crude"]
    difference = joined.rows[-1].difference
    assert difference is not None
    assert float(lines[-1]["difference_points"]) == difference.points
    assert lines[0]["difference_points"] == lines[0]["median_ms"] == ""


def test_the_page_shows_every_run_and_no_name_becomes_markup(reports):
    page = Page(joined_to_html(join({HOSTILE: reports["base"], "crude": reports["crude"]})))
    assert page.tags("img") == []
    assert HOSTILE in page.said()
    assert len([tag for tag in page.tags("th") if tag["scope"] == "row"]) == 4 + 2 + 2


def test_drawn_intervals_have_their_own_table_so_that_the_numbers_stay_in_view(reports):
    tables = joined_to_html(join(reports)).split("<table")[1:]
    assert "Peak MB" in tables[0]
    assert "<svg" not in tables[0]
    assert "<svg" in tables[1]
    assert "points against" in tables[1]
