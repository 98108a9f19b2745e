"""What users name to be judged → models of distinct names, and the engine that runs each.

.onnx on ONNX Runtime    as it is or, where it was made for another runtime, its simulation
.onnx on TensorRT        built first, for the batches it will see
float models in torch    besides, where asked for: a torch module itself, an ONNX graph as a `GraphModule`
.plan                    TensorRT, whatever runs the others
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from quantlab.engines.engine import Engine
from quantlab.engines.onnxruntime import OnnxRuntime
from quantlab.engines.tensorrt import RUNTIMES, BuildSettings, TensorRT, build_plan, installed_runtime, profile_for
from quantlab.engines.tensorrt.execution import RunSettings
from quantlab.engines.tensorrt.gpu import current_gpu
from quantlab.engines.tensorrt.plan_engine import is_plan, open_plan_file
from quantlab.engines.tensorrt.shapes import Shape, worth_telling
from quantlab.engines.torch_eager import TorchEager
from quantlab.errors import EngineError, EngineMissing, RecipeError
from quantlab.graph.model import Model
from quantlab.graph.quantized import is_quantized
from quantlab.opening import check_torch_settings, open_with_module
from quantlab.progress import Progress, silent
from quantlab.qdq.insert import TARGET_KEY
from quantlab.torchmodels import TorchSettings

RUNNERS = ("onnxruntime", *RUNTIMES, "none")
"""The runtimes that a model can be run on beside its simulation, by the names that users type."""


@dataclass(frozen=True, eq=False, slots=True)
class Contender:
    """One model.

    Attributes:
        name: distinct among those judged.
        model: the model, or the stand-in of a plan.
        engine: what runs it; None until that is decided.
    """

    name: str
    model: Model
    engine: Engine | None = None


@dataclass(frozen=True, slots=True)
class TorchRows:
    """What is asked of torch.

    Attributes:
        settings: how torch models are filled with weights and exported.
        eager: the engine that runs float models in torch too, in rows of their own; None for no such rows.
    """

    settings: TorchSettings = field(default_factory=TorchSettings)
    eager: TorchEager | None = None


def open_contenders(
    named: Sequence[object], run: RunSettings | None = None, torch: TorchRows | None = None
) -> list[Contender]:
    """Open what users name; plans, and float models in torch, come with their engine.

    Args:
        named: paths of models or plans, bytes, models, names of torch models; or contenders, which stay as they are.
        run: how plans are run.
        torch: how torch models are opened, and whether float models run in torch too.

    Raises:
        ModelError: a model cannot be read.
        EngineError, EngineMissing: a plan cannot be run here.
    """
    if all(isinstance(each, Contender) for each in named):
        return [each for each in named if isinstance(each, Contender)]
    torch = torch or TorchRows()
    check_torch_settings(named, torch.settings)
    opened: list[tuple[Model, Engine | None]] = []
    for each in named:
        if isinstance(each, str | Path) and is_plan(each):
            opened.append(open_plan_file(Path(each), run or RunSettings()))
            continue
        model, module = open_with_module(each, torch.settings)
        opened.append((model, None))
        if torch.eager is not None and not is_quantized(model):
            opened.append((model, replace(torch.eager, module=module)))
    names = _distinct_names([model for model, _ in opened], [_suffix(engine) for _, engine in opened])
    return [Contender(name, model, engine) for name, (model, engine) in zip(names, opened, strict=True)]


def _suffix(engine: Engine | None) -> str:
    return " in torch" if isinstance(engine, TorchEager) else ""


@contextmanager
def ready_to_run(
    contenders: Sequence[Contender],
    engine: OnnxRuntime | TensorRT,
    *,
    batch_sizes: Sequence[int] = (),
    seen: Mapping[str, Sequence[Shape]] | None = None,
    progress: Progress = silent,
) -> Iterator[dict[str, Engine]]:
    """Give each contender its engine while the block runs; for TensorRT, models are built first.

    Args:
        contenders: from `open_contenders`.
        engine: what runs those that have no engine yet.
        batch_sizes: the batches they will see, for which plans are built.
        seen: shapes of samples by input, which tell the free axes behind the first.
        progress: how building shows itself.

    Raises:
        EngineError: TensorRT is asked for and there is no GPU, or it refuses a model.
        RecipeError: nothing tells the size of a free axis.
    """
    waiting = [each for each in contenders if each.engine is None]
    engines = {each.name: each.engine for each in contenders if each.engine is not None}
    if not isinstance(engine, TensorRT):
        yield engines | {each.name: engine_for(each.model, engine) for each in waiting}
        return
    if waiting and current_gpu() is None:
        raise EngineError(
            "engine tensorrt: there is no NVIDIA GPU with a driver here; evaluate on a machine with one, or leave "
            "--engine out for the accuracy of a simulation"
        )
    with TemporaryDirectory(prefix="quantlab-") as folder, progress("building", len(waiting)) as advance:
        for number, each in enumerate(waiting):
            path = Path(folder) / f"{number}.plan"
            build_plan(each.model, path, fitted(engine, each.model, batch_sizes, seen).settings)
            engines[each.name] = replace(engine, plan=path)
            advance(1)
        yield engines


def fitted(
    engine: TensorRT, model: Model, batch_sizes: Sequence[int], seen: Mapping[str, Sequence[Shape]] | None = None
) -> TensorRT:
    """Return an engine whose plans of a model take batches of these sizes.

    Raises:
        RecipeError: nothing tells the size of a free axis.
    """
    largest = max(batch_sizes, default=1)
    shapes = profile_for(model.inputs, engine.settings.shapes, seen, batches=(1, largest, largest))
    return replace(engine, settings=replace(engine.settings, shapes=worth_telling(shapes, model.inputs)))


def runner_for(model: Model, runtime: str | None, engine: OnnxRuntime) -> tuple[OnnxRuntime | TensorRT | None, str]:
    """Return the runtime that a quantized model is run on, or None and why it is not run.

    Args:
        model: the model.
        runtime: one of `RUNNERS`, or None for the one the model was made for.
        engine: the settings of ONNX Runtime.

    Raises:
        RecipeError: there is no such runtime.
        EngineError: it was named, and needs a GPU that is not here.
        EngineMissing: it was named, and is not installed.
    """
    if runtime is not None and runtime not in RUNNERS:
        raise RecipeError(f"runtime {runtime!r} is unknown; choose one of {', '.join(RUNNERS)}")
    if runtime is None and not is_quantized(model):
        return None, "the second model is not quantized"
    chosen = runtime or model.ir_model.metadata_props.get(TARGET_KEY, engine.name)
    if chosen == "none":
        return None, "not asked for"
    if chosen == engine.name:
        return replace(engine, optimization="all"), ""
    if current_gpu() is None:
        reason = f"{chosen} needs an NVIDIA GPU with a driver, and there is none here"
        if runtime is not None:
            raise EngineError(f"runtime {reason}; compare where there is one, or leave --runtime out")
        return None, reason
    try:
        name = installed_runtime(None if runtime in (None, "tensorrt") else runtime)
    except EngineMissing as error:
        if runtime is not None:
            raise
        return None, str(error)
    return TensorRT(settings=BuildSettings(runtime=name)), ""


def engine_for(model: Model, engine: OnnxRuntime) -> Engine:
    """Return what judges a model here: the engine itself, or its simulation for a model of another runtime."""
    target = model.ir_model.metadata_props.get(TARGET_KEY, engine.name)
    return engine if target == engine.name else simulating(engine)


def simulating(engine: OnnxRuntime) -> OnnxRuntime:
    """Return the engine that computes every Q/DQ pair step by step."""
    return replace(engine, optimization="none")


def _distinct_names(models: Sequence[Model], suffixes: Sequence[str]) -> list[str]:
    """Return a name for each model: its file's; its path where two files have one name; with what tells rows apart."""
    names = [f"{model.name}{suffix}" for model, suffix in zip(models, suffixes, strict=True)]
    labels: list[str] = []
    for model, name, suffix in zip(models, names, suffixes, strict=True):
        label = f"{model.path or model.name}{suffix}" if names.count(name) > 1 else name
        while label in labels:
            label += "'"
        labels.append(label)
    return labels
