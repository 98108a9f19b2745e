"""Sentences → lines of the terminal's width, continued under a hanging indent."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text


@dataclass(frozen=True, slots=True)
class Prose:
    """Text for rich to print; each of its lines is wrapped on its own, and no word is cut.

    Attributes:
        text: lines; the spaces in front of one indent it.
        style: of rich.
        hang: by how many columns the continuation of a line is indented further than its start.
    """

    text: str
    style: str = ""
    hang: int = 2

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in self.text.splitlines():
            indent = " " * (len(line) - len(line.lstrip()) + self.hang)
            parts = textwrap.wrap(
                line, options.max_width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
            )
            for part in parts or [""]:  # an empty line parts what is above it from what is below
                yield Text(part, style=self.style, overflow="ignore", no_wrap=True)
