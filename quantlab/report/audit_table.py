"""An audit → what a person reads: its shares, then one line per node."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from quantlab.audit import Audit, AuditRow, Conversion
from quantlab.report.narrow import NarrowTable
from quantlab.report.prose import Prose

_FUSED = 2
_CONVERSIONS = 20


def render_audit(audit: Audit) -> RenderableType:
    """Return what rich prints of an audit."""
    parts: list[RenderableType] = [Prose(str(audit), hang=4), Text(), audit_table(audit), Text()]
    parts += [_reason_line(reason, rows, audit) for reason, rows in _reasons(audit).items()]
    if audit.conversions:
        parts += [Text("Kernels that convert:", style="bold"), *map(_conversion_line, audit.conversions[:_CONVERSIONS])]
        more = len(audit.conversions) - _CONVERSIONS
        parts += [Text(f"  and {more} more, which --json shows")] if more > 0 else []
        parts.append(Text())
    return Group(*parts)


def audit_table(audit: Audit) -> Table:
    """Return one line per node, in graph order."""
    table = NarrowTable(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("node", "operator", "planned", "runs in", "as", "with"):
        table.add_column(column, overflow="fold")
    table.add_column("of the work", justify="right")
    for row in audit.rows:
        planned = "int8" if row.planned == "integer" else "float"
        style = "" if row.is_as_planned else "bold red"
        cells = (row.node, row.op_type, planned, row.precision or "-", row.ran_as or "(dissolved)", _fused(row))
        table.add_row(*cells, _share(row, audit), style=style)
    return table


def _reasons(audit: Audit) -> dict[str, list[AuditRow]]:
    """Return the nodes that the plan leaves float, by the reason; the reason behind most of the work comes first."""
    found: dict[str, list[AuditRow]] = {}
    for row in audit.rows:
        if row.planned_reason:
            found.setdefault(row.planned_reason, []).append(row)
    return dict(sorted(found.items(), key=lambda item: -_work(item[1])))


def _reason_line(reason: str, rows: list[AuditRow], audit: Audit) -> RenderableType:
    named = ", ".join(row.node for row in rows[:_FUSED])
    more = f" and {len(rows) - _FUSED} more" if len(rows) > _FUSED else ""
    share = f" ({_work(rows) / audit.multiply_adds:.1%} of the work)" if _work(rows) else ""
    return Prose(f"float by plan: {named}{more}{share}: {reason}", hang=2)


def _work(rows: list[AuditRow]) -> int:
    return sum(row.multiply_adds for row in rows)


def _conversion_line(conversion: Conversion) -> RenderableType:
    computes = f", computes {', '.join(conversion.nodes)}" if conversion.nodes else ""
    return Prose(f"  {conversion.kind}: {conversion.kernel}{computes}")


def _fused(row: AuditRow) -> str:
    more = len(row.fused_with) - _FUSED
    return " ".join(row.fused_with[:_FUSED]) + (f" +{more}" if more > 0 else "")


def _share(row: AuditRow, audit: Audit) -> str:
    return f"{row.multiply_adds / audit.multiply_adds:.1%}" if row.multiply_adds and audit.multiply_adds else "-"
