"""What the tests of the target `onnxruntime` ask of a plan."""

from __future__ import annotations

from quantlab.plan import Plan
from quantlab.targets.onnxruntime import OnnxRuntime
from tests.patterns import PATTERNS
from tests.targets.onnxruntime_patterns import OWN_PATTERNS

ALL_PATTERNS = {**PATTERNS, **OWN_PATTERNS}


def place(pattern: str, *keep_float: str) -> Plan:
    """Return the plan of a pattern."""
    return OnnxRuntime().place(ALL_PATTERNS[pattern](), keep_float=keep_float)


def reason(plan: Plan, tensor: str) -> str:
    """Return why a tensor is float."""
    return " ".join(skip.reason for skip in plan.skips if skip.tensor == tensor)


def why_float(plan: Plan, node: str) -> str:
    """Return why a node is float."""
    return dict(plan.float_nodes).get(node, "")
