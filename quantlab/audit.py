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

import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import onnx_ir as ir

from quantlab.engines.onnxruntime import OnnxRuntime
from quantlab.errors import PlanError
from quantlab.graph.model import Model
from quantlab.graph.save import save
from quantlab.plan import Plan

Placement = Literal["integer", "float"]


@dataclass(frozen=True, slots=True)
class AuditRow:
    """What became of one node.

    Attributes:
        node: its name in the plan.
        op_type: its operator in the model.
        planned: where the plan wants it to run.
        ran_as: the operators it became, joined by "+"; empty where the optimizer dissolved it.
        is_integer: whether these work on integers.
        reason: why it does not run as planned, or empty.
    """

    node: str
    op_type: str
    planned: Placement
    ran_as: str
    is_integer: bool
    reason: str = ""

    @property
    def is_as_planned(self) -> bool:
        """Whether it runs where the plan wants it to."""
        return self.is_integer == (self.planned == "integer")

    def __str__(self) -> str:
        ran_as = self.ran_as or "(dissolved)"
        return f"{self.node} ({self.op_type}): {ran_as}" + (f" - {self.reason}" if self.reason else "")


@dataclass(frozen=True, slots=True)
class Audit:
    """What a runtime made of an INT8 model.

    Attributes:
        engine: the runtime and its version.
        rows: the nodes the plan speaks of, in graph order.
    """

    engine: str
    rows: tuple[AuditRow, ...]

    @property
    def share(self) -> float:
        """Of the nodes planned to run in integers, the share that does; 1 where none is planned."""
        planned = [row for row in self.rows if row.planned == "integer"]
        return sum(row.is_integer for row in planned) / len(planned) if planned else 1.0

    @property
    def leftovers(self) -> tuple[AuditRow, ...]:
        """The nodes that do not run where the plan wants them to."""
        return tuple(row for row in self.rows if not row.is_as_planned)

    def __str__(self) -> str:
        planned = sum(row.planned == "integer" for row in self.rows)
        made = sum(row.planned == "integer" and row.is_integer for row in self.rows)
        lines = [f"{self.engine}: {made} of {planned} planned nodes run in integers ({self.share:.0%})"]
        return "\n".join([*lines, *(f"  {row}" for row in self.leftovers)])

    def to_json(self) -> str:
        """Return the audit as JSON text: engine, share and rows."""
        rows = [asdict(row) for row in self.rows]
        return json.dumps({"engine": self.engine, "share": self.share, "rows": rows}, indent=1)


def audit_onnxruntime(model: Model, plan: Plan) -> Audit:
    """Return what ONNX Runtime's CPU provider makes of a baked INT8 model.

    Args:
        model: what `bake` made; it is not changed.
        plan: the plan it was made with.

    Raises:
        PlanError: the plan names a node that the model does not have.
        EngineError: ONNX Runtime refuses the model.
    """
    import onnxruntime

    nodes = model.nodes_by_name()
    spoken_of: list[tuple[str, Placement]] = [(name, "integer") for name in plan.integer_nodes]
    spoken_of += [(name, "float") for name, _ in plan.float_nodes]
    for name, _ in spoken_of:
        if name not in nodes:
            raise PlanError(f"plan: the model has no node {name!r}; audit the model with the plan it was made with")
    spoken_of = [item for item in spoken_of if item[1] == "integer" or nodes[item[0]].op_type not in _MOVES]
    order = {name: index for index, name in enumerate(nodes)}
    with OnnxRuntime(threads=1).open(model):
        pass  # from here on it is known to load
    optimized = _Optimized(_optimized_graph(_with_traceable_names(model, order)))
    spoken_of.sort(key=lambda item: order[item[0]])
    rows = tuple(optimized.row(nodes[name], order[name], planned) for name, planned in spoken_of)
    return Audit(f"onnxruntime {onnxruntime.__version__}", rows)


# ONNX Runtime derives the names of fused nodes from these.
_TRACE = re.compile(r"quantlab_node_(\d+)_")
_INTEGER_OPERATORS = re.compile(r"QLinear\w+|QGemm|MatMulInteger\w*")
# What stands beside a node and is not what it became: conversions of type and of layout, and its activation.
_BESIDE = ("QuantizeLinear", "DequantizeLinear", "ReorderInput", "ReorderOutput", "Relu", "Clip")
_MOVES = frozenset(
    ("MaxPool", "Resize", "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Slice", "Gather", "Expand")
) | {"Tile", "Split", "ReduceMax", "ReduceMin"}


def _with_traceable_names(model: Model, order: Mapping[str, int]) -> Model:
    """Return a clone whose nodes, and what they leave, are called by the node's number.

    A Relu or Clip is called like the node before it, because a fused node may be named by its last output.
    """
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

    def __init__(self, graph: ir.Graph) -> None:
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
        row = AuditRow(node.name or "", node.op_type, planned, ran_as, is_integer)
        if row.is_as_planned:
            return row
        return replace(row, reason=_why_float(node) if planned == "integer" else "It was to stay float.")

    def _note(self, node: ir.Node) -> None:
        for name in (node.name, *(value.name for value in node.outputs)):
            found = _TRACE.search(name or "")
            if found is not None:
                self._nodes.setdefault(int(found[1]), []).append(node)
                break
        if self._leaves_integers(node):
            self._integer_values |= {value.name or "" for value in node.outputs}

    def _leaves_integers(self, node: ir.Node) -> bool:
        if node.op_type == "QGemm":
            return len(node.inputs) > 7 and node.inputs[7] is not None  # the scale of its output
        if node.op_type == "QuantizeLinear" or node.op_type.startswith("QLinear"):
            return True
        is_kernel = _INTEGER_OPERATORS.fullmatch(node.op_type) is not None
        return not is_kernel and node.op_type != "DequantizeLinear" and self._reads_integers(node)

    def _reads_integers(self, node: ir.Node) -> bool:
        return bool(node.inputs) and node.inputs[0] is not None and node.inputs[0].name in self._integer_values


def _is_integer_type(dtype: ir.DataType | None) -> bool:
    return dtype in (ir.DataType.UINT8, ir.DataType.INT8)


def _why_float(node: ir.Node) -> str:
    """Return why ONNX Runtime could not make an integer node of one, as far as the model around it tells."""
    for value in node.inputs:
        maker = None if value is None else value.producer()
        is_float = value is not None and value.dtype in (ir.DataType.FLOAT, None)
        if value is not None and is_float and (maker is None or maker.op_type != "DequantizeLinear"):
            return f"It reads {value.name} as float."
    readers = [use.node for use in node.outputs[0].uses()]
    while len(readers) == 1 and readers[0].op_type in ("Relu", "Clip"):
        activation = readers[0]
        readers = [use.node for use in activation.outputs[0].uses()]
        if len(readers) == 1 and readers[0].op_type == "QuantizeLinear":
            return f"Some integers of {activation.outputs[0].name} stand for values that {activation.name} clips."
    others = [reader.name for reader in readers if reader.op_type != "QuantizeLinear"]
    if others:
        return f"Its float output is read by {', '.join(map(str, others))}."
    return "ONNX Runtime did not fuse it, and says nothing about why."
