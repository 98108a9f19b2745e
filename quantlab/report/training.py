"""The section `qat` of a report → what a person reads: the epochs, what was kept, the scales that moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from quantlab.report.prose import Prose
from quantlab.report.tables import plain_table

# More are not read; the report has them all.
_MOST_SCALES = 5


def training_parts(section: Mapping[str, Any]) -> list[RenderableType]:
    """Return what rich prints of a training, line by line."""
    moved = section["scales_moved"]
    parts: list[RenderableType] = [_epochs_table(section["epochs"], section["best"]), Prose(section["summary"])]
    if moved:
        parts += [Text(), _scales_table(moved)]
    if len(moved) > _MOST_SCALES:
        parts.append(Prose(f"{len(moved) - _MOST_SCALES} more scales moved less; the report tells all."))
    return [*parts, Text()]


def _epochs_table(epochs: Sequence[Mapping[str, Any]], best: int) -> Table:
    measure = epochs[0]["score"]["measure"]
    counted = [] if measure == "loss" else [f"{measure}\nheld out"]
    table = plain_table(["training", "loss", "loss\nheld out", *counted, "learning\nrate", "seconds"])
    for epoch in epochs:
        score = epoch["score"]
        name = f"epoch {epoch['number']}" if epoch["number"] else "start"
        share = [f"{score['right'] / score['total']:.2%}"] if counted else []
        trained = ["-", "-"] if epoch["loss"] is None else [f"{epoch['loss']:.4g}", f"{epoch['learning_rate']:.2g}"]
        held_out = "not finite" if score["loss"] is None else f"{score['loss']:.4g}"
        numbers = (trained[0], held_out, *share, trained[1], f"{epoch['seconds']:.1f}")
        table.add_row(f"{name} (kept)" if epoch["number"] == best else name, *numbers)
    return table


def _scales_table(moved: Sequence[Mapping[str, Any]]) -> Table:
    table = plain_table(["scales that moved most", "role", "times", "before", "after"], texts=2)
    for scale in moved[:_MOST_SCALES]:
        numbers = (f"{scale['factor']:.3f}", f"{scale['before']:.4g}", f"{scale['after']:.4g}")
        table.add_row(scale["tensor"], scale["role"], *numbers)
    return table
