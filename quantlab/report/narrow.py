"""Tables that a narrow terminal shows as blocks, one per row, where the columns do not fit side by side.

rich would cut numbers short there, or leave whole columns out; a cut number is a wrong one.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Column, Table

from quantlab.report.prose import Prose

_NOTHING = ("", "-")
_LEAST_TEXT = 12
"""Columns that a text needs at least, where it is folded."""


class NarrowTable(Table):
    """A table without lines whose texts are folded and whose numbers stay whole."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.least_width <= options.max_width:
            yield from super().__rich_console__(console, options)
            return
        if self.title is not None:
            yield Prose(str(self.title), style="bold")
        yield from self._blocks()

    @property
    def least_width(self) -> int:
        """The columns of the terminal that the table needs."""
        gaps = self.padding[1] * (len(self.columns) - 1)
        return gaps + sum(map(_least_width, self.columns))

    def _blocks(self) -> Iterator[Prose]:
        """Yield each row as its name and a line per cell that says something."""
        names, *others = self.columns
        for index, name in enumerate(names.cells):
            if str(name):  # a row without a name goes on from the one above it
                yield Prose(str(name), style="bold")
            for column in others:
                value = str(list(column.cells)[index])
                if value not in _NOTHING:
                    yield Prose(f"  {_head(column)}: {value}")


def _least_width(column: Column) -> int:
    texts = [*str(column.header).split("\n"), *map(str, column.cells)]
    longest = max(map(cell_len, texts), default=0)
    return longest if column.no_wrap else min(longest, _LEAST_TEXT)


def _head(column: Column) -> str:
    return str(column.header).replace("\n", " ")
