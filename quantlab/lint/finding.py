"""What lint says: one finding per fault, with the rule, the node, why it matters and what to do."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

Severity = Literal["refused", "wrong", "slow"]
"""refused: the runtime does not load or build the model, or crashes. wrong: it runs, and computes other numbers than
the file says. slow: it runs, in float or with conversions that gain nothing."""

SEVERITIES: tuple[Severity, ...] = ("refused", "wrong", "slow")


class Hit(NamedTuple):
    """Where a rule found its fault.

    Attributes:
        node: the name of the node.
        tensor: the name of the tensor, or empty.
        detail: what is the matter there, in a few words.
    """

    node: str
    tensor: str
    detail: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault of one model.

    Attributes:
        rule: its identifier, such as `TRT101`.
        severity: what the fault leads to.
        node: the node's name.
        tensor: the tensor's name, or empty.
        what: what is the matter there.
        why: why that matters to the runtime.
        fix: what to do.
    """

    rule: str
    severity: Severity
    node: str
    tensor: str
    what: str
    why: str
    fix: str

    @property
    def place(self) -> str:
        """Where the fault is and what it is, in one line."""
        tensor = f"({self.tensor})" if self.tensor else ""
        where = " ".join(filter(None, (self.node, tensor)))
        return ": ".join(filter(None, (f"{self.rule} {self.severity}", where, self.what)))

    @property
    def remedy(self) -> str:
        """Why it matters and what to do, in two lines."""
        return f"    why: {self.why}\n    fix: {self.fix}"

    def __str__(self) -> str:
        return f"{self.place}\n{self.remedy}"

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)
