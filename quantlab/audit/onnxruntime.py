"""INT8 model + plan → proof, node by node, of what a runtime made of it.

A Q/DQ model is only a wish: whether a node runs in integers is decided by the runtime's optimizer, silently. The
audit of ONNX Runtime lets it write the graph it would execute (`SessionOptions.optimized_model_filepath`, all
optimizations on) and looks every node of the plan up in it. Before that, nodes get names that survive fusion: what a
fused node is called is made of the names of the nodes that went into it.

    planned integer, became QLinearConv, QGemm, MatMulIntegerToFloat, ... or moves integers    runs in integers
    planned integer, is still Conv, Gemm, Add, ... on floats                                   left over, with a reason
    planned float, became an integer node                                                      against the plan

A node that only moves values and was planned float is not looked at: it gives the same values either way.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import onnx_ir as ir

from quantlab.audit.findings import Audit, AuditRow, Conversion, Placement
from quantlab.audit.planned import behind_activations, spoken_of
from quantlab.audit.work import Sizes, multiply_adds
from quantlab.engines.onnxruntime import OnnxRuntime
from quantlab.graph.model import Model
from quantlab.graph.save import save
from quantlab.plan import Plan


def audit_onnxruntime(model: Model, plan: Plan, *, shapes: Mapping[str, Sizes] | None = None) -> Audit:
    """Return what ONNX Runtime's CPU provider makes of a baked INT8 model.

    Args:
        model: what `bake` made; it is not changed.
        plan: the plan it was made with.
        shapes: what the inputs are fed, for counting work; see `multiply_adds`.

    Raises:
        PlanError: the plan names a node that the model does not have.
        EngineError: ONNX Runtime refuses the model.
    """
    import onnxruntime

    nodes = model.nodes_by_name()
    looked_at = [
        item for item in spoken_of(model, plan) if item[1] == "integer" or nodes[item[0]].op_type not in _MOVES
    ]
    order = {name: index for index, name in enumerate(nodes)}
    with OnnxRuntime(threads=1).open(model):
        pass  # from here on it is known to load
    optimized = _Optimized(_optimized_graph(traceable(model)), tuple(nodes))
    work, reasons = multiply_adds(model, shapes), dict(plan.float_nodes)
    rows = tuple(
        replace(
            optimized.row(nodes[name], order[name], planned),
            multiply_adds=work.get(name, 0),
            planned_reason=reasons.get(name, ""),
        )
        for name, planned in looked_at
    )
    conversions = tuple(optimized.conversions())
    return Audit(f"onnxruntime {onnxruntime.__version__}", rows, conversions, sum(work.values()))


# ONNX Runtime derives the names of fused nodes from these.
_TRACE = re.compile(r"quantlab_node_(\d+)_")
_INTEGER_OPERATORS = re.compile(r"QLinear\w+|QGemm|MatMulInteger\w*")
# What stands beside a node and is not what it became: conversions of type and of layout, and its activation.
_BESIDE = ("QuantizeLinear", "DequantizeLinear", "ReorderInput", "ReorderOutput", "Relu", "Clip")
_MOVES = frozenset(
    ("MaxPool", "Resize", "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Slice", "Gather", "Expand")
) | {"Tile", "Split", "ReduceMax", "ReduceMin"}


def traceable(model: Model) -> Model:
    """Return a clone whose nodes, and what they leave, are called by the node's number in `nodes_by_name`.

    A Relu or Clip is called like the node before it, because a fused node may be named by its last output.
    """
    order = {name: index for index, name in enumerate(model.nodes_by_name())}
    clone = model.clone()
    numbers: dict[ir.Node, int] = {}
    for node in clone.graph:
        before = node.inputs[0].producer() if node.op_type in ("Relu", "Clip") and node.inputs[0] is not None else None
        numbers[node] = order.get(node.name or "", -1) if before is None else numbers[before]
    for position, (node, number) in enumerate(numbers.items()):
        node.name = f"quantlab_node_{number}_at_{position}"
        for index, value in enumerate(node.outputs):
            if value.name:  # an output left out has none
                value.name = f"quantlab_node_{number}_at_{position}_output_{index}"
    return clone


def _optimized_graph(model: Model) -> ir.Graph:
    """Return the graph that ONNX Runtime would execute for a model."""
    import onnxruntime

    with tempfile.TemporaryDirectory(prefix="quantlab-") as folder:
        source, target = Path(folder) / "model.onnx", Path(folder) / "optimized.onnx"
        save(model, source)
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(target)
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        options.add_session_config_entry("session.optimized_model_external_initializers_file_name", "weights.bin")
        onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
        return ir.load(target).graph


class _Optimized:
    """The graph that ONNX Runtime executes, by the number of the nodes it came from."""

    def __init__(self, graph: ir.Graph, names: tuple[str, ...]) -> None:
        self._graph = graph
        self._names = names
        self._nodes: dict[int, list[ir.Node]] = {}
        self._integer_values = {name for name, value in graph.initializers.items() if _is_integer_type(value.dtype)}
        self._integer_values |= {value.name or "" for value in graph.inputs if _is_integer_type(value.dtype)}
        for node in graph:
            self._note(node)

    def row(self, node: ir.Node, number: int, planned: Placement) -> AuditRow:
        """Return what became of a node of the model."""
        became = [made for made in self._nodes.get(number, []) if made.op_type not in _BESIDE]
        if node.op_type not in _MOVES:  # a fusion may leave a Reshape or Transpose under the name
            became = [made for made in became if made.op_type not in _MOVES]
        is_integer = any(_INTEGER_OPERATORS.fullmatch(made.op_type) or self._reads_integers(made) for made in became)
        if not became and node.op_type in _MOVES:
            is_integer = planned == "integer"  # moved elsewhere or merged; what does not run costs nothing
        ran_as = "+".join(dict.fromkeys(made.op_type for made in became))
        precision = "int8" if is_integer else "float32"
        row = AuditRow(node.name or "", node.op_type, planned, ran_as, is_integer, precision=precision)
        if not {"Relu", "Clip"}.intersection(made.op_type for made in self._nodes.get(number, [])):
            row = replace(row, fused_with=tuple(made.name or "" for made in behind_activations(node)[0]))
        if row.is_as_planned:
            return row
        return replace(row, reason=_why_float(node) if planned == "integer" else "It was to stay float.")

    def conversions(self) -> Iterator[Conversion]:
        """Yield the nodes that only convert, in order of execution."""
        for node in self._graph:
            number = _number_of(node)
            if node.op_type in ("ReorderInput", "ReorderOutput") or (node.op_type == "Transpose" and number is None):
                yield Conversion("reformat", node.op_type)
            elif node.op_type in ("QuantizeLinear", "DequantizeLinear") and not _is_constant(self._graph, node):
                kernel = node.op_type if number is None else f"{node.op_type} {self._names[number]}"
                yield Conversion("quantize" if node.op_type == "QuantizeLinear" else "dequantize", kernel)

    def _note(self, node: ir.Node) -> None:
        number = _number_of(node)
        if number is not None:
            self._nodes.setdefault(number, []).append(node)
        if self._leaves_integers(node):
            self._integer_values |= {value.name or "" for value in node.outputs}

    def _leaves_integers(self, node: ir.Node) -> bool:
        if node.op_type == "QGemm":
            return len(node.inputs) > 7 and node.inputs[7] is not None  # the scale of its output
        if node.op_type == "QuantizeLinear" or node.op_type.startswith("QLinear"):
            return True
        if node.op_type == "Cast":  # of an image in bytes, say
            return _is_integer_type(ir.DataType(node.attributes.get_int("to")))
        is_kernel = _INTEGER_OPERATORS.fullmatch(node.op_type) is not None
        return not is_kernel and node.op_type != "DequantizeLinear" and self._reads_integers(node)

    def _reads_integers(self, node: ir.Node) -> bool:
        return bool(node.inputs) and node.inputs[0] is not None and node.inputs[0].name in self._integer_values


def _number_of(node: ir.Node) -> int | None:
    """Return the number of the node that an executed node came from, or None where none is known."""
    names = (node.name, *(value.name for value in node.outputs))
    return next((number for name in names if (number := traced_number(name or "")) is not None), None)


def traced_number(name: str) -> int | None:
    """Return the number of a node in a name that `traceable` gave, or that was derived from it; None without one."""
    found = _TRACE.search(name)
    return None if found is None else int(found[1])


def _is_constant(graph: ir.Graph, node: ir.Node) -> bool:
    return node.inputs[0] is not None and node.inputs[0].name in graph.initializers


def _is_integer_type(dtype: ir.DataType | None) -> bool:
    return dtype in (ir.DataType.UINT8, ir.DataType.INT8)


def _why_float(node: ir.Node) -> str:
    """Return why ONNX Runtime could not make an integer node of one, as far as the model around it tells."""
    # It rounds the bias of a Conv or Gemm itself, if the rest is between pairs.
    operands = node.inputs[:2] if node.op_type in ("Conv", "Gemm") else node.inputs
    for value in operands:
        maker = None if value is None else value.producer()
        is_float = value is not None and value.dtype in (ir.DataType.FLOAT, None)
        if value is not None and is_float and (maker is None or maker.op_type != "DequantizeLinear"):
            return f"It reads {value.name} as float."
    activations, readers = behind_activations(node)
    last = activations[-1] if activations else node
    if activations and len(readers) == 1 and readers[0].op_type == "QuantizeLinear":
        return f"Some integers of {last.outputs[0].name} stand for values that {last.name} clips."
    others = [reader.name for reader in readers if reader.op_type != "QuantizeLinear"]
    if others:
        return f"Its float output is read by {', '.join(map(str, others))}."
    if not readers:
        return f"Nothing quantizes {last.outputs[0].name}, and an integer {node.op_type} ends in a QuantizeLinear."
    return "ONNX Runtime did not fuse it, and does not say why; `quantlab lint --target onnxruntime` may."
