"""What turns the pixels of an image into a network's input, as data.

    y[c] = (pixel[c] · scale − mean[c]) / std[c],    pixel in 0..255

after the shorter side is resized and the centre cropped. Sizes that are not given come from the model.
Computed in float64 and rounded once to float32; an image has 256 levels, so it is a table of 256 values per channel.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, Self, get_args

import numpy as np
import numpy.typing as npt

from quantlab.data.batch import InputSpec
from quantlab.errors import DataError, RecipeError

Channels = Literal["RGB", "BGR", "GRAY"]
Layout = Literal["NCHW", "NHWC"]
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]

_LEVELS = 256


@dataclass(frozen=True, slots=True)
class Preprocess:
    """How pixels become the numbers a network was trained on.

    Attributes:
        resize: the length of the shorter side, or (height, width) exactly; None keeps the size.
        crop: (height, width) of the centre that is kept; None keeps all.
        mean: one value per channel, in the order of `channels`, or one for all.
        std: one positive value per channel, in the order of `channels`, or one for all.
        scale: what a pixel 0..255 is multiplied with first.
        channels: which channels, in which order.
        layout: whether channels come before height and width or after them.
        interpolation: how pixels are resampled; always antialiased, as Pillow does it.
        crop_fraction: the share of the resized shorter side that the crop keeps, where sizes come from the model.
    """

    resize: int | tuple[int, int] | None = None
    crop: tuple[int, int] | None = None
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    scale: float = 1 / 255
    channels: Channels = "RGB"
    layout: Layout = "NCHW"
    interpolation: Interpolation = "bilinear"
    crop_fraction: float = 1.0

    def __post_init__(self) -> None:
        for fault in _faults(self):
            raise RecipeError(f"preprocessing: {fault}")

    @classmethod
    def named(cls, preset: str) -> Preprocess:
        """Return a preset: `imagenet`, `signed` (−1..1), `unit` (0..1) or `raw` (0..255).

        Raises:
            RecipeError: there is no such preset.
        """
        if preset not in list(PRESETS):
            raise RecipeError(f"preprocessing preset {preset!r} is unknown; choose one of {', '.join(PRESETS)}")
        return PRESETS[preset]

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """Return the preprocessing that a TOML table or JSON object describes: `preset`, if any, and changes to it.

        Raises:
            RecipeError: a setting is unknown, of a wrong type, or out of its limits.
        """
        known = [field.name for field in fields(cls)]
        changes = {key: _plain(value) for key, value in settings.items() if key != "preset"}
        for key in changes:
            if key not in known:
                raise RecipeError(f"preprocessing has no setting {key!r}; it has preset, {', '.join(known)}")
        for key in ("mean", "std"):
            if isinstance(changes.get(key), (int, float)):
                changes[key] = (changes[key],)
        if isinstance(changes.get("crop"), int):
            changes["crop"] = (changes["crop"], changes["crop"])
        base = cls.named(settings["preset"]) if "preset" in settings else cls()
        if changes.get("channels") == "BGR":  # presets are written for RGB
            base = replace(base, mean=base.mean[::-1], std=base.std[::-1])
        return cls(**{**asdict(base), **changes})

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON holds them; `from_dict` reads them back."""
        return asdict(self)

    @property
    def depth(self) -> int:
        """The number of channels."""
        return 1 if self.channels == "GRAY" else 3

    @property
    def table(self) -> npt.NDArray[np.float32]:
        """float32 [channels, 256]: what each pixel level becomes in each channel."""
        mean, std = (np.broadcast_to(np.array(value), self.depth)[:, np.newaxis] for value in (self.mean, self.std))
        levels: npt.NDArray[np.float64] = (np.arange(_LEVELS) * self.scale - mean) / std
        return levels.astype(np.float32)

    @property
    def limits(self) -> tuple[float, float]:
        """The lowest and highest value an image can take in any channel."""
        table = self.table
        return float(table.min()), float(table.max())

    def fitted_to(self, spec: InputSpec) -> Preprocess:
        """Return this with the sizes that are not given taken from the model.

        Raises:
            DataError: the input is no image, or its channels, height or width contradict the settings.
        """
        depth, height, width = _image_axes(spec, self.layout)
        if isinstance(depth, int) and depth != self.depth:
            raise DataError(
                f"preprocessing gives {self.depth} channels ({self.channels}, {self.layout}), the model needs {spec}"
                f"{self._remedy(spec, depth)}"
            )
        if spec.dtype.kind in "iu" and (self.table % 1).any():
            raise DataError(f"preprocessing gives fractions, the model needs {spec}; use the preset raw")
        if not isinstance(height, int) or not isinstance(width, int):
            return self
        resize = self.resize
        if resize is None and self.crop is None:
            resize = math.ceil(max(height, width) / self.crop_fraction)
        fitted = replace(self, resize=resize, crop=self.crop or (height, width))
        if fitted.crop != (height, width):
            raise DataError(f"preprocessing crops to {_size(fitted.crop)}, the model needs {spec}; leave `crop` out")
        return fitted

    def _remedy(self, spec: InputSpec, depth: int) -> str:
        """Return what to set where a model's input has another number of channels, as far as the input tells."""
        other: Layout = "NHWC" if self.layout == "NCHW" else "NCHW"
        if _image_axes(spec, other)[0] == self.depth:
            return f"; set layout={other}"
        if depth in (1, 3):
            return "; set channels=" + ("GRAY, such as unit,channels=GRAY" if depth == 1 else "RGB")
        return "; give arrays instead"

    def __str__(self) -> str:
        parts = []
        if self.resize is not None:
            what = f"shorter side to {self.resize}" if isinstance(self.resize, int) else f"to {_size(self.resize)}"
            parts.append(f"resize {what} ({self.interpolation})")
        parts += [] if self.crop is None else [f"centre crop {_size(self.crop)}"]
        scale = "/ 255" if self.scale == 1 / 255 else f"× {self.scale:g}"
        parts.append(f"{self.channels} {scale}")
        if set(self.mean) != {0.0} or set(self.std) != {1.0}:
            parts.append(f"mean {' '.join(f'{v:g}' for v in self.mean)}, std {' '.join(f'{v:g}' for v in self.std)}")
        low, high = self.limits
        return ", ".join([*parts, self.layout, f"values {low:.3g} to {high:.3g}"])


def assumed_preprocess(spec: InputSpec) -> Preprocess:
    """Return what is assumed where nothing is declared, judged by a model's input alone.

    Whole-number inputs get raw pixels, three channels ImageNet's preset, one channel grey from 0 to 1.

    Raises:
        DataError: the input is no image of 1 or 3 channels.
    """
    layout: Layout = "NCHW"
    if spec.shape is not None and len(spec.shape) == 4 and spec.shape[3] in (1, 3) and spec.shape[1] not in (1, 3):
        layout = "NHWC"
    depth = _image_axes(spec, layout)[0]
    if isinstance(depth, int) and depth not in (1, 3):
        raise DataError(f"images have 1 or 3 channels, the model needs {spec}; give arrays instead")
    preset = "raw" if spec.dtype.kind in "iu" else "unit" if depth == 1 else "imagenet"
    return replace(PRESETS[preset], layout=layout, channels="GRAY" if depth == 1 else "RGB")


def _image_axes(spec: InputSpec, layout: Layout) -> tuple[int | str | None, int | str | None, int | str | None]:
    """Return channels, height and width of a model's input."""
    if spec.shape is None:
        return None, None, None
    if len(spec.shape) != 4:
        raise DataError(f"an image has channels, height and width; the model needs {spec}; give arrays instead")
    _, a, b, c = spec.shape
    return (a, b, c) if layout == "NCHW" else (c, a, b)


def _faults(preprocess: Preprocess) -> Iterator[str]:
    """Yield what is wrong with the settings; types are looked at too, since a user's TOML decides them."""
    for name, known in (("channels", Channels), ("layout", Layout), ("interpolation", Interpolation)):
        if getattr(preprocess, name) not in get_args(known):
            yield f"{name} is {getattr(preprocess, name)!r}; choose one of {', '.join(get_args(known))}"
    if preprocess.resize is not None and not _is_size(preprocess.resize):
        yield f"resize is {preprocess.resize!r}; give the shorter side in pixels, or height and width"
    if preprocess.crop is not None and not _is_size(preprocess.crop, sides=2):
        yield f"crop is {preprocess.crop!r}; give height and width in pixels"
    for name in ("mean", "std"):
        values: object = getattr(preprocess, name)
        if (
            not isinstance(values, tuple)
            or len(values) not in (1, preprocess.depth)
            or not all(map(_is_finite, values))
        ):
            yield f"{name} is {values!r}; give one number, or one for each of {preprocess.channels}"
        elif name == "std" and min(values) <= 0:
            yield f"std is {values!r}; it divides, so it must be positive"
    if not _is_finite(preprocess.scale) or preprocess.scale <= 0:
        yield f"scale is {preprocess.scale!r}; it must be positive"
    if not _is_finite(preprocess.crop_fraction) or not 0 < preprocess.crop_fraction <= 1:
        yield f"crop_fraction is {preprocess.crop_fraction!r}; it must be above 0 and at most 1"


def _is_size(size: object, *, sides: int | None = None) -> bool:
    if isinstance(size, tuple) and len(size) == 2:
        return all(_is_size(side, sides=1) for side in size)
    return isinstance(size, int) and not isinstance(size, bool) and size > 0 and sides != 2


def _is_finite(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _size(size: tuple[int, ...] | None) -> str:
    return "×".join(str(side) for side in size or ())


def _plain(value: Any) -> Any:  # noqa: ANN401 - TOML values of any type
    return tuple(value) if isinstance(value, list) else value


# Mean and standard deviation of ImageNet's training images, and 224 of 256 pixels, as torchvision's references have it.
PRESETS: dict[str, Preprocess] = {
    "imagenet": Preprocess(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), crop_fraction=0.875),
    "signed": Preprocess(mean=(0.5,), std=(0.5,)),
    "unit": Preprocess(),
    "raw": Preprocess(scale=1.0),
}
