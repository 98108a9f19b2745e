"""What a notebook shows of a result: whole, escaped, short, and without a colour that one theme would swallow."""

import re
from xml.etree import ElementTree as ET

import pytest

import quantlab
from quantlab.evaluation import Evaluation
from quantlab.fragments import MOST_ROWS, fragment, small_table
from quantlab.plan import Plan, Point, Reader
from quantlab.run import Run
from quantlab.scheme import Scheme
from quantlab.stats import Statistics
from tests.runs import UNTIMED, classifier, images, labels

HOSTILE = "</table><script>alert(1)</script><img src=x onerror=alert(2)>\"'&"


@pytest.fixture(scope="module")
def run() -> Run:
    settings = {**UNTIMED, "latency_batches": (1,), "targets": ("onnxruntime", "tensorrt")}
    return quantlab.ptq(classifier(), (images(), labels()), **settings)


def shown(html: str) -> ET.Element:
    """Return the tree; the fragments have no element that HTML leaves open."""
    return ET.fromstring(f"<div>{html}</div>")


def said(html: str) -> str:
    return " ".join(shown(html).itertext())


def test_a_run_shows_its_verdict_and_its_table(run):
    text = said(run._repr_html_())
    for line in run.report.content["verdict"].splitlines():
        assert line in text
    assert "tensorrt (simulated)" in text


def test_an_evaluation_shows_what_print_shows(run):
    text = said(run.evaluation._repr_html_())
    printed = re.findall(r"\d+\.\d+ ?(?:%|dB|MB)", str(run.evaluation))
    assert printed
    assert all(number in text for number in printed)


def test_a_plan_shows_every_point_and_every_reason(run):
    plan = run.quantized["tensorrt"].plan
    text = said(plan._repr_html_())
    assert all(point.tensor in text for point in plan.points)
    assert all(reason in text for _, reason in plan.float_nodes)
    assert all(skip.reason in text for skip in plan.skips)


def test_statistics_show_a_row_and_a_drawing_per_tensor(run):
    tree = shown(run.statistics._repr_html_())
    assert len(tree.findall(".//tbody/tr")) == len(run.statistics.tensors)
    labels_of_drawings = [drawing.get("aria-label") or "" for drawing in tree.findall(".//svg")]
    assert len(labels_of_drawings) == len(run.statistics.tensors)
    assert all(label.startswith("histogram from") for label in labels_of_drawings)


def test_names_are_escaped(run):
    seen = run.statistics.tensors["hidden"]
    point = Point(HOSTILE, Scheme("int8"), "activation", (Reader(HOSTILE, 0),))
    plan = Plan("onnxruntime", (point,), float_nodes=((HOSTILE, HOSTILE),))
    reference = run.evaluation.rows[0]
    evaluation = Evaluation((reference,), HOSTILE, 1, HOSTILE, run.evaluation.environment, (HOSTILE,))
    for item in (Statistics({HOSTILE: seen}, 1), plan, evaluation):
        html = item._repr_html_()
        assert HOSTILE in said(html)
        assert not shown(html).findall(".//script")
        assert not shown(html).findall(".//img")


@pytest.mark.parametrize("part", ["run", "evaluation", "plan", "statistics"])
def test_text_has_the_colour_of_the_page_in_light_and_dark(run, part):
    parts = {
        "run": run, "evaluation": run.evaluation, "statistics": run.statistics, "plan": run.quantized["tensorrt"].plan,
    }  # fmt: skip
    html = parts[part]._repr_html_()
    assert not re.findall(r"[;\"]color:(?!inherit)", html)
    assert not re.findall(r"background(?:-color)?:(?!none)", html)
    assert "<style" not in html  # pages that show notebooks take style sheets away


def test_a_long_table_is_cut_and_says_so():
    html = fragment("many", small_table(("name",), [(str(index),) for index in range(MOST_ROWS + 3)]))
    assert len(shown(html).findall(".//tbody/tr")) == MOST_ROWS
    assert "and 3 more" in said(html)
