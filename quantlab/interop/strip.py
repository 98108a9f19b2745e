"""Q/DQ model of any tool → the float model it was made of, and where it was quantized.

    x ─Q─▶ ─DQ─▶ node       becomes   x ─▶ node
    integers ─DQ─▶ node     becomes   a float weight or bias ─▶ node, the values that the integers stood for

A pair whose lowest integer stands for 0 cuts off what is negative, and ONNX Runtime's quantizer drops a Relu or Clip
before one. On request such a pair leaves a Clip, unless nothing negative can come.

Names of nodes, inputs and outputs stay. What a constant was before it was rounded is not restored. Nodes whose scale
is computed at run time, and operators that compute on integers themselves, stay as they are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir

from quantlab.affine import FloatArray
from quantlab.graph.model import Model
from quantlab.graph.passes.infer_shapes import infer_shapes
from quantlab.graph.passes.lift_constants import lift_constants
from quantlab.graph.passes.name_everything import name_everything
from quantlab.graph.passes.queries import new_initializer, unique_name
from quantlab.graph.passes.remove_unused import remove_unused
from quantlab.interop import sites as at
from quantlab.interop.signs import lowest
from quantlab.interop.sites import Site
from quantlab.plan import Reader, Role
from quantlab.targets.tensorrt_joins import moves_values

_SUFFIX = "_quantized"
_FLOATS = frozenset({ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16, ir.DataType.DOUBLE})


@dataclass(frozen=True, eq=False, slots=True)
class Stripped:
    """A model without its Q/DQ nodes.

    Attributes:
        named: the model as it was, every node and value named; findings speak of its nodes.
        model: the float model; not prepared.
        sites: where it was quantized, in graph order.
    """

    named: Model
    model: Model
    sites: tuple[Site, ...]

    @property
    def by_edge(self) -> Mapping[Reader, Site]:
        """The sites by the node input that reads them."""
        return {reader: site for site in self.sites for reader in site.readers}

    @property
    def by_tensor(self) -> Mapping[str, tuple[Site, ...]]:
        """The sites by the float tensor."""
        found = defaultdict(list)
        for site in self.sites:
            found[site.tensor].append(site)
        return {tensor: tuple(of_tensor) for tensor, of_tensor in found.items()}


def strip(model: Model, *, restore_clips: bool = False) -> Stripped:
    """Return a model without its Q/DQ nodes.

    Args:
        model: what any tool made; it is not changed.
        restore_clips: whether to put a Clip where a pair cut off negative values.
    """
    named = model.clone()
    for run_pass in (lift_constants, name_everything, infer_shapes):
        run_pass(named.ir_model)
    stripper = _Stripper(named.clone(), restore_clips=restore_clips)
    return Stripped(named, stripper.stripped(), stripper.sites())


class _Stripper:
    """Takes the Q/DQ nodes out of a model it owns."""

    def __init__(self, model: Model, *, restore_clips: bool) -> None:
        self._model = model
        self._restore_clips = restore_clips
        self._graph = model.graph
        self._found: list[tuple[ir.Value, Site]] = []
        # Several DequantizeLinear nodes may read one constant; they get one float.
        self._floats: dict[tuple[ir.Value | None, ...], ir.Value] = {}
        self._clipped: dict[ir.Node, ir.Value] = {}

    def stripped(self) -> Model:
        for node in list(self._graph):
            if at.is_quantize(node):
                self._strip_quantize(node)
            elif at.is_dequantize(node):
                self._strip_dequantize(node)
        remove_unused(self._model.ir_model)
        infer_shapes(self._model.ir_model)
        return self._model

    def sites(self) -> tuple[Site, ...]:
        return tuple(replace(site, tensor=value.name or "") for value, site in self._found)

    def _strip_quantize(self, node: ir.Node) -> None:
        """Hand floats to what moves the integers; the node itself goes when nothing reads it any more."""
        source = node.inputs[0]
        others = [use for use in node.outputs[0].uses() if not at.is_dequantize(use.node)]
        if source is None or not (others or node.outputs[0].is_graph_output()):
            return
        self._note(source, node, None, [(use.node, use.idx) for use in others])
        for use in others if at.known_constant(node.inputs[1]) is not None else ():
            if _moves_integers(use.node):
                use.node.replace_input_with(use.idx, source)
                _retype(use.node, source.type)

    def _strip_dequantize(self, node: ir.Node) -> None:
        integers, output = node.inputs[0], node.outputs[0]
        if integers is None:
            return
        quantize = integers.producer() if at.is_quantize(integers.producer()) else None
        source = self._source_of(quantize) if quantize is not None else self._float_of(node, integers)
        readers = [(use.node, use.idx) for use in output.uses() if not at.is_quantize(use.node)]
        self._note(integers if source is None else source, quantize, node, readers)
        if source is None or at.known_constant(node.inputs[1]) is None:
            return
        if output.is_graph_output():
            source = self._exposed(source, output)
            self._found[-1] = (source, self._found[-1][1])
        output.replace_all_uses_with(source)

    def _source_of(self, quantize: ir.Node) -> ir.Value | None:
        """Return what a QuantizeLinear rounds, behind a Clip where that restores what it cut off."""
        source = quantize.inputs[0]
        bounds = at.clipped_range(quantize)
        if source is None or bounds is None or not self._restore_clips or lowest(source) >= 0.0:
            return source
        if quantize not in self._clipped:
            limits = [
                new_initializer(self._graph, f"{source.name}_{end}", np.asarray(bound, np.float32))
                for end, bound in zip(("lowest", "highest"), bounds, strict=True)
            ]
            output = ir.val(unique_name(self._graph, f"{source.name}_clipped"), source.dtype, source.shape)
            clip = ir.node("Clip", [source, *limits], outputs=[output], name=f"{source.name}_Clip")
            self._graph.insert_before(quantize, clip)
            self._clipped[quantize] = output
        return self._clipped[quantize]

    def _note(
        self,
        source: ir.Value,
        quantize: ir.Node | None,
        dequantize: ir.Node | None,
        readers: Sequence[tuple[ir.Node, int]],
    ) -> None:
        node = dequantize or quantize
        assert node is not None
        first = quantize or node
        site = Site(
            tensor="",
            quantize=None if quantize is None else quantize.name,
            dequantize=None if dequantize is None else dequantize.name,
            domain=node.domain,
            scale=at.known_constant(node.inputs[1]),
            zero_point=at.known_constant(node.inputs[2]) if len(node.inputs) > 2 else None,
            has_zero_point=len(first.inputs) > 2 and first.inputs[2] is not None,
            dtype=at.integer_type(first),
            axis=at.axis_of(node),
            is_blocked=at.is_blocked(node),
            role=_role(source, first, readers),
            readers=tuple(sorted(Reader(reader.name or "", index) for reader, index in readers)),
            is_output=node.outputs[0].is_graph_output(),
        )
        self._found.append((source, site))

    def _float_of(self, node: ir.Node, integers: ir.Value) -> ir.Value | None:
        """Return the float that integers stand for, a constant or what moved integers until now, or None."""
        if not at.is_constant_rooted(integers):
            return integers if _moves_floats(integers.producer()) else None
        key = tuple(node.inputs)
        if key not in self._floats:
            array = dequantized(node)
            if array is None:
                return None
            name = (integers.name or "constant").removesuffix(_SUFFIX)
            if name == integers.name and integers.is_initializer():
                integers.name = unique_name(self._graph, f"{name}{_SUFFIX}")
            self._floats[key] = new_initializer(self._graph, name, array)
        return self._floats[key]

    def _exposed(self, source: ir.Value, output: ir.Value) -> ir.Value:
        """Make a value the graph output that its dequantized form was, under the name that users know."""
        name = output.name
        output.name = None
        if source.producer() is None or source.is_graph_output():
            node = ir.node("Identity", [source], name=f"{name}_Identity")
            self._graph.append(node)
            node.outputs[0].type, node.outputs[0].shape = source.type, source.shape
            source = node.outputs[0]
        source.name = name
        for index, value in enumerate(self._graph.outputs):
            if value is output:
                self._graph.outputs[index] = source
        return source


def dequantized(node: ir.Node) -> FloatArray | None:
    """Return what the constant integers of a DequantizeLinear stand for, or None if its parameters do not fit them."""
    integers, scale = at.known_constant(node.inputs[0]), at.known_constant(node.inputs[1])
    if integers is None or scale is None or at.is_blocked(node) or integers.dtype.kind not in "iu":
        return None
    zero_point = at.known_constant(node.inputs[2]) if len(node.inputs) > 2 else None
    if zero_point is None:
        zero_point = np.zeros(scale.shape, integers.dtype)
    if scale.size == 1:
        scale, zero_point = scale.reshape(()), zero_point.reshape(-1)[:1].reshape(())
    elif not -integers.ndim <= at.axis_of(node) < integers.ndim or integers.shape[at.axis_of(node)] != scale.size:
        return None
    else:
        shape = [1] * integers.ndim
        shape[at.axis_of(node)] = scale.size
        scale, zero_point = scale.reshape(shape), zero_point.reshape(shape)
    offset = integers.astype(np.int64) - zero_point.astype(np.int64)
    return np.asarray(np.multiply(offset.astype(np.float32), scale.astype(np.float32)), scale.dtype)


def why_it_stays(model: Model) -> str:
    """Return why the first DequantizeLinear that `strip` left in a model could not go."""
    node = next(filter(at.is_dequantize, model.graph), None)
    scale = None if node is None else at.known_constant(node.inputs[1])
    if node is None or scale is None:
        return "its scale or its integers are only known at run time"
    if "block_size" in node.attributes and node.attributes["block_size"].as_int() > 0:
        return "it has a scale per block of values"
    if scale.ndim > 1:
        return f"its scale has shape {list(scale.shape)}, where ONNX wants one number or one row of them"
    return "its integers are only known at run time, or its scales do not fit them"


def _moves_integers(node: ir.Node) -> bool:
    return node.op_type == "Concat" or moves_values(node)


def _retype(node: ir.Node, kind: ir.TypeProtocol | None) -> None:
    """Say that a node, and those behind it that only move values, leave floats."""
    for output in node.outputs:
        output.type = kind
        for use in output.uses():
            if _moves_integers(use.node):
                _retype(use.node, kind)


def _moves_floats(node: ir.Node | None) -> bool:
    """Whether a node, that moved integers perhaps, moves floats now."""
    if node is None or not _moves_integers(node) or node.inputs[0] is None:
        return False
    return node.inputs[0].dtype in _FLOATS or _moves_floats(node.inputs[0].producer())


def _role(source: ir.Value, node: ir.Node, readers: Sequence[tuple[ir.Node, int]]) -> Role:
    if not at.is_constant_rooted(source):
        return "activation"
    is_bias = any(index == 2 and reader.op_type in ("Conv", "ConvTranspose", "Gemm") for reader, index in readers)
    return "bias" if is_bias or at.integer_type(node) == ir.DataType.INT32 else "weight"
