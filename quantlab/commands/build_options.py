"""How `quantlab ptq` and `quantlab qat` build a TensorRT plan: the usual options of `quantlab build`.

Recipes take them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from quantlab.commands import completion

Build = Annotated[
    bool, typer.Option("--build", help="Build the TensorRT plan of the model for tensorrt too, and audit its layers.")
]
Runtime = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        autocompletion=completion.runtimes,
        help="With --build: tensorrt or tensorrt_rtx; the one installed if not given.",
    ),
]
Shapes = Annotated[
    list[str] | None,
    typer.Option(
        metavar="INPUT:MIN,USUAL,MAX",
        help="With --build: shapes of an input, such as x:1x3x224x224,8x3x224x224,32x3x224x224; of an input "
        "that is itself a shape, its values; batches 1,8,32 if not given, other free axes as in the data; repeatable.",
    ),
]
ComputeCapabilities = Annotated[
    list[str] | None,
    typer.Option(
        "--compute-capability",
        metavar="N.N",
        help="With --build and tensorrt_rtx: a GPU to build for, such as 8.9; all it supports if not given; "
        "repeatable.",
    ),
]
Plugins = Annotated[
    list[Path] | None,
    typer.Option(metavar="FILE", help="With --build: custom operators, a .so or a .py that is run; repeatable."),
]


def build_options(
    runtime: str | None,
    shapes: Sequence[str] | None,
    compute_capabilities: Sequence[str] | None,
    plugins: Sequence[Path] | None,
) -> dict[str, Any]:
    """Return `Recipe.build_options`: those that were given."""
    given = {
        "runtime": runtime,
        "shapes": list(shapes or ()),
        "compute_capabilities": list(compute_capabilities or ()),
        "plugins": [str(plugin) for plugin in plugins or ()],
    }
    return {name: value for name, value in given.items() if value}
