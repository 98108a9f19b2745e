"""`quantlab` itself: its version, and what there is where no command was given."""

from __future__ import annotations

from typing import Annotated

import typer

EPILOG = """\b
Start with:
  quantlab ptq
  quantlab ptq --model net.onnx --data calib.npz
"""

Version = Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)]


def start(context: typer.Context, version: Version = False) -> None:
    """Print the version if asked for; without a command, print the help and count it as wrong usage."""
    if version:
        from importlib.metadata import version as version_of

        typer.echo(f"quantlab {version_of('quantlab')}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)
