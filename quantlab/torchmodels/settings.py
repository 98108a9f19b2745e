"""How a torch model is filled with weights and exported, as data. Needs no torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self, get_args

from quantlab.errors import RecipeError

FreeAxes = Literal["batch", "size", "none"]

OPSET = 18
"""The version of ONNX where none is asked for; torch's exporter writes no older one."""
RANDOM = "random"
"""The word in place of a file of weights: leave them as the network was built."""

_OLDEST_OPSET, _NEWEST_OPSET = 18, 23
_TYPES = ("float32", "float16", "float64", "int64", "int32", "bool")
_SHAPE = re.compile(r"(?:(?P<name>[^:\s]+):)?(?P<sizes>\d+(?:x\d+)*)(?::(?P<type>\w+))?")


@dataclass(frozen=True, slots=True)
class InputShape:
    """The shape of one argument of a module, the batch included.

    Attributes:
        name: the parameter of `forward`, or None for the first one that is not named.
        sizes: of the axes.
        dtype: the numpy name of the type; None for the usual one.
    """

    name: str | None
    sizes: tuple[int, ...]
    dtype: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `1x3x224x224`, `NAME:1x128` or `NAME:1x128:int64`.

        Raises:
            RecipeError: the text is none of these.
        """
        found = _SHAPE.fullmatch(text.strip())
        if found is None or "0" in found["sizes"].split("x"):
            raise RecipeError(
                f"input shape {text!r}: write the sizes of all axes, batch first, such as 1x3x224x224, "
                "image:1x3x224x224 or input_ids:1x128:int64"
            )
        if found["type"] not in (None, *_TYPES):
            raise RecipeError(f"input shape {text!r}: type {found['type']!r} is unknown; known: {', '.join(_TYPES)}")
        return cls(found["name"], tuple(map(int, found["sizes"].split("x"))), found["type"])


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchSettings:
    """What a name does not say about a torch model.

    Attributes:
        weights: a file with a state dict (`.pth`, `.pt`, `.bin`, `.safetensors`), `random` for weights as drawn, or
            None for the published ones where the name stands for such.
        input_shapes: shapes of the inputs, batch included, as `1x3x224x224` or `NAME:1x128:int64`; empty for what the
            network's package says.
        opset: the version of ONNX, 18 to 23; None for 18.
        free_axes: `batch`; `size` for height and width (or the length of texts) too; `none` to fix all; None for
            `batch`.
    """

    weights: str | None = None
    input_shapes: tuple[str, ...] = ()
    opset: int | None = None
    free_axes: FreeAxes | None = None

    def __post_init__(self) -> None:
        if self.free_axes not in (None, *get_args(FreeAxes)):
            raise RecipeError(f"free_axes {self.free_axes!r} is unknown; known: {', '.join(get_args(FreeAxes))}")
        if self.opset is not None and not _OLDEST_OPSET <= self.opset <= _NEWEST_OPSET:
            raise RecipeError(
                f"opset: torch exports {_OLDEST_OPSET} to {_NEWEST_OPSET}, not {self.opset}; {OPSET} suits all networks"
            )
        names = [shape.name for shape in self.shapes if shape.name is not None]
        if len(set(names)) < len(names):
            raise RecipeError(f"input_shapes: {', '.join(names)} names one twice; name each once")

    @property
    def shapes(self) -> tuple[InputShape, ...]:
        """The input shapes, read."""
        return tuple(InputShape.parse(text) for text in self.input_shapes)

    @property
    def given(self) -> Sequence[str]:
        """The names of the settings that were given."""
        return [name for name in ("weights", "input_shapes", "opset", "free_axes") if getattr(self, name)]
