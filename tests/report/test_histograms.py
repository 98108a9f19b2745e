import numpy as np
import pytest

import quantlab
from quantlab.calibrators import CALIBRATORS
from quantlab.report.histograms import BINS_SHOWN, histogram_of
from quantlab.stats.count import statistics_of
from tests.models import noise
from tests.runs import UNTIMED, classifier, images


@pytest.mark.parametrize("size", [1, 100, 5000])
def test_a_histogram_shown_counts_every_value_once(size):
    seen = statistics_of(noise(size))
    shown = histogram_of(seen)
    assert sum(shown["positive"]) + sum(shown["negative"]) + shown["zeros"] == shown["count"] == size
    assert max(len(shown["positive"]), len(shown["negative"])) <= BINS_SHOWN
    assert shown["width"] * BINS_SHOWN >= seen.absmax


def test_a_tensor_of_zeros_has_no_bins():
    shown = histogram_of(statistics_of(np.zeros(5, np.float32)))
    assert (shown["positive"], shown["negative"], shown["zeros"], shown["width"]) == ([], [], 5, 0.0)


@pytest.mark.parametrize("calibrator", ["minmax", "entropy"])
def test_the_ranges_of_a_report_are_those_that_each_calibrator_would_have_chosen(calibrator):
    run = quantlab.ptq(classifier(), images(), **UNTIMED, calibrator=calibrator)
    section = run.report.content["histograms"]
    assert section["calibrator"] == calibrator
    for name in CALIBRATORS:
        other = quantlab.ptq(classifier(), images(), **UNTIMED, calibrator=name)
        made = other.quantized["onnxruntime"].encodings
        for tensor, ranges in section["ranges"]["onnxruntime"].items():
            reached = made[tensor].range
            # Six digits are written.
            assert ranges[name] == pytest.approx([float(reached.low), float(reached.high)], rel=1e-5)
