"""What builders of torch models return: the module, how to call it, and what is known about its origin."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from textwrap import shorten
from types import ModuleType
from typing import TYPE_CHECKING, Any

from quantlab.data.preprocess import Preprocess
from quantlab.errors import EngineMissing, ModelError
from quantlab.graph.load import first_line
from quantlab.torchmodels.settings import InputShape

if TYPE_CHECKING:
    from torch import Tensor, nn

Weights = str
"""`published`, `random`, `own` (as a user's function left them), or a file's name."""


@dataclass(frozen=True, eq=False, slots=True)
class Network:
    """A torch model before its export.

    Attributes:
        module: the network.
        inputs: what one call takes: shape and type by parameter name; empty where that is not known.
        weights: where they come from; see `Weights`.
        example: the arguments of one call, where a user's function gave them.
        preprocess: what images become for it, given the height and width it is exported for; None where not known.
        answers: the entries of a dict output to keep, or None for all.
        rename: a state dict under the names of published files → the same under the module's own names.
    """

    module: nn.Module
    inputs: Sequence[InputShape] = ()
    weights: Weights = "published"
    example: Tensor | Sequence[Tensor] | Mapping[str, Tensor] | None = None
    preprocess: Callable[[int, int], Preprocess] | None = None
    answers: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None
    rename: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]] | None = None


def import_package(name: str, *, model: str, extra: str | None = None) -> ModuleType:
    """Return a package that builds models.

    Raises:
        EngineMissing: it is not installed, or cannot be imported here; the message says what to do.
    """
    command = f"pip install 'quantlab[{extra}]'" if extra else f"pip install {name}"
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise EngineMissing(
            f"model {model!r} needs the package {(error.name or name).partition('.')[0]!r}, which is not installed: "
            f"{command}"
        ) from error
    except Exception as error:  # binary packages that do not fit each other raise whatever they do
        raise EngineMissing(
            f"model {model!r} needs the package {name!r}, which cannot be imported here ({type(error).__name__}: "
            f"{first_line(error)}); install versions of torch and {name} that fit each other: {command}"
        ) from error


def built(text: str, build: Callable[[], Any], *, is_published: bool) -> Any:  # noqa: ANN401 (packages without types)
    """Return what a package builds.

    Args:
        text: the model's name as it was typed.
        build: the package's builder, with its arguments.
        is_published: whether it fetches published weights.

    Raises:
        ModelError: it raised something; the message tells its first line, and what to do.
    """
    try:
        return build()
    except Exception as error:  # packages raise whatever their parts and the network do
        # Whole: some packages say what is wrong in the second line.
        why = f"({type(error).__name__}: {shorten(str(error), 300)})"
        if is_published and not isinstance(error, TypeError):
            raise ModelError(
                f"model {text!r}: its published weights cannot be had {why}; give --weights FILE, or --weights random "
                "to try what the network becomes"
            ) from error
        raise ModelError(f"model {text!r}: it cannot be built {why}; look at the settings behind its name") from error
