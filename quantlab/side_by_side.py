"""Models that exist already, FP32 or INT8, evaluated or compared layer by layer on samples that a user names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from quantlab.data.batch import Batches
from quantlab.data.open import open_source
from quantlab.data.preprocess import Preprocess
from quantlab.engines.engine import Engine
from quantlab.engines.onnxruntime import OnnxRuntime
from quantlab.errors import RecipeError
from quantlab.evaluation import Evaluation, EvaluationSettings
from quantlab.evaluation import evaluate as evaluate_on
from quantlab.evaluation.layers import LayerDiff, compare_layers
from quantlab.graph.model import Model
from quantlab.opening import open_model
from quantlab.progress import Progress, silent
from quantlab.qdq.insert import TARGET_KEY


@dataclass(frozen=True, slots=True)
class Samples:
    """The samples to judge models on.

    Attributes:
        data: as `--data` of the command line, or a Python object with samples.
        preprocess: settings of `Preprocess` by name.
        limit: the most samples to use, or None for all.
        batch_size: samples per batch.
        seed: of the stratified pick from image folders.
    """

    data: object = "digits:evaluation"
    preprocess: Mapping[str, Any] = field(default_factory=dict)
    limit: int | None = None
    batch_size: int = 8
    seed: int = 0

    def batches_for(self, model: Model) -> Batches:
        """Open the samples for a model's inputs."""
        preprocess = Preprocess.from_dict(self.preprocess) if self.preprocess else None
        source = open_source(self.data, model.inputs, preprocess=preprocess, seed=self.seed)
        return Batches(source, self.batch_size, stop=self.limit)


def evaluate(
    models: Sequence[object],
    samples: Samples | None = None,
    *,
    settings: EvaluationSettings | None = None,
    engine: OnnxRuntime | None = None,
    progress: Progress = silent,
) -> Evaluation:
    """Evaluate models side by side; the first is what the others are compared with.

    A model that was made for another runtime is computed step by step, marked simulated, and not timed.

    Args:
        models: paths of ONNX files, bytes, or models.
        samples: what to judge on; None for the bundled digits.
        settings: what to measure.
        engine: what runs them; None for ONNX Runtime on all cores.
        progress: how long steps show themselves.

    Raises:
        RecipeError: there is no model.
        QuantlabError: a model or the data cannot be read, or do not fit each other.
    """
    if not models:
        raise RecipeError("evaluate: name at least one model")
    opened = _by_name([open_model(model) for model in models])
    engine = engine or OnnxRuntime()
    engines = {name: engine_for(model, engine) for name, model in opened.items()}
    batches = (samples or Samples()).batches_for(next(iter(opened.values())))
    with progress("evaluating", batches.size) as advance:
        return evaluate_on(opened, engines, batches, settings=settings, on_progress=advance)


def diff(
    first: object, second: object, samples: Samples | None = None, *, engine: OnnxRuntime | None = None
) -> LayerDiff:
    """Return how far every tensor of the second model is from that of the first, worst first.

    Both are computed step by step, so what is seen is quantization, not the runtime.

    Args:
        first: the model taken as right: a path, bytes, or a model.
        second: the other.
        samples: what to compare on; None for the bundled digits.
        engine: what runs them; None for ONNX Runtime on all cores.
    """
    one, other = open_model(first), open_model(second)
    batches = (samples or Samples()).batches_for(one)
    return compare_layers(one, other, _simulating(engine or OnnxRuntime()), batches)


def engine_for(model: Model, engine: OnnxRuntime) -> Engine:
    """Return what judges a model here: the engine itself, or its simulation for a model of another runtime."""
    target = model.ir_model.metadata_props.get(TARGET_KEY, engine.name)
    return engine if target == engine.name else _simulating(engine)


def _simulating(engine: OnnxRuntime) -> OnnxRuntime:
    return OnnxRuntime(engine.threads, engine.providers, "none", engine.libraries)


def _by_name(models: Sequence[Model]) -> dict[str, Model]:
    """Return models by file name; by path where two files have one name."""
    names = [model.name for model in models]
    result: dict[str, Model] = {}
    for model, name in zip(models, names, strict=True):
        label = str(model.path or name) if names.count(name) > 1 else name
        while label in result:
            label += "'"
        result[label] = model
    return result
