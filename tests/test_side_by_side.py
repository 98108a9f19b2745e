import contextlib
import shutil
from collections.abc import Iterator

import numpy as np
import pytest

import quantlab
from quantlab.contenders import engine_for
from quantlab.engines.onnxruntime import OnnxRuntime
from quantlab.errors import ModelError, RecipeError
from quantlab.evaluation import Evaluation, EvaluationSettings
from quantlab.graph.model import Model
from quantlab.graph.save import save
from quantlab.progress import Advance
from quantlab.side_by_side import Samples, diff, evaluate
from tests.commands.broken import fixed_batch, two_inputs
from tests.models import model_from_text
from tests.runs import UNTIMED, classifier, images, labels

QUICK = EvaluationSettings(latency_batch_sizes=(), has_memory=False)
ENGINE = OnnxRuntime(threads=1)
LABELLED = Samples((images(), labels()))


def evaluate_pair(first: Model, second: Model) -> Evaluation:
    return evaluate([first, second], LABELLED, settings=QUICK, engine=ENGINE)


@pytest.fixture(scope="module")
def run() -> quantlab.Run:
    return quantlab.ptq(classifier(), images(), **UNTIMED, targets=("onnxruntime", "tensorrt"))


def test_models_are_compared_with_the_first(run: quantlab.Run):
    models = [run.model, run.quantized["onnxruntime"].model]
    evaluation = evaluate(models, LABELLED, settings=QUICK, engine=ENGINE)
    assert evaluation.samples == 24
    assert evaluation.labelled == 24
    first, second = evaluation.rows
    assert first.drop is None
    assert second.drop is not None
    assert second.agreement is not None


def test_a_model_of_another_runtime_is_simulated_and_not_timed(run: quantlab.Run):
    settings = EvaluationSettings(has_memory=False)
    evaluation = evaluate([run.model, run.quantized["tensorrt"].model], LABELLED, settings=settings, engine=ENGINE)
    assert [row.is_simulated for row in evaluation.rows] == [False, True]
    assert [len(row.latencies) for row in evaluation.rows] == [1, 0]
    assert engine_for(run.quantized["tensorrt"].model, ENGINE).is_simulation
    assert engine_for(run.quantized["onnxruntime"].model, ENGINE) is ENGINE


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path):
    save(classifier(), tmp_path / "net.onnx")
    (tmp_path / "other").mkdir()
    shutil.copy(tmp_path / "net.onnx", tmp_path / "other" / "net.onnx")
    paths = [str(tmp_path / "net.onnx"), str(tmp_path / "other" / "net.onnx")]
    evaluation = evaluate(paths, LABELLED, settings=QUICK, engine=ENGINE)
    assert [row.name for row in evaluation.rows] == paths
    twice = evaluate([paths[0], paths[0]], LABELLED, settings=QUICK, engine=ENGINE)
    assert [row.name for row in twice.rows] == [paths[0], f"{paths[0]}'"]


def test_no_model_is_nothing_to_evaluate():
    with pytest.raises(RecipeError, match="name at least one model"):
        evaluate([])


def test_only_models_that_take_the_same_samples_are_compared():
    for compare in (evaluate_pair, lambda first, second: diff(first, second, LABELLED)):
        with pytest.raises(ModelError, match=r"two_inputs: its inputs .* are not those of classifier"):
            compare(classifier(), two_inputs())


def test_a_fixed_batch_and_a_free_one_take_the_same_samples():
    free = fixed_batch().clone()
    image = free.graph.inputs[0]
    assert image.shape is not None
    image.shape = type(image.shape)(["batch", *image.shape[1:]])
    evaluation = evaluate([free, fixed_batch()], Samples(images()), settings=QUICK, engine=ENGINE)
    assert evaluation.rows[1].sqnr is not None
    assert evaluation.rows[1].sqnr.is_identical


def test_a_model_differs_from_itself_nowhere():
    difference = diff(classifier(), classifier(), LABELLED, engine=ENGINE)
    assert difference.samples == 24
    assert all(layer.sqnr.is_identical for layer in difference.layers)


def test_a_quantized_model_differs_where_it_is_quantized(run: quantlab.Run):
    difference = diff(run.model, run.quantized["onnxruntime"].model, LABELLED, engine=ENGINE)
    worst = difference.layers[0]
    assert not worst.sqnr.is_identical
    assert all(later.sqnr.db >= worst.sqnr.db for later in difference.layers)


def test_a_diff_shows_how_many_samples_it_has_seen():
    shown: list[tuple[str, int | None]] = []
    done: list[int] = []

    @contextlib.contextmanager
    def noting(label: str, total: int | None) -> Iterator[Advance]:
        shown.append((label, total))
        yield done.append

    diff(classifier(), classifier(), Samples(images(), limit=12), engine=ENGINE, progress=noting)
    assert shown == [("comparing", 12)]
    assert sum(done) >= 12


def test_the_samples_are_limited_and_kept_in_order():
    batches = Samples(images(), limit=5, batch_size=2).batches_for(classifier())
    assert [batch.size for batch in batches] == [2, 2, 1]
    np.testing.assert_array_equal(next(iter(batches)).feeds["image"], images()[:2])


def test_models_that_differ_in_the_type_of_an_input_only_are_told_to_be_exported_with_one():
    def relu(dtype: str) -> Model:
        text = f'<ir_version: 10, opset_import: ["": 18]> g ({dtype}[N, 4] x) => ({dtype}[N, 4] y) {{ y = Relu (x) }}'
        return model_from_text(text, {})

    with pytest.raises(ModelError, match="cannot see the same samples; export both with inputs of one type"):
        evaluate_pair(relu("float"), relu("float16"))
