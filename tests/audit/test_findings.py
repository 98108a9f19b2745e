"""An audit's shares, its words and its JSON."""

from __future__ import annotations

import json

import pytest

from quantlab.audit import Audit, AuditRow, Conversion, Placement


def row(node: str, planned: Placement, *, is_integer: bool, work: int) -> AuditRow:
    return AuditRow(node, "Conv", planned, "correlation", is_integer, multiply_adds=work)


AUDIT = Audit(
    "tensorrt 11.1",
    (
        row("a", "integer", is_integer=True, work=60),
        row("b", "integer", is_integer=False, work=20),
        row("c", "float", is_integer=False, work=10),
    ),
    (Conversion("requantize", "kernel", ("relu",)), Conversion("reformat", "copy"), Conversion("reformat", "copy2")),
    multiply_adds=100,
)


def test_one_share_counts_planned_nodes_and_the_other_all_work() -> None:
    assert AUDIT.share == pytest.approx(1 / 2)
    assert AUDIT.multiply_add_share == pytest.approx(0.6)  # 10 of the 100 are in nodes that no plan speaks of
    assert [left.node for left in AUDIT.leftovers] == ["b"]


def test_a_model_without_products_needs_no_integers() -> None:
    assert Audit("x", ()).multiply_add_share == 1.0


def test_the_words_say_shares_and_conversions() -> None:
    assert str(AUDIT).splitlines() == [
        "tensorrt 11.1: 1 of 2 planned nodes run in integers (50%)",
        "  60.0% of 100 multiply-adds are on integers",
        "  kernels that convert: 1 requantize, 2 reformat",
        "  b (Conv): correlation",
    ]


def test_the_json_holds_everything() -> None:
    data = json.loads(AUDIT.to_json())
    assert (data["share"], data["multiply_add_share"], data["multiply_adds"]) == (0.5, 0.6, 100)
    assert [item["kind"] for item in data["conversions"]] == ["requantize", "reformat", "reformat"]
    assert data["rows"][0]["multiply_adds"] == 60


def test_a_plan_without_integer_nodes_is_not_said_to_be_met_in_full() -> None:
    assert str(Audit("onnxruntime 1.31.1", ())) == "onnxruntime 1.31.1: no node was planned in integers"
