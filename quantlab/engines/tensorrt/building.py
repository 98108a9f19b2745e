"""Model → plan, in a process of its own.

A failure there, a crash included, comes back as one `EngineError` that names the model and, where TensorRT tells, the
node and the reason.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import onnx_ir as ir

from quantlab.engines.tensorrt.environment import worker_environment
from quantlab.engines.tensorrt.gpu import current_gpu
from quantlab.engines.tensorrt.layers import EngineLayer, parse_layers
from quantlab.engines.tensorrt.messages import shortened, without_noise
from quantlab.engines.tensorrt.plan_file import PlanRecord, fingerprint, install_plan, plugin_hashes
from quantlab.engines.tensorrt.runtimes import installed_runtime
from quantlab.engines.tensorrt.settings import BuildSettings
from quantlab.engines.tensorrt.shapes import ShapeRange, profile_for
from quantlab.errors import EngineError
from quantlab.graph.model import Model
from quantlab.graph.save import save

_LAST_LINES = 3


@dataclass(frozen=True, slots=True)
class BuiltEngine:
    """What the builder made of a model.

    Attributes:
        runtime: `tensorrt` or `tensorrt_rtx`.
        version: its version.
        layers: in the order of execution.
        warnings: what the builder warned about.
        seconds: how long the build took.
        weights_bytes: the weights in the engine, as the builder counts them; None where it does not.
        activations_bytes: likewise, what one execution context needs for the largest shapes.
    """

    runtime: str
    version: str
    layers: tuple[EngineLayer, ...]
    warnings: tuple[str, ...]
    seconds: float
    weights_bytes: int | None = None
    activations_bytes: int | None = None

    def layers_of(self, node: str) -> tuple[EngineLayer, ...]:
        """Return the layers that compute an ONNX node."""
        return tuple(layer for layer in self.layers if node in layer.nodes)

    def __str__(self) -> str:
        return "\n".join(map(str, self.layers))


def build_plan(model: Model, path: str | Path, settings: BuildSettings | None = None) -> PlanRecord:
    """Build a model and write the plan and its side-car.

    Args:
        model: float or with Q/DQ pairs; every layer runs in the types that stand in it (strong typing).
        path: where the plan goes, usually ending in `.plan`; the side-car is `PATH.json`.
        settings: how to build; a free axis that it leaves open gets the defaults of `profile_for`.

    Returns:
        What the side-car says.

    Raises:
        RecipeError: the settings do not fit the model or the runtime.
        EngineMissing: no TensorRT is installed.
        EngineError: TensorRT refuses the model, crashed or took too long, or the plan cannot be written.
    """
    settings = settings or BuildSettings()
    shapes = profile_for(model.inputs, settings.shapes)
    with _built({"model": model}, {"model": shapes}, settings) as (folder, engines):
        engine = engines["model"]
        record = PlanRecord(
            runtime=engine.runtime,
            version=engine.version,
            onnx_sha256=fingerprint(model),
            plan_sha256="",
            shapes=shapes,
            gpu=current_gpu(),
            compute_capabilities=settings.compute_capabilities,
            plugins=plugin_hashes(settings.plugins),
            layers=engine.layers,
            warnings=engine.warnings,
            seconds=engine.seconds,
            weights_bytes=engine.weights_bytes,
            activations_bytes=engine.activations_bytes,
        )
        return install_plan(folder / "model.plan", Path(path), record)


def build_engines(
    models: Mapping[str, Model],
    settings: BuildSettings | None = None,
    *,
    batches: tuple[int, int, int] | None = None,
) -> dict[str, BuiltEngine]:
    """Build models one after another in one process, to see what becomes of them; the plans are thrown away.

    Args:
        models: by a name that may be a file's.
        settings: how to build; shapes apply to inputs of that name of every model, the time limit to all together.
        batches: smallest, usual and largest size of every free axis that the settings leave open; None for those of
            `profile_for`.

    Raises:
        RecipeError, EngineMissing, EngineError: as `build_plan`; the message names the model.
    """
    settings = settings or BuildSettings()
    shapes = {name: _shapes_of(model, settings, batches) for name, model in models.items()}
    with _built(models, shapes, settings) as (_, engines):
        return engines


def runtime_for(settings: BuildSettings) -> str:
    """Return the runtime that builds with these settings on this machine.

    Raises:
        RecipeError: there is no runtime of this name, or a setting is one of the other.
        EngineMissing: it is not installed.
        EngineError: it builds on a GPU, and there is none.
    """
    runtime = installed_runtime(settings.runtime)
    settings.check_for(runtime)
    if runtime == "tensorrt" and current_gpu() is None:
        raise EngineError(
            "tensorrt: it builds on the GPU that is to run the plan, and there is none with a driver here; "
            "build there, or here with the runtime tensorrt_rtx"
        )
    return runtime


def _shapes_of(model: Model, settings: BuildSettings, sizes: tuple[int, int, int] | None) -> dict[str, ShapeRange]:
    names = {spec.name for spec in model.inputs}
    given = {name: shape for name, shape in settings.shapes.items() if name in names}
    if sizes is None:
        return profile_for(model.inputs, given)
    seen = {
        spec.name: [tuple(axis if isinstance(axis, int) else size for axis in spec.shape or ()) for size in sizes]
        for spec in model.inputs
    }
    return profile_for(model.inputs, given, seen, batches=sizes)


@contextmanager
def _built(
    models: Mapping[str, Model], shapes: Mapping[str, Mapping[str, ShapeRange]], settings: BuildSettings
) -> Iterator[tuple[Path, dict[str, BuiltEngine]]]:
    """Build in a temporary folder, which holds the plans while the block runs."""
    runtime = runtime_for(settings)
    with tempfile.TemporaryDirectory(prefix="quantlab-") as name:
        folder = Path(name)
        for key, model in models.items():
            save(model, folder / f"{key}.onnx")
        (folder / "request.json").write_text(json.dumps(_request(runtime, shapes, settings)), encoding="utf-8")
        _run_worker(folder, models, runtime, settings.timeout_s)
        yield folder, {key: _read_answer(folder, key, runtime, model) for key, model in models.items()}


def _request(runtime: str, shapes: Mapping[str, Mapping[str, ShapeRange]], settings: BuildSettings) -> dict[str, Any]:
    jobs = {key: {name: asdict(shape) for name, shape in ranges.items()} for key, ranges in shapes.items()}
    return {
        "runtime": runtime,
        "jobs": jobs,
        "workspace_bytes": None if settings.workspace_mb is None else settings.workspace_mb * 2**20,
        "optimization_level": settings.optimization_level,
        "timing_cache": None if settings.timing_cache is None else str(settings.timing_cache.absolute()),
        "compute_capabilities": settings.compute_capabilities,
        "plugins": [str(Path(plugin).absolute()) for plugin in settings.plugins],
    }


def _run_worker(folder: Path, models: Mapping[str, Model], runtime: str, timeout_s: float) -> None:
    command = [sys.executable, "-m", "quantlab.engines.tensorrt.worker", str(folder)]
    environment = worker_environment(runtime, folder)
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=timeout_s, check=False, env=environment
        )
    except subprocess.TimeoutExpired as error:
        unfinished = _unfinished(folder, models)
        raise EngineError(f"{runtime}: no end of building {unfinished} within {timeout_s:g} s; allow more") from error
    if ended.returncode:
        raise EngineError(_failure(runtime, _unfinished(folder, models), models, ended))


def _unfinished(folder: Path, models: Mapping[str, Model]) -> str:
    return next((name for name in models if not (folder / f"{name}.json").exists()), "no model")


def _failure(runtime: str, name: str, models: Mapping[str, Model], ended: subprocess.CompletedProcess[str]) -> str:
    """Return why the worker ended before its time."""
    model = models.get(name)
    label = name if model is None else model.name
    if ended.returncode < 0:
        computed = None if model is None else _computed_scale(model)
        why = "; this model cannot be built with this version"
        if computed is not None:
            why = f": {computed} has a scale that is computed at run time, and TensorRT needs constant ones"
        return f"{runtime}: the builder crashed ({_signal_name(-ended.returncode)}) on {label}{why}"
    last = without_noise(ended.stderr.splitlines())[-_LAST_LINES:]
    return f"{runtime}: the builder ended with {ended.returncode} at {label}: {' '.join(last)}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _computed_scale(model: Model) -> str | None:
    """Return the first Q/DQ node whose scale is no constant; such a node makes the builder of TensorRT-RTX crash."""
    for node in ir.traversal.RecursiveGraphIterator(model.graph):
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            scale = node.inputs[1] if len(node.inputs) > 1 else None
            if scale is not None and ir.convenience.get_const_tensor(scale) is None:
                return f"{node.op_type} {node.name!r}"
    return None


def _read_answer(folder: Path, name: str, runtime: str, model: Model) -> BuiltEngine:
    answer = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    label = model.name if len(list(folder.glob("*.onnx"))) == 1 else name
    if answer["errors"]:
        raise EngineError(f"{runtime} {answer['version']} refuses {label}: {shortened(answer['errors'])}")
    return BuiltEngine(
        runtime,
        answer["version"],
        parse_layers(answer["layers"]),
        tuple(answer["warnings"]),
        answer["seconds"],
        answer["weights_bytes"],
        answer["activations_bytes"],
    )
