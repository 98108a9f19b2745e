"""The page of a report: whole, valid as a tree, and nothing in it but what the report says."""

import copy
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest

import quantlab
from quantlab.evaluation.answers import NO_ANSWER
from quantlab.report.html import to_html
from quantlab.report.report import Report
from quantlab.report.to_terminal import to_text
from tests.runs import UNTIMED, classifier, images, labels

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&"
VOID = {"link", "img", "meta", "input", "br"}


class Page(HTMLParser):
    """Elements in order, with their attributes; texts by the element they stand in."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    def tags(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag == name]

    def said(self) -> str:
        return " ".join(text for tag, text in self.texts if tag not in ("script", "style"))


@pytest.fixture(scope="module")
def report() -> Report:
    settings = {**UNTIMED, "latency_batches": (1,), "layer_samples": 4, "targets": ("onnxruntime", "tensorrt")}
    crude: dict[str, Any] = {
        "calibrator": "percentile",
        "calibrator_options": {"percentile": 60.0},
        "sensitivity_samples": 2,
    }  # so that answers flip
    run = quantlab.ptq(classifier(), (images(), labels()), **settings, **crude)
    return Report.from_json(run.report.to_json())


def with_name(report: Report, name: str) -> Report:
    """Return the report with a text in every place that a name of a user's file or tensor reaches."""
    content = copy.deepcopy(dict(report.content))
    text = json.dumps(content).replace('"hidden"', json.dumps(name))
    content = json.loads(text)
    content["model"]["name"] = content["verdict"] = name
    content["warnings"] = content["notes"] = content["command"] = [name]
    content["files"] = {name: {"size_bytes": 1, "sha256": "0" * 64}}
    content["recipe"]["data"] = name
    content["targets"][name] = content["targets"]["onnxruntime"]
    return Report(content)


def test_the_page_tells_every_tensor_node_and_reason(report):
    said = Page(to_html(report)).said()
    for target in report.content["targets"].values():
        for tensor in target["tensors"]:
            assert tensor["tensor"] in said
            assert tensor["scheme"] in said
        for skip in target["skips"]:
            assert skip["reason"] in said
        for node in [*target["integer_nodes"], *(item["node"] for item in target["float_nodes"])]:
            assert node in said


def test_the_verdict_comes_before_every_table(report):
    page = to_html(report)
    first = report.content["verdict"].splitlines()[0]
    assert page.index(first.replace("&", "&amp;")[:40]) < page.index("<table")


def test_no_name_becomes_markup(report):
    plain, hostile = Page(to_html(report)), Page(to_html(with_name(report, HOSTILE)))
    assert len(hostile.tags("script")) == len(plain.tags("script")) > 2
    assert len(hostile.tags("img")) == len(plain.tags("img")) > 0
    assert not [name for _, attributes in hostile.elements for name in attributes if name.startswith("on")]
    assert HOSTILE in hostile.said()


def test_the_histogram_data_come_through_a_hostile_name_unchanged(report):
    page = Page(to_html(with_name(report, HOSTILE)))
    data = next(text for tag, text in page.texts if tag == "script")
    assert HOSTILE in json.loads(data)["histograms"]["tensors"]


def test_half_a_surrogate_pair_in_a_name_can_be_written(report):
    to_html(with_name(report, "a\udc80b")).encode("utf-8")


def test_the_page_asks_for_nothing_from_outside(report):
    text = to_html(report)
    page = Page(text)
    named = [(name, value) for _, each in page.elements for name, value in each.items() if name in ("src", "href")]
    assert all(str(value).startswith("#" if name == "href" else "data:image/") for name, value in named)
    assert not [name for _, attributes in page.elements for name in attributes if name == "srcset"]
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest", text)
    policy = next(tag["content"] for tag in page.tags("meta") if "http-equiv" in tag)
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:;")


def test_a_picture_that_is_none_is_not_shown(report):
    content = copy.deepcopy(dict(report.content))
    for sample in content["flips"]["pictures"]:
        content["flips"]["pictures"][sample] = "https://example.org/x.png"
    page = Page(to_html(Report(content)))
    assert page.tags("img") == []
    assert "example.org" not in page.said()


def test_every_section_is_linked_to(report):
    page = Page(to_html(report))
    wanted = {tag["href"] for tag in page.tags("a")}
    assert {f"#{tag['id']}" for tag in page.tags("section") if tag.get("id")} == wanted
    assert len(wanted) == 9


def test_the_nodes_are_told_with_what_each_costs_alone_and_what_to_keep_float(report):
    page = Page(to_html(report))
    for name, target in report.content["targets"].items():
        section = target["sensitivity"]
        assert section["summary"] in page.said()
        assert f"Nodes of target {name}, each quantized alone, on 2 calibration samples" in page.said()
    assert "Noise for tensorrt with the costliest nodes kept float" in page.said()
    content = copy.deepcopy(dict(report.content))
    content["targets"]["tensorrt"]["sensitivity"]["suggested"] = ["conv2", HOSTILE]
    assert "--keep-float conv2 --keep-float" in Page(to_html(Report(content))).said()


def test_flips_are_told_by_what_they_cost(report):
    said = Page(to_html(report)).said()
    assert "samples have another answer than from the float model" in said
    assert "Right before, wrong now" in said


def test_the_head_sets_half_precision_beside_the_simulated_int8_model_alone(report):
    content = json.loads(report.to_json())
    half = content["evaluation"]["rows"][1]
    assert half["name"] == "fp16"
    half["size"]["file_bytes"] = 98_760_000  # a number that no other model has
    texts = [text for _, text in Page(to_html(Report(content))).texts]
    assert "fp16 (simulated)" not in texts
    assert "tensorrt (simulated)" in texts
    assert sum(", fp16 98.76 MB" in text for text in texts) == 1


def test_an_answer_that_is_nan_is_told_as_such(report):
    content = json.loads(report.to_json())
    told = content["flips"]["models"]["tensorrt"]
    told["pairs"][0][1] = told["samples"][0]["answer"] = NO_ANSWER
    texts = [text for _, text in Page(to_html(Report(content))).texts]
    assert f"{told['samples'][0]['reference']} → NaN" in texts
    assert texts.count("NaN") == 1  # in the table of which answer became which


def test_a_report_from_before_layers_flips_and_resources_makes_a_page(report):
    content = copy.deepcopy(dict(report.content))
    del content["flips"], content["resources"]
    for target in content["targets"].values():
        del target["layers"]
        for tensor in target["tensors"]:
            for name in ("integers", "symmetric", "sqnr_db"):
                del tensor[name]
    for row in content["evaluation"]["rows"]:
        for latency in row["latencies"]:
            del latency["runs_ms"]
    said = Page(to_html(Report(content))).said()
    assert "Nodes of target onnxruntime" in said
    assert "Answers that changed" not in said


def test_a_screen_reader_finds_names_for_tables_and_drawings(report):
    page = Page(to_html(report))
    assert len(page.tags("caption")) == len(page.tags("table"))
    assert all(tag["aria-label"] for tag in page.tags("div") if tag.get("class") == "place")
    assert all(svg["role"] == "img" and svg["aria-label"] for svg in page.tags("svg"))
    assert all(head["scope"] in ("col", "row") for head in page.tags("th"))


def test_a_report_from_before_histograms_makes_a_page(report):
    content = {name: value for name, value in report.content.items() if name != "histograms"}
    page = Page(to_html(Report(content)))
    assert not [tag for tag in page.tags("button") if tag.get("class") == "draws"]


def test_an_unlabelled_untimed_run_of_nothing_makes_a_page():
    run = quantlab.ptq(classifier(), images(), **UNTIMED, keep_float=("*",))
    said = Page(to_html(run.report)).said()
    assert "Nothing is quantized" in said
    assert "Drop in points" not in said


def test_the_page_of_a_large_network_is_below_3_mb(report):
    content = copy.deepcopy(dict(report.content))
    target = content["targets"]["onnxruntime"]
    histograms = content["histograms"]
    name = next(iter(histograms["tensors"]))
    full = {"width": 0.0123456789, "positive": [1234567] * 128, "negative": [1234567] * 128, "zeros": 9, "count": 99}
    target["tensors"] = [{**target["tensors"][0], "tensor": f"layer/{k}/output"} for k in range(200)]
    histograms["tensors"] = {f"layer/{k}/output": full for k in range(200)}
    ranges = histograms["ranges"]["onnxruntime"]
    histograms["ranges"] = {"onnxruntime": {f"layer/{k}/output": ranges[name] for k in range(200)}}
    assert len(Report(content).to_json()) < 2e6
    assert len(to_html(Report(content))) < 3e6


def test_columns_of_numbers_have_their_heads_above_the_numbers(report):
    heads = [tag.get("class") for tag in Page(to_html(report)).tags("th") if tag["scope"] == "col"]
    assert "number" in heads
    assert None in heads


def test_nodes_show_what_they_run_in_and_their_part_of_the_work(report):
    said = Page(to_html(report)).said()
    audit = report.content["targets"]["onnxruntime"]["audit"]
    assert f"{audit['multiply_add_share']:.1%} of all multiply-adds" in said
    assert "Of the work %" in said
    assert "Kernels of target onnxruntime that convert" in said
    assert all(conversion["kernel"] in said for conversion in audit["conversions"])


def test_reports_from_before_work_was_counted_are_still_drawn(report):
    content = copy.deepcopy(dict(report.content))
    audit = content["targets"]["onnxruntime"]["audit"]
    for name in ("multiply_adds", "multiply_add_share", "conversions"):
        del audit[name]
    for item in audit["rows"]:
        for name in ("precision", "fused_with", "multiply_adds", "planned_reason"):
            del item[name]
    assert "Layers of target onnxruntime" in Page(to_html(Report(content))).said()


def test_the_error_of_quantization_and_that_of_the_runtime_are_told_apart(report):
    said = Page(to_html(report)).said()
    errors = {name: target["layers"]["errors"] for name, target in report.content["targets"].items()}
    assert errors["onnxruntime"]["runtime"].startswith("onnxruntime ")
    assert [each["output"] for each in errors["onnxruntime"]["outputs"]] == ["scores"]
    assert f"runtime error of {errors['onnxruntime']['runtime']}" in said
    samples = report.content["targets"]["onnxruntime"]["layers"]["noise_samples"]
    assert f"Output scores on {samples} samples: quantization error" in to_text(report)
    assert errors["tensorrt"] == {"runtime": None, "runtime_reason": "its runtime is not here", "outputs": []}
