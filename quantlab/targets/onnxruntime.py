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
from dataclasses import dataclass, replace

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
# ORT's kernel fails when run if the scale of a global average is below 1/256 of what it averages.
_FINEST_AVERAGE = 1 / 128


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
                self._draft.add(replace(_point_of(value), readers=(Reader(node.name or "", index),)))
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
                self._draft.add(self._read_by_all(value, _point_of(value)))

    def _place_outputs(self, node: ir.Node) -> None:
        source = node.inputs[0].name or "" if node.inputs[0] is not None else ""
        if kernels.kind_of(node) == "move":
            known = self._draft.point(source)
            assert known is not None, "the input of an integer node is a point by now"
            for value in node.outputs:
                self._draft.add(self._read_by_all(value, replace(known, tensor=value.name or "", scale_floor=None)))
                self._draft.share(value.name or "", source)
            return
        value = self._decisions.output_of(node)
        point = self._read_by_all(value, _point_of(value))
        floor = (source, _FINEST_AVERAGE) if node.op_type == "GlobalAveragePool" else None
        self._draft.add(replace(point, scale_floor=floor))

    def _read_by_all(self, value: ir.Value, point: Point) -> Point:
        """Return a point with everything that reads its value: one float reader, and the node before it is float."""
        return replace(point, readers=ask.readers(self._model, value), is_output=value.is_graph_output())


def _point_of(value: ir.Value) -> Point:
    """Return an activation without readers, with what the node that makes it tells of its range.

    A Softmax is limited, not fixed: over hundreds of entries its values stay far below 1.
    """
    point = Point(value.name or "", ACTIVATION, "activation", ())
    node = value.producer()
    if node is None:
        return point
    if node.op_type == "Softmax":
        return replace(point, limits=(0.0, 1.0))
    bounds = ask.clip_bounds(node)
    if bounds is not None and bounds[0] == 0.0:
        return replace(point, limits=(0.0, _highest_within(bounds[1])))
    return replace(point, fixed_range=ask.output_range(node))


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
