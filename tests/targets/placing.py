"""What the tests of the target `tensorrt` ask of a plan."""

from __future__ import annotations

from quantlab.plan import Plan
from quantlab.targets.tensorrt import TensorRT
from tests.patterns import PATTERNS


def place(pattern: str, *keep_float: str) -> Plan:
    return TensorRT().place(PATTERNS[pattern](), keep_float=keep_float)


def edges(plan: Plan, role: str = "activation") -> set[str]:
    """Return the quantized edges as `node[input]`."""
    return {str(reader) for point in plan.points if point.role == role for reader in point.readers}


def reason(plan: Plan, tensor: str) -> str:
    """Return why a tensor is float."""
    return " ".join(skip.reason for skip in plan.skips if skip.tensor == tensor)
