"""Model with findings → model placed anew, and what is left to find in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from quantlab.graph.model import Model
from quantlab.interop.requantize import requantize
from quantlab.lint.check import Lint, lint


@dataclass(frozen=True, eq=False, slots=True)
class Fixed:
    """A repaired model.

    Attributes:
        before: what was found.
        after: what is found in the new model.
        model: the new model.
        notes: sentences about what changed.
    """

    before: Lint
    after: Lint
    model: Model
    notes: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join([str(self.before), *(f"fix: {note}" for note in self.notes), f"fixed: {self.after}"])

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {**self.before.to_json(), "notes": list(self.notes), "left": self.after.to_json()["findings"]}


def fix(model: Model, target: str = "tensorrt") -> Fixed:
    """Return a model without the faults that its own ranges suffice to repair.

    The encodings are read, all Q/DQ nodes are taken out, and the target places anew; numerics change.

    Args:
        model: a Q/DQ model of any tool; it is not changed.
        target: the runtime that is to take it.

    Raises:
        ModelError: a scale is computed at run time, integers are fed or handed out, or nothing is quantized.
        CalibrationError: nothing that the target would quantize has a usable scale.
    """
    before = lint(model, target)
    requantized = requantize(model, target)
    new = requantized.migration.int8_model
    return Fixed(before, lint(new, target), new, requantized.notes)
