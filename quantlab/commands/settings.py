"""What users type → settings of a recipe."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantlab.errors import RecipeError

if TYPE_CHECKING:
    from quantlab.engines.onnxruntime import OnnxRuntime
    from quantlab.engines.tensorrt import TensorRT
    from quantlab.torchmodels.settings import TorchSettings

# A torch model's name: where it comes from, and what it is called there without its settings.
_TORCH_MODEL = re.compile(r"(?P<origin>torchvision|timm|transformers|.*\.py):(?P<name>[^,]*)")


def calibrator_options(*, percentile: float | None, max_error_ratio: float | None) -> dict[str, float]:
    """Return the calibrator options that were given; the calibrator refuses those it does not know."""
    given = {"percentile": percentile, "max_error_ratio": max_error_ratio}
    return {name: value for name, value in given.items() if value is not None}


def torch_settings(
    weights: str | None, input_shapes: Sequence[str] | None, opset: int | None, free_axes: str | None
) -> TorchSettings:
    """Return how a torch model is filled with weights and exported."""
    from quantlab.torchmodels.settings import TorchSettings

    return TorchSettings(
        weights=weights,
        input_shapes=tuple(input_shapes or ()),
        opset=opset,
        free_axes=free_axes,  # type: ignore[arg-type] # checked there
    )


def collecting_device(engine: str, device: str) -> str:
    """Return the device to collect statistics on.

    Raises:
        RecipeError: a GPU is named for an engine that collects on the processor only.
    """
    if engine != "torch" and device not in ("auto", "cpu"):
        raise RecipeError(f"--device {device} is for --engine torch; add that, or leave this out")
    return device


def latency_batches(sizes: Sequence[int] | None, *, is_off: bool) -> tuple[int, ...]:
    """Return the batch sizes to time: those given, else 1; none if timing is off.

    Raises:
        RecipeError: sizes were given, and timing is off.
    """
    if is_off and sizes:
        raise RecipeError("--no-latency and --latency-batch exclude each other; leave one of them out")
    return () if is_off else tuple(sizes or (1,))


def preprocess_settings(text: str | None) -> dict[str, Any]:
    """Return preprocessing settings from `imagenet` or from 'resize=256,crop=224,mean=0.5:0.5:0.5'.

    Raises:
        RecipeError: an entry is not NAME=VALUE.
    """
    if text is None:
        return {}
    settings: dict[str, Any] = {}
    for entry in text.split(","):
        name, equals, value = (part.strip() for part in entry.partition("="))
        if name and not equals and not settings:
            settings["preset"] = name
        elif equals and name and value:
            settings[name] = _value(value)
        else:
            raise RecipeError(f"--preprocess: {entry!r} is not NAME=VALUE; write a preset first, then NAME=VALUE,...")
    return settings


def _value(text: str) -> Any:  # noqa: ANN401 (settings are of several types)
    parts = [_number(part) for part in text.split(":")]
    return parts[0] if len(parts) == 1 else parts


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def default_folder(model: str, calibrator: str) -> Path:
    """Return `runs/MODEL-CALIBRATOR`: the same command finds its own folder again, and resumes there."""
    found = _TORCH_MODEL.match(model)
    name = f"{Path(found['origin']).stem}-{Path(found['name']).name}" if found else Path(model).stem
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "model"
    return Path("runs") / f"{stem}-{calibrator}"


def chosen_engine(
    name: str,
    *,
    threads: int | None,
    libraries: Sequence[Path] | None,
    tensorrt: Mapping[str, Any],
) -> OnnxRuntime | TensorRT:
    """Return the engine that a user names.

    Args:
        name: `onnxruntime` or `tensorrt`.
        threads: of ONNX Runtime.
        libraries: with custom operators of ONNX Runtime.
        tensorrt: `runtime`, `shape` and `plugins` as they were typed, each None where it was not.

    Raises:
        RecipeError: there is no such engine, or an option is for the other one.
    """
    from quantlab.engines.onnxruntime import OnnxRuntime
    from quantlab.engines.tensorrt import BuildSettings, TensorRT, parse_shapes

    given = [option for option, value in tensorrt.items() if value]
    if name == "onnxruntime" and not given:
        return OnnxRuntime(threads, libraries=tuple(map(str, libraries or ())))
    if name == "onnxruntime":
        raise RecipeError(f"--{given[0]}: it is for TensorRT; say --engine tensorrt too")
    if name != "tensorrt":
        raise RecipeError(f"--engine {name!r} is unknown; choose onnxruntime or tensorrt")
    if threads is not None or libraries:
        raise RecipeError("--threads and --library are for ONNX Runtime; leave them out with --engine tensorrt")
    plugins = tuple(map(str, tensorrt["plugins"] or ()))
    shapes = parse_shapes(tensorrt["shape"] or ())
    return TensorRT(settings=BuildSettings(runtime=tensorrt["runtime"], shapes=shapes, plugins=plugins))
