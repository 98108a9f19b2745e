"""The text of a model's name → which package builds it, what it is called there, and settings."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from quantlab.data.python_file import is_python_function
from quantlab.errors import ModelError

Package = Literal["torchvision", "timm", "transformers"]
Origin = Literal["torchvision", "timm", "transformers", "python"]

FORMS = (
    "torchvision:NAME, timm:NAME, transformers:HUB_ID, transformers:MODEL_TYPE[,key=value], or FILE.py:FUNCTION that "
    "returns a torch module"
)
"""What names of torch models look like, for messages."""

# A comma that ends a setting: what follows it is the next NAME=.
_SEPARATOR = re.compile(r",(?=\s*\w+\s*=)")
_WORDS = {"true": True, "false": False, "none": None}


@dataclass(frozen=True, slots=True)
class TorchName:
    """The name of a torch model, taken apart.

    Attributes:
        origin: the package that builds it, or `python` for a function of one's own.
        name: what it is called there: a builder, a hub id, a model type, or FILE.py:FUNCTION.
        options: settings for the builder by name.
        text: as it was typed.
    """

    origin: Origin
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""


def torch_name(text: str) -> TorchName | None:
    """Return the parts of a torch model's name, or None where the text is no such name.

    Raises:
        ModelError: the text begins like one, but nothing is named, or a setting is not KEY=VALUE.
    """
    if is_python_function(text):
        return TorchName("python", text, text=text)
    origin, colon, rest = text.partition(":")
    if not colon or origin not in get_args(Package):
        return None
    name, comma, settings = rest.partition(",")
    if not name.strip():
        raise ModelError(f"model {text!r}: nothing is named behind the colon; give {FORMS}")
    options = _options(settings, text) if comma else {}
    return TorchName(origin, name.strip(), options, text)  # type: ignore[arg-type] # one of Package


def _options(settings: str, text: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for entry in _SEPARATOR.split(settings):
        key, equals, value = (part.strip() for part in entry.partition("="))
        if not equals or not key.isidentifier() or not value:
            raise ModelError(f"model {text!r}: {entry.strip()!r} is not KEY=VALUE; write NAME,key=value,key=[1,2]")
        if key in options:
            raise ModelError(f"model {text!r}: {key!r} is given twice; give it once")
        options[key] = _value(value)
    return options


def _value(text: str) -> Any:  # noqa: ANN401 (settings are of any plain type)
    """Return a number, a list, a truth value, or the text itself; nothing is run."""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
