"""What several models answer for one sample."""

import math

import numpy as np
import pytest

from quantlab.data.batch import Batch
from quantlab.engines.onnxruntime import OnnxRuntime
from quantlab.errors import DataError, EngineError
from quantlab.graph.model import Model
from quantlab.serve.models import OpenModel
from quantlab.serve.trial import Answer, probabilities_of, top_classes, try_models
from tests.models import model_from_text, noise, two_convs
from tests.runs import classifier, images


def opened(model: Model) -> OpenModel:
    return OpenModel(OnnxRuntime(threads=1).open(model), is_simulated=False, threads="1")


def answer(probabilities: list[float] | None) -> Answer:
    found = None if probabilities is None else np.array(probabilities)
    return Answer(found, None, (1, 3), math.inf, 1.0, None, is_simulated=False)


def test_scores_become_probabilities_and_probabilities_stay():
    scores = np.array([[1.0, 3.0, 2.0]], np.float32)
    found = probabilities_of(scores)
    assert found is not None
    np.testing.assert_allclose(found, np.exp([1.0, 3.0, 2.0]) / np.exp([1.0, 3.0, 2.0]).sum(), rtol=1e-12)
    np.testing.assert_array_equal(probabilities_of(np.array([[0.25, 0.75]], np.float32)), [0.25, 0.75])


def test_scores_as_large_as_float32_holds_do_not_overflow():
    np.testing.assert_array_equal(probabilities_of(np.array([[3e38, -3e38]], np.float32)), [1.0, 0.0])


@pytest.mark.parametrize("shape", [(1,), (1, 1), (1, 4, 5, 5), (1, 6, 3)])
def test_what_holds_no_classes_of_one_sample_has_no_probabilities(shape):
    assert probabilities_of(np.ones(shape, np.float32)) is None


def test_the_top_classes_of_all_models_are_shown_in_the_order_of_the_first():
    answers = {"fp32": answer([0.1, 0.6, 0.3]), "other": answer([0.7, 0.2, 0.1])}
    assert top_classes(answers, 1) == [1, 0]
    assert top_classes({"fp32": answer(None)}, 5) == []


def test_equal_models_agree_and_are_timed_in_turns():
    models = {"fp32": opened(classifier()), "again": opened(classifier())}
    found = try_models(models, Batch({"image": images(1)}))
    assert found["fp32"].top == found["again"].top
    assert found["again"].sqnr_db == math.inf
    latencies = [each.latency for each in found.values()]
    assert all(latency is not None and latency.batch_size == 1 for latency in latencies)


def test_a_model_of_a_fixed_batch_gets_the_sample_as_often_as_it_needs():
    text = """
    <ir_version: 10, opset_import: ["": 18]>
    fixed (float[4, 3] x, float[3, 5] w) => (float[4, 5] y) { y = MatMul (x, w) }
    """
    weight, sample = noise(3, 5), noise(1, 3, seed=3)
    (found,) = try_models({"fp32": opened(model_from_text(text, {"w": weight}))}, Batch({"x": sample})).values()
    assert found.shape == (1, 5)
    assert found.top == int((sample @ weight).argmax())


def test_an_output_of_pixels_is_told_by_how_far_it_agrees():
    (found,) = try_models({"fp32": opened(two_convs())}, Batch({"image": images(1)})).values()
    assert (found.top, found.agreeing, found.shape) == (None, 1.0, (1, 4, 8, 8))


def test_what_does_not_fit_is_refused():
    models = {"fp32": opened(classifier())}
    with pytest.raises(DataError, match="data have shape"):
        try_models(models, Batch({"image": noise(1, 3, 9, 9)}))
    with pytest.raises(EngineError, match="no output 'nothing'"):
        try_models(models, Batch({"image": images(1)}), output="nothing")
