"""The commands there are, and the examples that their help shows."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import typer

from quantlab.cli import build_app


def all_commands() -> dict[tuple[str, ...], Any]:
    """Return every command by the words that call it, those of groups included."""
    return dict(_below(typer.main.get_command(build_app()), ()))


def examples_of(command: Any) -> list[str]:
    """Return the lines of a command's examples, as they may be pasted into a shell."""
    lines = [line.strip() for line in (command.epilog or "").splitlines()]
    return [line for line in lines if line.startswith("quantlab")]


def words_of(example: str) -> list[str]:
    """Return what a shell makes of an example; of a pattern, that two files match it."""
    words = shlex.split(example, comments=True)
    return [name for word in words for name in ([f"{word}.1", f"{word}.2"] if "*" in word else [word])]


def _below(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not hasattr(command, "commands"):
        yield path, command
        return
    for name, inner in command.commands.items():
        yield from _below(inner, (*path, name))
