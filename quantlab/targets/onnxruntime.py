"""Places Q/DQ pairs for ONNX Runtime on x86-64 CPUs: what its optimizer needs to turn a node into an integer kernel.

    activations  uint8 affine; a range that begins at 0 has zero point 0, and then a Relu disappears into the rounding
    weights      int8, symmetric, one scale per output channel, [-127, 127]
    bias         int32, scale = activation scale × weight scale; also the bias an Add gives to a MatMul

A node becomes an integer kernel only if it reads dequantized values alone and its one output goes into exactly one
QuantizeLinear; a Gemm or MatMul may also leave float. So inputs and outputs of integer nodes are points, all
readers of an integer node's output read the rounded value, and only float nodes' outputs are read by some rounded
and by others not. Values that are merely moved keep their encoding.

A float node that happens to stand between dequantized inputs and a quantized output would be turned into an integer
kernel too, and a Conv, ConvTranspose or Gemm would even have its weight rounded with one scale for all channels
(ORT's WeightBiasQuantization). The plan's fences keep these float.

Sources: facts read off the optimizer and measured, see `onnxruntime_kernels`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from quantlab.graph.model import Model
from quantlab.plan import Plan, Point, Reader
from quantlab.scheme import Scheme
from quantlab.targets import graph_queries as ask
from quantlab.targets import onnxruntime_kernels as kernels
from quantlab.targets.draft import Draft
from quantlab.targets.keep_float import nodes_to_keep_float
from quantlab.targets.onnxruntime_constants import NO_CONSTANTS, must_round_behind
from quantlab.targets.onnxruntime_decisions import Decisions
from quantlab.targets.onnxruntime_fences import place_fences
from quantlab.targets.onnxruntime_reasons import explain

ACTIVATION = Scheme("uint8", symmetric=False)
_Ends = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True)
class OnnxRuntime:
    """Where ONNX Runtime's CPU provider wants Q/DQ pairs on x86-64."""

    @property
    def name(self) -> str:
        """The name users type."""
        return "onnxruntime"

    def place(self, model: Model, *, keep_float: Sequence[str] = ()) -> Plan:
        """Return what to quantize so that ONNX Runtime runs in integers what is faster there; see `Target.place`."""
        draft = Draft(model, self.name)
        decisions = Decisions(model, nodes_to_keep_float(model, keep_float))
        placer = _Placer(model, draft, decisions)
        for node in model.graph:
            if decisions.is_integer(node):
                placer.place(node)
        place_fences(model, draft, decisions)
        explain(model, draft, decisions)
        return draft.freeze()


class _Placer:
    """Puts points around one integer node after another, in graph order."""

    def __init__(self, model: Model, draft: Draft, decisions: Decisions) -> None:
        self._model = model
        self._draft = draft
        self._decisions = decisions

    def place(self, node: ir.Node) -> None:
        """Add the points that an integer node reads and leaves."""
        self._draft.integer(node.name or "")
        for index in kernels.data_inputs(node):
            value = node.inputs[index]
            if value is not None and self._decisions.maker_of(value) is None:
                self._add(value, (Reader(node.name or "", index),), *_known_range(value))
        constants = self._decisions.constants.get(node, NO_CONSTANTS)
        for point in (constants.weight, constants.bias):
            if point is not None:
                self._draft.add(point)
        may_leave_float = node.op_type in ("Gemm", "MatMul")
        if not may_leave_float or self._decisions.has_integer_reader(node):
            self._place_outputs(node)
        else:
            value = must_round_behind(node, constants)
            if value is not None:
                self._add(value, self._readers(value), *_known_range(value))

    def _place_outputs(self, node: ir.Node) -> None:
        if kernels.kind_of(node) == "move":
            source = node.inputs[0]
            known = self._draft.point(source.name or "") if source is not None else None
            assert known is not None, "the input of an integer node is a point by now"
            for value in node.outputs:
                self._add(value, self._readers(value), known.fixed_range, known.limits)
                self._draft.share(value.name or "", known.tensor)
            return
        value = self._decisions.output_of(node)
        self._add(value, self._readers(value), *_known_range(value))

    def _readers(self, value: ir.Value) -> tuple[Reader, ...]:
        return ask.readers(self._model, value)

    def _add(
        self, value: ir.Value, readers: tuple[Reader, ...], fixed_range: tuple[float, float] | None, limits: _Ends
    ) -> None:
        is_output = value.is_graph_output() and self._decisions.maker_of(value) is not None
        name = value.name or ""
        self._draft.add(Point(name, ACTIVATION, "activation", readers, is_output, None, None, fixed_range, limits))


def _known_range(value: ir.Value) -> tuple[tuple[float, float] | None, _Ends]:
    """Return the fixed range of a value and the limits of its range, as far as the node that makes it tells.

    A Softmax is limited, not fixed: over hundreds of entries its values stay far below 1.
    """
    node = value.producer()
    if node is None:
        return None, (None, None)
    if node.op_type == "Softmax":
        return None, (0.0, 1.0)
    bounds = ask.clip_bounds(node)
    if bounds is not None and bounds[0] == 0.0:
        return None, (0.0, _highest_within(bounds[1]))
    return ask.output_range(node), (None, None)


def _highest_within(bound: float) -> float | None:
    """Return the highest range end whose largest integer stands for no more than the bound: 255 · scale <= bound.

    ORT computes the product in float32, where it may come out one step above the bound it was divided from.
    """
    if math.isinf(bound):
        return None
    limit, steps = np.float32(bound), np.float32(ACTIVATION.highest)
    high = limit
    while np.float32(float(high) / ACTIVATION.highest) * steps > limit:
        high = np.nextafter(high, np.float32(0))
    return float(high)
