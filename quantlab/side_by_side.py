"""Models that exist already, FP32 or INT8, evaluated or compared layer by layer on samples that a user names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from quantlab.contenders import fitted, open_contenders, ready_to_run, runner_for, simulating
from quantlab.data.batch import Batch, Batches, InputSpec, Source
from quantlab.data.open import first_shapes, open_source
from quantlab.engines.onnxruntime import OnnxRuntime
from quantlab.engines.tensorrt import RunSettings, TensorRT
from quantlab.errors import ModelError, RecipeError
from quantlab.evaluation import Evaluation, EvaluationSettings
from quantlab.evaluation import evaluate as evaluate_on
from quantlab.evaluation.differences import LayerDiff
from quantlab.evaluation.layers import compare_layers
from quantlab.evaluation.runtime_error import compare_runtime
from quantlab.graph.model import Model
from quantlab.opening import open_model, preprocess_for
from quantlab.progress import Advance, Progress, silent


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
        preprocess = preprocess_for(model, self.preprocess)
        source = open_source(self.data, model.inputs, preprocess=preprocess, seed=self.seed)
        return Batches(source, self.batch_size, stop=self.limit)


def evaluate(
    models: Sequence[object],
    samples: Samples | None = None,
    *,
    settings: EvaluationSettings | None = None,
    engine: OnnxRuntime | TensorRT | None = None,
    run: RunSettings | None = None,
    progress: Progress = silent,
) -> Evaluation:
    """Evaluate models side by side; the first is what the others are compared with.

    A model that was made for another runtime is computed step by step, marked simulated, and not timed. A TensorRT
    plan runs on TensorRT, whatever runs the others.

    Args:
        models: paths of ONNX files or TensorRT plans, bytes, models, names of torch models; or what
            `open_contenders` made of them, with rows in torch.
        samples: what to judge on; None for the bundled digits.
        settings: what to measure.
        engine: what runs the models; None for ONNX Runtime on all cores. TensorRT builds them first.
        run: how TensorRT runs plans.
        progress: how long steps show themselves.

    Raises:
        RecipeError: there is no model.
        ModelError: a model cannot be read, or its inputs are not those of the first.
        DataError: the samples cannot be read, or do not fit the models.
        EngineError, EngineMissing: TensorRT is asked for, and it or a GPU is missing, or it refuses a model.
    """
    if not models:
        raise RecipeError("evaluate: name at least one model")
    settings, samples = settings or EvaluationSettings(), samples or Samples()
    contenders = open_contenders(models, run)
    if run is not None and isinstance(engine, TensorRT):
        engine = replace(engine, run=run)
    elif run not in (None, RunSettings()) and all(each.engine is None for each in contenders):
        raise RecipeError(
            "CUDA graphs and the runtime cache are for TensorRT; name a plan, or choose the engine tensorrt"
        )
    first, *others = (each.model for each in contenders)
    for other in others:
        _check_inputs(first, other)
    batches = samples.batches_for(first)
    sizes = (samples.batch_size, *settings.latency_batch_sizes)
    seen = first_shapes(batches) if isinstance(engine, TensorRT) else None
    with ready_to_run(contenders, engine or OnnxRuntime(), batch_sizes=sizes, seen=seen, progress=progress) as engines:
        opened = {each.name: each.model for each in contenders}
        return evaluate_on(opened, engines, batches, settings=settings, progress=progress)


def diff(
    first: object,
    second: object,
    samples: Samples | None = None,
    *,
    runtime: str | None = None,
    engine: OnnxRuntime | None = None,
    progress: Progress = silent,
) -> LayerDiff:
    """Return how far every tensor of the second model is from that of the first, worst first.

    Both are computed step by step, so what is seen is quantization. What the runtime adds is told apart from that.

    Args:
        first: the model taken as right: a path, bytes, a model, or the name of a torch model.
        second: the other.
        samples: what to compare on; None for the bundled digits.
        runtime: what runs the second model too: a key of `RUNNERS`, or None for the one it was made for, where that
            runs here.
        engine: what computes step by step; None for ONNX Runtime on all cores.
        progress: how the pass over the samples shows itself.

    Raises:
        ModelError: a model cannot be read, or the two have different inputs.
        DataError: the samples cannot be read, or do not fit the models.
        EngineError: the models have no tensor in common, or are refused, or the runtime named does not run here.
        RecipeError: there is no such runtime.
    """
    one, other = open_model(first), open_model(second)
    _check_inputs(one, other)
    batches, engine = (samples or Samples()).batches_for(one), engine or OnnxRuntime()
    running, reason = runner_for(other, runtime, engine)
    with progress("comparing", batches.size) as advance:
        watched = replace(batches, source=_Watched(batches.source, advance))
        difference = compare_layers(one, other, simulating(engine), watched)
    if running is None:
        return replace(difference, runtime_reason=reason)
    if isinstance(running, TensorRT):
        running = fitted(running, other, (1, batches.batch_size), first_shapes(batches))
    with progress(f"running on {running.name}", 1):
        return replace(difference, runtime=compare_runtime(one, other, (simulating(engine), running), batches))


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


def _check_inputs(first: Model, other: Model) -> None:
    """Check that two models take the same samples; batch size and the order of the inputs play no part."""
    ours, theirs = ({spec.name: spec for spec in model.inputs} for model in (first, other))
    if ours.keys() != theirs.keys() or not all(_agree(spec, theirs[name]) for name, spec in ours.items()):
        twins = ours.keys() == theirs.keys() and all(
            _agree(replace(spec, dtype=theirs[name].dtype), theirs[name]) for name, spec in ours.items()
        )
        advice = "export both with inputs of one type" if twins else "name models of one origin"
        listed = [", ".join(map(str, model.inputs)) for model in (other, first)]
        raise ModelError(
            f"{other.name}: its inputs ({listed[0]}) are not those of {first.name} ({listed[1]}), so the two cannot "
            f"see the same samples; {advice}"
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
