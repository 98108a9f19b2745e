"""Figures show what was measured, and matplotlib is asked for by name where it is missing."""

import sys

import matplotlib as mpl
import numpy as np
import pytest

import quantlab
from quantlab import plots
from quantlab.errors import EngineMissing, PlanError
from quantlab.run import Run
from quantlab.stats.tensor import TensorStatistics
from tests.runs import UNTIMED, classifier, images, labels


@pytest.fixture(scope="module", autouse=True)
def _no_window():
    mpl.use("Agg")
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


@pytest.fixture(scope="module")
def run() -> Run:
    settings = {**UNTIMED, "latency_batches": (1,), "targets": ("onnxruntime", "tensorrt")}
    return quantlab.ptq(classifier(), (images(), labels()), **settings)


def legend(axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


@pytest.mark.parametrize("target", ["onnxruntime", "tensorrt"])
def test_a_histogram_has_every_value_and_the_range_of_every_calibrator(run, target):
    axes = run.plot_histogram("hidden", target=target)
    seen = run.statistics.tensors["hidden"]
    assert axes.patches[0].get_data().values.sum() == seen.count - seen.zeros
    assert [entry.split()[0] for entry in legend(axes)[1:]] == ["minmax", "percentile", "mse", "entropy"]
    high = float(run.quantized[target].encodings["hidden"].range.high)
    drawn = [line.get_xdata()[0] for line in axes.lines]
    assert any(value == pytest.approx(high, rel=1e-5) for value in drawn)  # told with six digits
    assert (min(drawn) < 0) == (target == "tensorrt")  # symmetric ranges reach below 0, those behind a Relu do not


def test_a_tensor_without_a_range_of_its_own_is_refused_by_name(run):
    with pytest.raises(PlanError, match=r"chooses no range for a tensor 'nowhere'; \d have one, such as 'hidden'"):
        run.plot_histogram("nowhere")


def test_an_all_zero_tensor_has_an_empty_histogram():
    nothing = np.zeros(0, np.int64)
    seen = TensorStatistics(0.0, 0.0, 5, 5, None, nothing, nothing)
    assert "100.0% exact zeros" in plots.plot_histogram(seen, {}, title="dead").get_title()


def test_sensitivity_has_a_bar_per_node_and_a_line_for_all(run):
    axes = run.plot_sensitivity(samples=2)
    nodes = run.sensitivity(samples=2).nodes
    assert [label.get_text().split()[0] for label in axes.get_yticklabels()] == [row.node for row in nodes]
    ends = [bar.get_x() + bar.get_width() for bar in axes.patches]
    assert ends == pytest.approx([-row.sqnr.db for row in nodes])
    assert legend(axes)[0].startswith(f"all {len(nodes)} at once")


def test_of_many_nodes_the_costliest_are_drawn(run):
    axes = plots.plot_sensitivity(run.sensitivity(samples=2), most=1)
    assert len(axes.patches) == 1
    assert "more cost less" in axes.get_title()


def test_the_tradeoff_has_a_dot_per_timed_model_and_a_line_for_one_that_was_not(run):
    axes = run.plot_tradeoff()
    assert [entry.split(":")[0] for entry in sorted(legend(axes))] == ["fp16", "fp32", "onnxruntime", "tensorrt"]
    assert "tensorrt: not timed" in legend(axes)
    assert "accuracy" in axes.get_ylabel()
    dots = [container.lines[0] for container in axes.containers]
    assert [dot.get_xdata()[0] for dot in dots] == [
        row.latencies[0].median_ms for row in run.evaluation.rows if row.latencies
    ]


def test_without_labels_the_tradeoff_shows_agreement_and_says_so():
    run = quantlab.ptq(classifier(), images(), **UNTIMED)
    axes = run.plot_tradeoff()
    assert axes.get_ylabel() == "answers that agree with fp32, %"
    assert axes.get_xlabel() == "nothing was timed"


def test_a_plot_goes_where_it_is_told(run):
    import matplotlib.pyplot as plt

    _, axes = plt.subplots()
    assert run.plot_tradeoff(axes=axes) is axes


def test_without_matplotlib_the_message_says_what_to_install(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    for draw in (run.plot_tradeoff, lambda: run.plot_histogram("hidden"), lambda: run.plot_sensitivity(samples=1)):
        with pytest.raises(EngineMissing, match=r"pip install 'quantlab\[notebook\]'"):
            draw()
