"""What a benchmark found: a number, and the target it is held against, if there is one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["pass", "miss"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One measured number.

    Attributes:
        what: what was measured.
        value: the number.
        unit: such as `x` or `ms`.
        at_least: the target, where more is better.
        at_most: the target, where less is better.
        detail: what the number is made of.
    """

    what: str
    value: float
    unit: str
    at_least: float | None = None
    at_most: float | None = None
    detail: str = ""

    @property
    def verdict(self) -> Verdict | None:
        """Whether the target is met; None where there is none."""
        if self.at_least is not None:
            return "pass" if self.value >= self.at_least else "miss"
        if self.at_most is not None:
            return "pass" if self.value <= self.at_most else "miss"
        return None

    def __str__(self) -> str:
        target = ""
        if self.at_least is not None:
            target = f"  target >= {self.at_least:g}{self.unit}: {self.verdict}"
        elif self.at_most is not None:
            target = f"  target <= {self.at_most:g}{self.unit}: {self.verdict}"
        detail = f"  ({self.detail})" if self.detail else ""
        return f"{self.what}: {self.value:.3g}{self.unit}{target}{detail}"
