"""What a target is: the description of a runtime that turns a prepared model into a plan.

A target is rules and data; it imports no runtime. Its whole interface is one name and one function, so that
everything downstream (statistics, Q/DQ insertion, training, reports) depends on the plan only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from quantlab.graph.model import Model
from quantlab.plan import Plan

WeightScales = Literal["per-channel", "per-tensor"]
"""Whether a weight has one scale per output channel, or one."""


class Target(Protocol):
    """A runtime described: which tensors it wants quantized, and how."""

    @property
    def name(self) -> str:
        """The name users type, such as `onnxruntime`."""
        ...

    def place(self, model: Model, *, keep_float: Sequence[str] = ()) -> Plan:
        """Return which tensors of a prepared model to quantize, and why the others are not.

        Args:
            model: a prepared model: named nodes, folded constants, known ranks. It is not changed.
            keep_float: nodes to leave float: names, shell patterns (`head.*`) or operator types.

        Returns:
            The plan, in graph order, the same for the same arguments.

        Raises:
            PlanError: a `keep_float` entry matches nothing, or the model is not prepared or already quantized.
        """
        ...
