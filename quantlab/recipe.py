"""A run as data: everything that decides its result, validated once, saved as `recipe.toml`.

The same recipe on the same model and samples gives the same encodings, so a recipe is what one commits, mails and
runs again with `quantlab run RECIPE.toml`.
"""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, SupportsIndex, get_args

from quantlab.calibrate import WeightMethod
from quantlab.calibrators import CALIBRATORS, calibrator_named
from quantlab.calibrators.calibrator import Calibrator
from quantlab.engines.tensorrt.settings import OPTIONS, BuildSettings
from quantlab.errors import RecipeError
from quantlab.targets import TARGETS, WeightScales
from quantlab.torchmodels.settings import FreeAxes, TorchSettings

COLLECTORS = ("onnxruntime", "torch")
"""The engines that statistics can be collected with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What to do; see `quantlab ptq --help` for the same words.

    Attributes:
        model: an `.onnx` file, `digits` for the bundled network, or the name of a torch model, such as
            `torchvision:resnet50`; see `quantlab.torchmodels`.
        weights: of a torch model: a file with a state dict, `random`, or None for those that its name brings.
        input_shapes: of a torch model, batch included, as `1x3x224x224` or `NAME:1x128:int64`; empty for its own.
        opset: the version of ONNX that a torch model is exported in, 18 to 23, or None for 18.
        free_axes: of a torch model: `batch`, `size` (height and width, or length, too) or `none`; None for `batch`.
        data: where calibration samples come from: `digits`, a name in `datasets.toml`, an image folder, `.npz`,
            `.npy`, `FILE.py:FUNCTION`, or `random` (marked in the report).
        eval_data: where evaluation samples come from; None for the samples of `data` that do not calibrate.
        preprocess: settings of `Preprocess` for image folders, by field name.
        samples: how many samples calibrate, at least 1.
        eval_samples: the most samples to evaluate on, or None for all.
        batch_size: samples per batch while collecting; changes memory and time only.
        calibrator: the name of an activation calibrator.
        calibrator_options: its parameters by name.
        weight_ranges: how weight ranges are chosen: `absmax` or `mse`.
        weight_scales: `per-channel` or `per-tensor`, for `tensorrt`; `onnxruntime` always gets one per channel.
        targets: names of the runtimes to export for.
        build: build the TensorRT plan of the INT8 model for `tensorrt`, and audit it.
        build_options: how, by the fields of `BuildSettings`; shapes as `NAME:1x3x224x224,8x3x224x224,32x3x224x224`.
        keep_float: nodes to leave float: names, patterns or operator types.
        latency_batches: batch sizes at which latency is measured.
        layer_samples: the samples on which noise is measured layer by layer; 0 for not at all.
        fp16: whether models for `tensorrt` are compared with the float model in half precision too.
        sensitivity_samples: the calibration samples on which to measure what each node alone costs; 0 for not at all.
        output: the name of the output that holds the answer, or None for the first.
        top_k: count an answer as right when the label is among the k largest.
        engine: what computes activations while statistics are collected: `onnxruntime`, or `torch`, also on a GPU,
            where they are counted in place.
        device: of torch: `cpu`, `cuda`, `cuda:1`, or `auto` for CUDA where there is one.
        threads: threads of the engine, or None for all cores.
        seed: of the stratified pick from image folders and of the bootstrap.
        memory_cap_mb: the most megabytes of tapped activations held at once.
        libraries: shared libraries with custom operators, for ONNX Runtime.
        qat: how the network is trained afterwards, see `quantlab.qat.recipe_table`; empty where it is not.
    """

    model: str = "digits"
    weights: str | None = None
    input_shapes: tuple[str, ...] = ()
    opset: int | None = None
    free_axes: FreeAxes | None = None
    data: str = "digits"
    eval_data: str | None = None
    preprocess: Mapping[str, Any] = field(default_factory=dict)
    samples: int = 512
    eval_samples: int | None = None
    batch_size: int = 8
    calibrator: str = "entropy"
    calibrator_options: Mapping[str, float] = field(default_factory=dict)
    weight_ranges: WeightMethod = "absmax"
    weight_scales: WeightScales = "per-channel"
    targets: tuple[str, ...] = ("onnxruntime",)
    build: bool = False
    build_options: Mapping[str, Any] = field(default_factory=dict)
    keep_float: tuple[str, ...] = ()
    latency_batches: tuple[int, ...] = (1,)
    layer_samples: int = 8
    fp16: bool = True
    sensitivity_samples: int = 0
    output: str | None = None
    top_k: int = 1
    engine: str = "onnxruntime"
    device: str = "auto"
    threads: int | None = None
    seed: int = 0
    memory_cap_mb: int = 512
    libraries: tuple[str, ...] = ()
    qat: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("input_shapes", "targets", "keep_float", "latency_batches", "libraries"):
            value = getattr(self, name)
            if isinstance(value, str | int):  # the letters of a text would be taken for names
                raise RecipeError(f"{name}: {value!r} is one value; give a tuple of them, ({value!r},)")
        check_name("calibrator", self.calibrator, CALIBRATORS)
        check_name("engine", self.engine, COLLECTORS)
        check_name("weight_ranges", self.weight_ranges, get_args(WeightMethod))
        check_name("weight_scales", self.weight_scales, get_args(WeightScales))
        if not self.targets:
            raise RecipeError(f"targets: name at least one of {', '.join(TARGETS)}")
        for target in self.targets:
            check_name("target", target, TARGETS)
        if len(set(self.targets)) < len(self.targets):
            raise RecipeError(f"targets: {', '.join(self.targets)} names one twice; name each once")
        if self.weight_scales == "per-tensor" and "tensorrt" not in self.targets:
            raise RecipeError("weight_scales: per-tensor is for the target tensorrt only; add it, or leave this out")
        if self.build and "tensorrt" not in self.targets:
            raise RecipeError("build: plans are built of the model for the target tensorrt; add it, or leave this out")
        if self.build_options and not self.build:
            raise RecipeError(
                f"build_options: {', '.join(self.build_options)} without build; add build, or leave them out"
            )
        self.build_settings()
        for name in ("samples", "batch_size", "top_k", "memory_cap_mb"):
            _check_at_least(1, name, getattr(self, name))
        for name in ("eval_samples", "threads"):
            if getattr(self, name) is not None:
                _check_at_least(1, name, getattr(self, name))
        for name in ("layer_samples", "sensitivity_samples"):
            _check_at_least(0, name, getattr(self, name))
        for size in self.latency_batches:
            _check_at_least(1, "latency_batches", size)
        self.calibrator_with_options()
        self.torch_settings()

    def torch_settings(self) -> TorchSettings:
        """Return how a torch model is filled with weights and exported.

        Raises:
            RecipeError: a setting is unknown or out of its limits.
        """
        return TorchSettings(
            weights=self.weights, input_shapes=self.input_shapes, opset=self.opset, free_axes=self.free_axes
        )

    def calibrator_with_options(self) -> Calibrator:
        """Return the calibrator this recipe names, with its options.

        Raises:
            RecipeError: an option is unknown to the calibrator or out of its limits.
        """
        return calibrator_named(self.calibrator, **self.calibrator_options)

    def build_settings(self) -> BuildSettings:
        """Return how a TensorRT plan is built.

        Raises:
            RecipeError: an option is unknown, of a wrong type, or out of its limits.
        """
        for name in self.build_options:
            check_name("build_options: setting", name, OPTIONS)
        try:
            return BuildSettings.from_options(self.build_options)
        except RecipeError as error:
            raise RecipeError(f"build_options: {error}") from error

    def to_toml(self) -> str:
        """Return the recipe as TOML text; settings that are None are left out."""
        import tomli_w

        return tomli_w.dumps({name: value for name, value in self.to_plain().items() if value is not None})

    def to_plain(self) -> dict[str, Any]:
        """Return the settings by name, as JSON holds them."""
        return {f.name: _plain(getattr(self, f.name)) for f in dataclasses.fields(self)}

    @classmethod
    def from_toml(cls, text: str, *, origin: str = "recipe") -> Recipe:
        """Read what `to_toml` wrote, or what a person did.

        Args:
            text: TOML; a missing setting has its default.
            origin: the file's name, for messages.

        Raises:
            RecipeError: not TOML, an unknown setting, or a value of a wrong type or out of its limits.
        """
        try:
            settings = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise RecipeError(f"{origin}: not TOML: {error}") from error
        known = {f.name: f for f in dataclasses.fields(cls)}
        for name, value in settings.items():
            check_name(f"{origin}: setting", name, known)
            _check_type(f"{origin}: {name}", value, str(known[name].type))
        try:
            return cls.of({name: tuple(v) if isinstance(v, list) else v for name, v in settings.items()})
        except RecipeError as error:
            raise RecipeError(f"{origin}: {error}") from error

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Recipe:
        """Return a recipe from settings by name; one that is missing has its default.

        Raises:
            RecipeError: a setting is unknown or out of its limits.
        """
        known = [f.name for f in dataclasses.fields(cls)]
        for name in settings:
            check_name("setting", name, known)
        return cls(**settings)

    @classmethod
    def load(cls, path: str | Path) -> Recipe:
        """Read a recipe file.

        Raises:
            RecipeError: the file cannot be read, or is not a recipe.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise RecipeError(f"{path}: there is no such file; give a recipe.toml") from error
        except IsADirectoryError as error:
            raise RecipeError(f"{path}: this is a folder; give the recipe.toml in it") from error
        except OSError as error:
            raise RecipeError(f"{path}: the recipe cannot be read ({error.strerror})") from error
        except UnicodeDecodeError as error:
            raise RecipeError(f"{path}: this is no text, so it is no recipe; give a recipe.toml") from error
        return cls.from_toml(text, origin=str(path))


def check_name(what: str, name: str, known: Iterable[str]) -> None:
    """Check a name that a user typed.

    Raises:
        RecipeError: it is not among the known ones; the message lists them and the closest match.
    """
    names = list(known)
    if name not in names:
        close = difflib.get_close_matches(str(name), names, n=1)
        guess = f"; did you mean {close[0]!r}?" if close else ""
        raise RecipeError(f"{what} {name!r} is unknown; known: {', '.join(names)}{guess}")


def _check_at_least(least: int, name: str, value: object) -> None:
    if not isinstance(value, SupportsIndex) or isinstance(value, bool):  # the integers of numpy are indices too
        raise RecipeError(f"{name}: {value!r} is not of type int")
    if int(value) < least:
        raise RecipeError(f"{name}: {value} is not possible; it must be at least {least}")


# What a value of each annotated type may be in TOML.
_TOML_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "bool": (bool,),
    "WeightMethod": (str,),
    "WeightScales": (str,),
    "FreeAxes": (str,),
    "tuple[str, ...]": (list,),
    "tuple[int, ...]": (list,),
    "Mapping[str, Any]": (dict,),
    "Mapping[str, float]": (dict,),
}


def _check_type(where: str, value: object, annotation: str) -> None:
    wanted = annotation.removesuffix(" | None")
    types = _TOML_TYPES[wanted]
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        raise RecipeError(f"{where}: {value!r} is not of type {wanted}")
    element = {"tuple[str, ...]": str, "tuple[int, ...]": int}.get(wanted)
    if element is not None and isinstance(value, list) and not all(type(item) is element for item in value):
        raise RecipeError(f"{where}: every item of {value!r} must be of type {element.__name__}")


def _plain(value: Any) -> Any:  # noqa: ANN401 (settings are of several types)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, SupportsIndex) and not isinstance(value, bool):
        return int(value)
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value
