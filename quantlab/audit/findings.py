"""What an audit finds: per node how it was planned and how it runs, and the kernels that only convert."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Literal

Placement = Literal["integer", "float"]
ConversionKind = Literal["quantize", "dequantize", "requantize", "reformat"]


@dataclass(frozen=True, slots=True)
class AuditRow:
    """What became of one node.

    Attributes:
        node: its name in the plan.
        op_type: its operator in the model.
        planned: where the plan wants it to run.
        ran_as: the operators or layers it became, joined by "+"; empty where the optimizer dissolved it.
        is_integer: whether these work on integers.
        reason: why it does not run as planned, or empty.
        precision: the type it reads there, such as `int8`, `uint8`, `float16` or `float32`; empty where unknown.
        fused_with: the other nodes of the model that run in the same kernel.
        multiply_adds: how many it does for one sample, or 0 for a node that multiplies no matrices.
        planned_reason: why the plan leaves it float, or empty.
    """

    node: str
    op_type: str
    planned: Placement
    ran_as: str
    is_integer: bool
    reason: str = ""
    precision: str = ""
    fused_with: tuple[str, ...] = ()
    multiply_adds: int = 0
    planned_reason: str = ""

    @property
    def is_as_planned(self) -> bool:
        """Whether it runs where the plan wants it to."""
        return self.is_integer == (self.planned == "integer")

    def __str__(self) -> str:
        ran_as = self.ran_as or "(dissolved)"
        return f"{self.node} ({self.op_type}): {ran_as}" + (f" - {self.reason}" if self.reason else "")


@dataclass(frozen=True, slots=True)
class Conversion:
    """A kernel that only changes how numbers are held.

    Attributes:
        kind: `quantize` (float in, integers out), `dequantize`, `requantize` (as `quantize`, and computes nodes that
            no product took in) or `reformat` (another order in memory or another type).
        kernel: what the runtime calls it.
        nodes: the nodes of the model that it computes on the way, Q/DQ nodes left out.
    """

    kind: ConversionKind
    kernel: str
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Audit:
    """What a runtime made of an INT8 model.

    Attributes:
        engine: the runtime and its version.
        rows: the nodes the plan speaks of, in graph order.
        conversions: the kernels that only convert, in order of execution.
        multiply_adds: of all convolutions and matrix products of the model, for one sample.
    """

    engine: str
    rows: tuple[AuditRow, ...]
    conversions: tuple[Conversion, ...] = ()
    multiply_adds: int = 0

    @property
    def share(self) -> float:
        """Of the nodes planned to run in integers, the share that does; 1 where none is planned."""
        planned = [row for row in self.rows if row.planned == "integer"]
        return sum(row.is_integer for row in planned) / len(planned) if planned else 1.0

    @property
    def multiply_add_share(self) -> float:
        """Of all multiply-adds of the model, planned or not, the share done on integers; 1 where there are none."""
        done = sum(row.multiply_adds for row in self.rows if row.is_integer)
        return done / self.multiply_adds if self.multiply_adds else 1.0

    @property
    def leftovers(self) -> tuple[AuditRow, ...]:
        """The nodes that do not run where the plan wants them to."""
        return tuple(row for row in self.rows if not row.is_as_planned)

    def __str__(self) -> str:
        planned = sum(row.planned == "integer" for row in self.rows)
        made = sum(row.planned == "integer" and row.is_integer for row in self.rows)
        share = f"{made} of {planned} planned nodes run in integers ({self.share:.0%})"
        lines = [f"{self.engine}: " + (share if planned else "no node was planned in integers")]
        if self.multiply_adds:
            lines.append(f"  {self.multiply_add_share:.1%} of {self.multiply_adds:,} multiply-adds are on integers")
        counts = Counter(conversion.kind for conversion in self.conversions)
        if counts:
            lines.append("  kernels that convert: " + ", ".join(f"{count} {kind}" for kind, count in counts.items()))
        return "\n".join([*lines, *(f"  {row}" for row in self.leftovers)])

    def to_json(self) -> str:
        """Return the audit as JSON text: engine, shares, rows and conversions."""
        content = {
            "engine": self.engine,
            "share": self.share,
            "multiply_adds": self.multiply_adds,
            "multiply_add_share": self.multiply_add_share,
            "rows": [asdict(row) for row in self.rows],
            "conversions": [asdict(conversion) for conversion in self.conversions],
        }
        return json.dumps(content, indent=1)
