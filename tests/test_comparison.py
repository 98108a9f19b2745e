import json
from typing import Any

import pytest

from quantlab.calibrators import CALIBRATORS
from quantlab.comparison import Comparison, compare
from quantlab.errors import RecipeError
from quantlab.job import Inputs, open_job
from quantlab.recipe import Recipe
from tests.runs import UNTIMED, classifier, images, labels


def compared(*, data: object = None, folder: Any = None, **settings: Any) -> Comparison:
    recipe = Recipe(**{**UNTIMED, "targets": ("onnxruntime", "tensorrt"), **settings})
    job = open_job(recipe, Inputs(classifier(), (images(), labels()) if data is None else data, None))
    return compare(job, folder=folder)


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return compared()


def test_every_target_has_a_row_per_calibrator_after_the_float_model(comparison):
    names = [row.name for row in comparison.evaluation.rows]
    assert names == [
        "fp32",
        "fp16",
        *(f"{target} {name}" for target in ("onnxruntime", "tensorrt") for name in CALIBRATORS),
    ]


def test_every_range_lies_within_that_of_minmax_up_to_a_step(comparison):
    assert comparison.ranges()
    for row in comparison.ranges():
        assert set(row.ranges) == set(CALIBRATORS)
        low, high = row.ranges["minmax"]
        step = (high - low) / 255
        for found in row.ranges.values():
            assert low - step <= found[0] <= found[1] <= high + step


def test_a_sentence_per_target_names_the_closest_calibrator(comparison):
    for target, sentence in zip(comparison.job.plans, comparison.sentences(), strict=True):
        rows = {name: comparison.evaluation.row(f"{target} {name}") for name in CALIBRATORS}
        best = max(rows, key=lambda name: rows[name].sqnr.db)
        assert sentence.startswith(f"{target}: {best} stays closest to fp32")
        assert "do not tell the calibrators apart" in sentence


def test_without_labels_the_sentences_speak_of_no_accuracy():
    for sentence in compared(data=images()).sentences():
        assert "accura" not in sentence


def test_a_target_that_quantizes_nothing_has_no_sentence_and_a_warning():
    found = compared(keep_float=("*",))
    assert found.sentences() == ()
    assert len(found.to_json()["warnings"]) == 2


def test_the_plain_values_are_json(comparison):
    content = json.loads(json.dumps(comparison.to_json(), allow_nan=False))
    assert len(content["ranges"]) == len(comparison.ranges())
    assert content["samples"].startswith("Calibrated on the first 16 samples")


def test_a_second_comparison_reads_no_calibration_sample_again(tmp_path):
    first = compared(folder=tmp_path, targets=("tensorrt",))
    second = compared(folder=tmp_path, targets=("tensorrt",))
    assert first.collected.note is None
    assert second.collected.note is not None
    assert {path.name for path in tmp_path.iterdir()} == {"stats.npz", "state.json"}


def test_an_unknown_calibrator_is_refused():
    job = open_job(Recipe(**UNTIMED), Inputs(classifier(), images(), None))
    with pytest.raises(RecipeError, match="did you mean 'entropy'"):
        compare(job, ["entrpy"])
