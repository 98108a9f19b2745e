"""Half precision stands in an evaluation as a simulation, and what overflows is counted, not refused."""

import numpy as np
import pytest

from quantlab.data.batch import Batches
from quantlab.engines import Engine, OnnxRuntime
from quantlab.errors import EngineError
from quantlab.evaluation import Evaluation, EvaluationSettings, evaluate
from quantlab.evaluation.answers import NO_ANSWER
from quantlab.evaluation.evaluation import HALF_ENGINE
from quantlab.graph.model import Model
from quantlab.precision import HalfPrecision, to_half
from tests.engines.models import model_from_text
from tests.evaluation.samples import WEIGHT, classifier, samples

UNTIMED = EvaluationSettings(top_k=3, latency_batch_sizes=(), has_memory=False)
FACTOR = 40_000.0
LARGEST = 65504.0


def overflowing() -> Model:
    """The classifier with x·40000 − x·40000 added to x: nothing in float32; NaN in half where the product overflows."""
    return model_from_text(
        f"""
        overflowing (float[N, 4] x) => (float[N, 3] logits)
        <float[4, 3] w = {WEIGHT}, float k = {{{FACTOR}}}> {{
          [far] h = Mul(x, k)
          [back] d = Sub(h, h)
          [sum] s = Add(x, d)
          [product] logits = MatMul(s, w)
        }}
        """
    )


def in_both(model: Model, batches: Batches) -> Evaluation:
    models = {"fp32": model, "fp16": to_half(model)}
    engines: dict[str, Engine] = {"fp32": OnnxRuntime(threads=1), "fp16": HalfPrecision(threads=1)}
    return evaluate(models, engines, batches, settings=UNTIMED)


def inputs_of(batches: Batches) -> np.ndarray:
    return np.concatenate([batch.feeds["x"] for batch in batches])


def test_half_precision_is_marked_simulated_and_its_weights_take_half_the_bytes():
    found = in_both(classifier(), samples(20, classifier(), labels=np.zeros(20, np.int64)))
    row = found.row("fp16")
    assert row.is_simulated
    assert (row.latencies, row.memory, row.nan_samples) == ((), None, 0)
    assert row.size.weight_bytes == found.reference.size.weight_bytes / 2
    assert row.engine["engine"] == HalfPrecision().name == HALF_ENGINE
    # Eighths below 4 and sums of four of their products with eighths: float16 holds all of them exactly.
    assert row.sqnr is not None
    assert row.sqnr.is_identical


def test_outputs_that_are_nan_in_half_precision_count_as_wrong_whatever_the_label():
    truth = np.arange(40, dtype=np.int64) % 3
    batches = samples(40, classifier(), labels=truth)
    # Every x is an eighth: 1.625 · 40000 fits, 1.75 · 40000 does not.
    fails = (np.abs(inputs_of(batches)) * FACTOR > LARGEST).any(axis=1)
    assert 0 < fails.sum() < 40
    found = in_both(overflowing(), batches)
    row = found.row("fp16")
    assert row.nan_samples == fails.sum()
    assert row.correct is not None
    assert found.reference.correct is not None
    np.testing.assert_array_equal(row.correct, found.reference.correct & ~fails)
    assert row.accuracies[1].correct == 40 - fails.sum()  # of three classes, the third place included
    assert row.agreement is not None
    assert row.agreement.agreeing == 40 - fails.sum()
    assert row.flips is not None
    assert {after for _, after in row.flips.pairs} == {NO_ANSWER}
    assert row.to_json()["sqnr"]["sqnr_db"] is None
    assert row.to_json()["nan_samples"] == fails.sum()
    assert f"fp16: the output is NaN for {fails.sum()} of 40 samples, which count as wrong." in found.notes


def test_a_reference_that_is_nan_is_refused_in_half_precision_too():
    batches = samples(40, classifier())
    with pytest.raises(EngineError, match=r"half: output 'logits' is NaN for sample \d+"):
        evaluate({"half": to_half(overflowing())}, {"half": HalfPrecision(threads=1)}, batches, settings=UNTIMED)
