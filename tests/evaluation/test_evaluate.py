"""Models side by side: the numbers are those of a direct computation, and nothing is measured that means nothing."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

import numpy as np
import pytest

from quantlab.data.batch import Batches
from quantlab.engines import Engine, OnnxRuntime
from quantlab.errors import DataError, EngineError, RecipeError
from quantlab.evaluation import Evaluation, EvaluationSettings, Latency, LatencySettings, evaluate, paired_drop
from quantlab.graph.model import Model
from quantlab.progress import Advance
from tests.engines.fake import FakeEngine
from tests.engines.models import model_from_text
from tests.evaluation.samples import batches_of, classifier, quantized_classifier, samples

QUICK = EvaluationSettings(
    latency_batch_sizes=(1, 4), latency=LatencySettings(runs=4, warmup=0, seconds=0.1), has_memory=False
)
UNTIMED = EvaluationSettings(latency_batch_sizes=(), has_memory=False)


def logits_of(model: Model, batches: Batches) -> np.ndarray:
    with FakeEngine().open(model) as session:
        return np.concatenate([session.run(batch.feeds)["logits"] for batch in batches])


def labels(count: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 3, count)


def compare(
    batches: Batches, settings: EvaluationSettings = UNTIMED, other: FakeEngine | OnnxRuntime | None = None
) -> Evaluation:
    models = {"fp32": classifier(), "int8": quantized_classifier(0.5)}
    return evaluate(models, {"fp32": FakeEngine(), "int8": other or FakeEngine()}, batches, settings=settings)


def test_the_numbers_are_those_of_a_direct_computation():
    truth = labels(50)
    batches = samples(50, classifier(), labels=truth)
    result = compare(batches)
    expected, found = (logits_of(model, batches) for model in (classifier(), quantized_classifier(0.5)))
    row = result.row("int8")
    assert result.samples == result.labelled == 50
    assert row.correct is not None
    np.testing.assert_array_equal(row.correct, found.argmax(axis=1) == truth)
    assert row.accuracies[0].correct == np.count_nonzero(found.argmax(axis=1) == truth)
    assert row.agreement is not None
    assert row.agreement.agreeing == np.count_nonzero(found.argmax(axis=1) == expected.argmax(axis=1))
    assert row.sqnr is not None
    noise = expected.astype(np.float64) - found
    assert row.sqnr.db == pytest.approx(10 * np.log10((expected.astype(np.float64) ** 2).sum() / (noise**2).sum()))
    assert row.drop == paired_drop(expected.argmax(axis=1) == truth, row.correct)
    assert result.drop_between("fp32", "int8") == row.drop


@pytest.mark.parametrize("batch_size", [1, 3, 50])
def test_the_batch_size_changes_nothing(batch_size: int):
    whole = compare(samples(50, classifier(), labels=labels(50), batch_size=7))
    assert whole.same_as(compare(samples(50, classifier(), labels=labels(50), batch_size=batch_size)))


def test_without_labels_agreement_and_sqnr_remain():
    result = compare(samples(20, classifier()))
    row = result.row("int8")
    assert result.labelled == 0
    assert (row.correct, row.accuracies, row.drop) == (None, (), None)
    assert row.agreement is not None
    assert row.sqnr is not None
    assert result.drop_between("fp32", "int8") is None


def test_the_reference_is_compared_with_nothing():
    reference = compare(samples(20, classifier(), labels=labels(20))).reference
    assert (reference.drop, reference.agreement, reference.sqnr, reference.speedups) == (None, None, None, ())
    assert reference.accuracies[0].total == 20


def test_top_k_comes_after_top_1():
    settings = EvaluationSettings(top_k=2, latency_batch_sizes=(), has_memory=False)
    accuracies = compare(samples(30, classifier(), labels=labels(30)), settings).row("int8").accuracies
    assert [accuracy.top_k for accuracy in accuracies] == [1, 2]
    assert accuracies[0].correct < accuracies[1].correct


def test_timed_models_have_a_latency_per_batch_size_and_a_speedup():
    result = compare(samples(3, classifier()), QUICK)
    for row in result.rows:
        assert [latency.batch_size for latency in row.latencies] == [1, 4]
        assert row.latency_reason is None
    assert len(result.row("int8").speedups) == 2


def test_a_simulated_model_is_labelled_and_not_timed():
    result = compare(samples(3, classifier()), QUICK, OnnxRuntime(threads=1, optimization="none"))
    row = result.row("int8")
    assert row.is_simulated
    assert (row.latencies, row.speedups, row.memory) == ((), (), None)
    assert row.latency_reason is not None
    assert row.latency_reason.startswith("not measured")
    assert result.reference.latencies
    assert "int8 (simulated)" in str(result)
    assert "latency not measured" in str(result)


def test_a_float_model_is_never_called_simulated():
    engine = FakeEngine(is_simulation=True)
    result = evaluate({"fp32": classifier()}, {"fp32": engine}, samples(3, classifier()), settings=QUICK)
    assert not result.reference.is_simulated
    assert result.reference.latencies == ()


def test_a_fixed_batch_size_is_filled_up_and_the_filling_not_counted():
    truth = labels(10)
    batches = samples(10, classifier(), labels=truth, batch_size=7)
    fixed = evaluate({"m": classifier("4")}, {"m": FakeEngine()}, batches, settings=QUICK)
    free = evaluate({"m": classifier()}, {"m": FakeEngine()}, batches, settings=UNTIMED)
    assert fixed.reference.correct is not None
    assert free.reference.correct is not None
    np.testing.assert_array_equal(fixed.reference.correct, free.reference.correct)
    assert [latency.batch_size for latency in fixed.reference.latencies] == [4]
    assert any("batch 4 only" in note for note in fixed.notes)


def test_models_fixed_to_different_batch_sizes_are_not_timed():
    models = {"a": classifier("2"), "b": classifier("4")}
    result = evaluate(models, dict.fromkeys(models, FakeEngine()), samples(5, classifier()), settings=QUICK)
    assert all(row.latency_reason == "not measured" for row in result.rows)
    assert any("different batch sizes, [2, 4]" in note for note in result.notes)
    assert result.row("b").sqnr is not None
    assert result.row("b").sqnr.is_identical  # type: ignore[union-attr]


def test_peak_memory_is_measured_where_the_engine_can_be_opened_elsewhere():
    settings = EvaluationSettings(latency_batch_sizes=(2,), latency=QUICK.latency)
    models = {"a": classifier(), "b": classifier()}
    engines: dict[str, Engine] = {"a": OnnxRuntime(threads=1), "b": FakeEngine()}
    result = evaluate(models, engines, samples(4, classifier()), settings=settings)
    memory = result.row("a").memory
    assert memory is not None
    assert memory.batch_size == 2
    assert result.row("b").memory is None
    assert any(note.startswith("b: peak memory not measured") for note in result.notes)
    assert any("different engine settings" in note for note in result.notes)


def test_latencies_of_a_busy_machine_come_with_a_note(monkeypatch: pytest.MonkeyPatch):
    for is_busy in (True, False):
        monkeypatch.setattr(Latency, "is_unsteady", is_busy)
        notes = compare(samples(3, classifier()), QUICK).notes
        assert any("the machine was busy" in note for note in notes) == is_busy


def test_pixels_agree_one_by_one():
    model = model_from_text("pixels (float[N, 3, 2, 2] x) => (float[N, 3, 2, 2] y) { y = Abs(x) }")
    other = model_from_text("pixels (float[N, 3, 2, 2] x) => (float[N, 3, 2, 2] y) { y = Neg(x) }")
    x = np.ones((5, 3, 2, 2), np.float32)
    x[:, 1] = 2
    batches = batches_of({"x": x}, model, labels=np.zeros(5, np.int64))
    result = evaluate({"a": model, "b": other}, {"a": FakeEngine(), "b": FakeEngine()}, batches, settings=UNTIMED)
    agreement = result.row("b").agreement
    assert agreement is not None
    assert (agreement.agreeing, agreement.total, agreement.unit) == (0, 20, "position")
    assert result.labelled == 0


def test_progress_counts_samples_then_turns_then_models():
    seen: list[tuple[str, int | None, list[int]]] = []

    @contextlib.contextmanager
    def noting(label: str, total: int | None) -> Iterator[Advance]:
        steps: list[int] = []
        seen.append((label, total, steps))
        yield steps.append

    settings = EvaluationSettings(latency=LatencySettings(runs=16, warmup=0), has_memory=True)
    evaluate({"a": classifier()}, {"a": FakeEngine()}, samples(10, classifier()), settings=settings, progress=noting)
    assert seen == [("evaluating", 10, [7, 3]), ("timing", 4, [1, 1, 1, 1]), ("measuring memory", 1, [1])]


def test_nan_names_the_model():
    model = model_from_text(
        """
        broken (float[N, 4] x) => (float[N, 4] logits)
        <float zero = {0}> {
          big = Mul(x, x)
          logits = Mul(big, zero)
        }
        """
    )
    x = np.full((3, 4), 1e30, np.float32)
    engine = OnnxRuntime(threads=1)
    with pytest.raises(EngineError, match="broken: output 'logits' is NaN for sample 0"):
        evaluate({"broken": model}, {"broken": engine}, batches_of({"x": x}, model), settings=UNTIMED)


@pytest.mark.parametrize(
    ("models", "engines", "error", "message"),
    [
        ({}, {}, RecipeError, "no model"),
        ({"a": classifier()}, {"b": FakeEngine()}, RecipeError, "'a' has no engine"),
        (
            {"a": classifier(), "b": model_from_text("b (float[N, 4] x) => (float[N, 4] y) { y = Abs(x) }")},
            {"a": FakeEngine(), "b": FakeEngine()},
            EngineError,
            "shape",
        ),
    ],
    ids=["no model", "no engine", "other shapes"],
)
def test_what_cannot_be_compared_is_refused(
    models: dict[str, Model], engines: dict[str, FakeEngine], error: type[Exception], message: str
):
    with pytest.raises(error, match=message):
        evaluate(models, engines, samples(3, classifier()), settings=UNTIMED)


def test_no_samples_are_refused():
    with pytest.raises(DataError, match="not a single sample"):
        evaluate({"a": classifier()}, {"a": FakeEngine()}, samples(3, classifier()).beyond(3), settings=UNTIMED)


@pytest.mark.parametrize("wrong", [{"top_k": 0}, {"latency_batch_sizes": (1, 0)}])
def test_settings_out_of_limits_are_refused(wrong: dict[str, int]):
    with pytest.raises(RecipeError, match="evaluation"):
        EvaluationSettings(**wrong)  # type: ignore[arg-type]


def test_an_evaluation_prints_a_table_and_becomes_json():
    result = compare(samples(30, classifier(), labels=labels(30)), QUICK)
    text = str(result)
    assert "made up: 30 samples, 30 labelled, output 'logits'" in text
    assert "batch 4: median" in text
    data = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert [row["name"] for row in data["rows"]] == ["fp32", "int8"]
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(data["rows"][1]["correct"]), np.uint8))[:30]
    np.testing.assert_array_equal(bits.astype(bool), result.row("int8").correct)


def test_an_unknown_row_is_refused():
    with pytest.raises(DataError, match="no model 'int4'; there are fp32, int8"):
        compare(samples(3, classifier())).row("int4")
