"""Models that exist already, FP32 or INT8, evaluated or compared layer by layer on samples that a user names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from quantlab.data.batch import Batch, Batches, InputSpec, Source
from quantlab.data.open import open_source
from quantlab.data.preprocess import Preprocess
from quantlab.engines.engine import Engine
from quantlab.engines.onnxruntime import OnnxRuntime
from quantlab.errors import ModelError, RecipeError
from quantlab.evaluation import Evaluation, EvaluationSettings
from quantlab.evaluation import evaluate as evaluate_on
from quantlab.evaluation.layers import LayerDiff, compare_layers
from quantlab.graph.model import Model
from quantlab.opening import open_model
from quantlab.progress import Advance, Progress, silent
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
        ModelError: a model cannot be read, or its inputs are not those of the first.
        DataError: the samples cannot be read, or do not fit the models.
    """
    if not models:
        raise RecipeError("evaluate: name at least one model")
    opened = _by_name([open_model(model) for model in models])
    first, *others = opened.values()
    for other in others:
        _check_inputs(first, other)
    engine = engine or OnnxRuntime()
    engines = {name: engine_for(model, engine) for name, model in opened.items()}
    batches = (samples or Samples()).batches_for(first)
    return evaluate_on(opened, engines, batches, settings=settings, progress=progress)


def diff(
    first: object,
    second: object,
    samples: Samples | None = None,
    *,
    engine: OnnxRuntime | None = None,
    progress: Progress = silent,
) -> LayerDiff:
    """Return how far every tensor of the second model is from that of the first, worst first.

    Both are computed step by step, so what is seen is quantization, not the runtime.

    Args:
        first: the model taken as right: a path, bytes, or a model.
        second: the other.
        samples: what to compare on; None for the bundled digits.
        engine: what runs them; None for ONNX Runtime on all cores.
        progress: how the pass over the samples shows itself.

    Raises:
        ModelError: a model cannot be read, or the two have different inputs.
        DataError: the samples cannot be read, or do not fit the models.
        EngineError: the models have no tensor in common, or are refused.
    """
    one, other = open_model(first), open_model(second)
    _check_inputs(one, other)
    batches = (samples or Samples()).batches_for(one)
    with progress("comparing", batches.size) as advance:
        watched = replace(batches, source=_Watched(batches.source, advance))
        return compare_layers(one, other, _simulating(engine or OnnxRuntime()), watched)


def engine_for(model: Model, engine: OnnxRuntime) -> Engine:
    """Return what judges a model here: the engine itself, or its simulation for a model of another runtime."""
    target = model.ir_model.metadata_props.get(TARGET_KEY, engine.name)
    return engine if target == engine.name else _simulating(engine)


@dataclass(frozen=True, slots=True)
class _Watched:
    """A source that tells how many samples were read."""

    source: Source
    advance: Advance

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def size(self) -> int | None:
        return self.source.size

    def read(self, start: int, stop: int | None, batch_size: int) -> Iterator[Batch]:
        for batch in self.source.read(start, stop, batch_size):
            yield batch
            self.advance(batch.size)


def _simulating(engine: OnnxRuntime) -> OnnxRuntime:
    return replace(engine, optimization="none")


def _check_inputs(first: Model, other: Model) -> None:
    """Check that two models take the same samples; batch size and the order of the inputs play no part."""
    ours, theirs = ({spec.name: spec for spec in model.inputs} for model in (first, other))
    if ours.keys() != theirs.keys() or not all(_agree(spec, theirs[name]) for name, spec in ours.items()):
        listed = [", ".join(map(str, model.inputs)) for model in (other, first)]
        raise ModelError(
            f"{other.name}: its inputs ({listed[0]}) are not those of {first.name} ({listed[1]}), so the two cannot "
            "see the same samples; name models of one origin"
        )


def _agree(one: InputSpec, other: InputSpec) -> bool:
    if one.dtype != other.dtype:
        return False
    if one.shape is None or other.shape is None:
        return True
    axes = list(zip(one.shape[1:], other.shape[1:], strict=False))
    return len(one.shape) == len(other.shape) and all(
        a == b for a, b in axes if isinstance(a, int) and isinstance(b, int)
    )


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
