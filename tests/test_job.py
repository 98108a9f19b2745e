from typing import Any

import numpy as np
import pytest

from quantlab.errors import DataError, ModelError, PlanError
from quantlab.graph.save import to_bytes
from quantlab.job import Inputs, Job, open_job
from quantlab.recipe import Recipe
from tests.commands.broken import fixed_batch
from tests.models import model_from_text, noise
from tests.runs import classifier, images, labels


def job(data: object = None, *, model: object = None, eval_data: object = None, **settings: Any) -> Job:
    recipe = Recipe(**{"threads": 1, "samples": 16, **settings})
    given = classifier() if model is None else model
    return open_job(recipe, Inputs(given, images() if data is None else data, eval_data))


def test_the_first_note_says_which_samples_calibrate_and_which_judge():
    opened = job()
    assert (opened.calibration.size, opened.evaluation.size) == (16, 8)
    assert opened.notes[0].startswith("Calibrated on the first 16 samples")
    assert opened.warnings == ()


def test_preprocessing_that_arrays_do_not_go_through_is_noted():
    note = "preprocessing is for image files; these samples are fed as they are."
    assert any(note in each for each in job(preprocess={"preset": "imagenet"}).notes)
    assert not any(note in each for each in job().notes)


def test_every_target_has_a_plan_and_their_tensors_are_observed_together():
    opened = job(targets=("onnxruntime", "tensorrt"))
    assert set(opened.plans) == {"onnxruntime", "tensorrt"}
    assert set(opened.observed) == {name for plan in opened.plans.values() for name in plan.observed}
    assert len(opened.observed) == len(set(opened.observed))


def test_the_model_that_was_given_stays_as_it_was():
    model = classifier()
    before = to_bytes(model)
    job(model=model)
    assert to_bytes(model) == before


def test_fewer_samples_judge_where_that_is_asked_for():
    opened = job(eval_samples=3)
    assert opened.evaluation.size == 3
    assert "at most the first 3" in opened.notes[0]


def test_a_fixed_batch_takes_whole_batches_and_says_so():
    opened = job(images(23), model=fixed_batch(), samples=9)
    assert [batch.size for batch in opened.calibration] == [4, 4]
    assert [batch.size for batch in opened.evaluation] == [4, 4, 4, 2]
    assert "batch is fixed to 4: calibration samples that do not fill one are left out" in opened.notes[0]


@pytest.mark.parametrize(("samples", "count"), [(3, 24), (24, 3)])
def test_samples_that_do_not_fill_a_fixed_batch_are_refused(samples, count):
    with pytest.raises(DataError, match="3 samples do not fill the model's fixed batch of 4; give more samples"):
        job(images(count), model=fixed_batch(), samples=samples)


def test_evaluation_data_are_looked_at_before_the_first_pass():
    broken = images()
    broken[1] = np.nan
    with pytest.raises(DataError, match="sample 1 holds NaN"):
        job(eval_data=broken)


def test_an_unknown_output_is_told_before_the_first_pass():
    with pytest.raises(ModelError, match="no output 'logits'; it has scores"):
        job(output="logits")


def test_an_unknown_node_to_keep_float_is_told():
    with pytest.raises(PlanError, match="'head' matches no node"):
        job(keep_float=("head",))


def test_random_data_and_data_without_content_are_warned_of():
    assert any("RANDOM" in warning for warning in job("random").warnings)
    assert any("every value is 1" in warning for warning in job(np.ones((24, 3, 8, 8), np.float32)).warnings)


def test_a_model_in_which_nothing_is_quantized_is_warned_of_with_the_reason():
    (warning,) = job(keep_float=("*",)).warnings
    assert warning == (
        "target onnxruntime: nothing is quantized in this model; mostly for this reason: Kept float on request (*)."
    )


def test_the_reason_is_that_of_the_work_not_of_what_only_moves_values():
    text = """
    <ir_version: 10, opset_import: ["": 17]>
    steps (float[N, 3, 8, 8] image, float[1, 32, 8] w, float[1, 32, 8] r, int64[3] sizes) => (float[24, N, 1, 8] y) {
      [fold] a = Reshape(image, sizes)
      [turn] b = Transpose<perm = [1, 0, 2]>(a)
      [lstm] c = LSTM<hidden_size = 8>(b, w, r)
      [back] y = Transpose<perm = [0, 2, 1, 3]>(c)
    }
    """
    weights = {"w": noise(1, 32, 8), "r": noise(1, 32, 8), "sizes": np.array([-1, 24, 8], np.int64)}
    (warning,) = job(model=model_from_text(text, weights)).warnings
    assert "mostly for this reason: ONNX Runtime has no integer kernel for LSTM." in warning


def test_half_precision_is_the_reason_where_it_is():
    text = """
    <ir_version: 10, opset_import: ["": 18]>
    half (float16[batch, 3, 8, 8] image, float16[32, 3, 3, 3] w) => (float16[batch, 32, 6, 6] y)
    { [conv] y = Conv (image, w) }
    """
    model = model_from_text(text, {"w": noise(32, 3, 3, 3).astype(np.float16)})
    (warning,) = job(model=model).warnings
    assert "its weights are float16: export it in float32" in warning


def test_a_model_without_any_operator_to_quantize_says_so():
    model = model_from_text(
        '<ir_version: 10, opset_import: ["": 18]> g (float[N, 3, 8, 8] x) => (float[N, 3, 8, 8] y) { y = Relu (x) }', {}
    )
    (warning,) = job(model=model).warnings
    assert "nothing is quantized in this model" in warning


def test_the_fingerprint_is_of_samples_and_tensors_not_of_what_is_decided_later():
    assert job().fingerprint() == job(calibrator="minmax", eval_samples=2, batch_size=3, top_k=2).fingerprint()
    assert job().fingerprint() != job(samples=8).fingerprint()
    assert job().fingerprint() != job(targets=("tensorrt",)).fingerprint()


def test_labels_play_no_part_in_the_fingerprint():
    assert job((images(), labels())).fingerprint() == job((images(), labels() * 0)).fingerprint()
