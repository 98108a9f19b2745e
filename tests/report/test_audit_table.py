"""What `quantlab audit` prints says of all work that is not done in integers why."""

from __future__ import annotations

import io

from rich.console import Console

from quantlab.audit import Audit, AuditRow
from quantlab.report.audit_table import render_audit


def printed(*rows: AuditRow) -> list[str]:
    audit = Audit("tensorrt 11.1", rows, multiply_adds=sum(row.multiply_adds for row in rows))
    with io.StringIO() as text:
        Console(file=text, width=200).print(render_audit(audit))
        return text.getvalue().splitlines()


def left_float(node: str, work: int, why: str) -> AuditRow:
    return AuditRow(node, "Conv", "float", "correlation", is_integer=False, multiply_adds=work, planned_reason=why)


def test_the_reason_behind_most_of_the_float_work_comes_first_with_its_share() -> None:
    lines = printed(
        left_float("tiny", 1, "Too few channels."),
        left_float("dw1", 40, "Depthwise."),
        left_float("dw2", 20, "Depthwise."),
        left_float("dw3", 0, "Depthwise."),
        AuditRow("conv", "Conv", "integer", "correlation", is_integer=True, multiply_adds=139),
    )
    assert [line for line in lines if line.startswith("float by plan")] == [
        "float by plan: dw1, dw2 and 1 more (30.0% of the work): Depthwise.",
        "float by plan: tiny (0.5% of the work): Too few channels.",
    ]


def test_a_node_without_multiply_adds_has_no_share() -> None:
    assert "float by plan: pool: No kernel." in printed(left_float("pool", 0, "No kernel."))
