"""The door through which protobuf comes in: a file or bytes in, a checked `Model` out.

Functions of the model are inlined and nodes put in execution order, so that everything behind the door sees one flat
graph (and the subgraphs of If, Loop and Scan).
"""

from __future__ import annotations

import os
from pathlib import Path

import onnx
import onnx.checker
import onnx.defs
import onnx.shape_inference
import onnx.version_converter
import onnx_ir as ir
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx_ir.passes.common import CheckerPass, InlinePass

from quantlab.errors import ModelError
from quantlab.graph.external import map_external_data
from quantlab.graph.model import Model
from quantlab.graph.quiet import without_logs_of

_NOT_ONNX = "this is no ONNX model, or a damaged one; check that the file was copied whole, or export it again"
_SMALL_BYTES = 1000
PROTOBUF_LIMIT_BYTES = 2**31 - 1


def load(source: str | os.PathLike[str] | bytes) -> Model:
    """Read an ONNX model.

    Weights in data files beside the model are mapped, not read.

    Args:
        source: the path of an `.onnx` file, or the file's bytes.

    Raises:
        ModelError: there is no such file, it is no valid ONNX model, or a data file is missing or lies elsewhere.
    """
    if isinstance(source, bytes):
        return Model(_parse(source, "bytes", None))
    path = Path(source)
    return Model(_parse(_read(path), str(path), path.parent), path)


def _read(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > PROTOBUF_LIMIT_BYTES:
            raise ModelError(
                f"{path}: it has {size / 1e9:.1f} GB, and protobuf ends at 2 GB; export it with external data"
            )
        return path.read_bytes()
    except OSError as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else str(error.strerror or error)
        raise ModelError(f"{path}: {reason}; give the path of an .onnx file") from error


def _parse(data: bytes, where: str, folder: Path | None) -> ir.Model:
    if not data:
        raise ModelError(f"{where}: it is empty (0 bytes); check that the file was copied whole, or export it again")
    try:
        proto = onnx.ModelProto.FromString(data)
    except DecodeError as error:
        raise ModelError(f"{where}: {_NOT_ONNX}") from error
    if not proto.ir_version or not proto.HasField("graph"):
        raise ModelError(f"{where}: {_NOT_ONNX}")
    try:
        # What onnx-ir warns about, the checks below refuse.
        with without_logs_of("onnx_ir"):
            model: ir.Model = ir.from_proto(proto)
        map_external_data(model, folder)
        return checked(model)
    except ModelError as error:
        raise ModelError(f"{where}: {error}") from error
    except (ir.serde.SerdeError, ir.passes.PassError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{where}: {_NOT_ONNX} ({_deepest(error)})") from error


def checked(model: ir.Model) -> ir.Model:
    """Return the model with its functions inlined and its nodes in order, after checking what the rest relies on.

    Args:
        model: changed in place.

    Raises:
        ModelError: an input or output is missing, or the graph is not valid ONNX.
    """
    InlinePass()(model)
    graph = model.graph
    graph.sort()
    if not graph.outputs:
        raise ModelError("the graph has no outputs, so it computes nothing; export it again")
    fed = [value for value in graph.inputs if value.name not in graph.initializers]
    if not fed:
        raise ModelError("the graph has no inputs to feed; export it again with its inputs")
    for value in fed:
        if value.type is not None and not isinstance(value.type, ir.TensorType):
            raise ModelError(f"input {value.name!r} is no tensor but {value.type}; only tensors can be fed")
    _check_tensors(model)
    try:
        with without_logs_of("onnx_ir"):
            CheckerPass()(model)
    except onnx.checker.ValidationError as error:
        raise ModelError(f"the graph is not valid ONNX ({first_line(error)}); export it again") from error
    return model


def _check_tensors(model: ir.Model) -> None:
    """Check that every weight has as many bytes as its shape needs; nothing else looks at them before they are used."""
    for value in (value for graph in model.graphs() for value in graph.initializers.values()):
        try:
            if value.const_value is not None:
                value.const_value.numpy()
        except (ValueError, TypeError) as error:
            raise ModelError(
                f"tensor {value.name!r} is damaged ({first_line(error)}); export the model again"
            ) from error


def converted(model: ir.Model, opset: int) -> ir.Graph:
    """Return the model's graph in another version of the default domain, by onnx's version converter.

    The converter speaks protobuf, hence it stands here. Weights do not pass through it, so any size will do.

    Args:
        model: the model; it is not changed.
        opset: the version to convert to.

    Raises:
        ModelError: the converter does not know an operator or cannot convert it; the message names it.
    """
    weights = {name: value.const_value for name, value in model.graph.initializers.items()}
    proto = _without_weights(model)
    try:
        # With known ranks the converter adds fewer nodes, such as none around a softmax along the last axis.
        proto = onnx.shape_inference.infer_shapes(proto, data_prop=True)
        result: ir.Model = ir.from_proto(onnx.version_converter.convert_version(proto, opset))
    except (RuntimeError, ValueError) as error:
        raise ModelError(
            f"opset {model.opset_imports.get('', 1)} cannot be raised to {opset}: {_culprit(proto, opset, error)}; "
            f"export the model again with opset {opset} or later"
        ) from error
    for value in result.graph.inputs:
        if value.name in weights:
            value.const_value = weights[value.name]
            result.graph.register_initializer(value)
    while len(result.graph.inputs) > len(model.graph.inputs):
        result.graph.inputs.pop()
    return result.graph


def inferred(model: ir.Model) -> ir.Graph:
    """Return the model's graph without weights, with the types and shapes that onnx's inference finds.

    Args:
        model: the model; it is not changed.

    Raises:
        ModelError: types or shapes contradict each other; the message says which.
    """
    proto = _without_weights(model)
    try:
        return ir.from_proto(onnx.shape_inference.infer_shapes(proto, data_prop=True)).graph
    except (RuntimeError, ValueError, TypeError) as error:
        raise ModelError(f"types and shapes contradict each other ({first_line(error)})") from error


def of_one_type(node: ir.Node, opset: int) -> list[list[ir.Value]]:
    """Return a node's inputs and outputs in the groups that its signature gives one type, such as T.

    Args:
        node: an operator; one that ONNX does not know has no groups.
        opset: the version of ONNX's own domain.
    """
    if node.domain:
        return []
    try:
        schema = onnx.defs.get_schema(node.op_type, opset, "")
    except onnx.defs.SchemaError:
        return []
    groups: dict[str, list[ir.Value]] = {}
    for values, formals in ((node.inputs, schema.inputs), (node.outputs, schema.outputs)):
        for index, value in enumerate(values):
            formal = formals[min(index, len(formals) - 1)] if formals else None  # the last may stand for any number
            if value is not None and formal is not None and formal.is_homogeneous:
                groups.setdefault(formal.type_str, []).append(value)
    return list(groups.values())


def _without_weights(model: ir.Model) -> onnx.ModelProto:
    """Return the model as protobuf whose large weights are inputs, so that it is small whatever they weigh."""
    stripped = model.clone()
    graph = stripped.graph
    for name, value in list(graph.initializers.items()):
        tensor = value.const_value
        if tensor is None:
            continue
        value.shape, value.dtype = ir.Shape(tensor.shape.numpy()), tensor.dtype
        if not value.is_graph_input():
            graph.inputs.append(value)
        # Small ones stay: axes, scales and limits are read from them.
        if tensor.nbytes > _SMALL_BYTES:
            del graph.initializers[name]
    with without_logs_of("onnx_ir"):
        return ir.to_proto(stripped)


def _culprit(proto: onnx.ModelProto, opset: int, error: BaseException) -> str:
    """Return which node the converter fails on and why; its own message seldom says which."""
    for node in proto.graph.node:
        try:
            onnx.version_converter.convert_version(_alone(node, proto), opset)
        except (RuntimeError, ValueError) as reason:
            return f"{node.op_type} {node.name or node.output[0]!r} ({first_line(reason)})"
    return first_line(error)


def _alone(node: onnx.NodeProto, proto: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model of one node, with what is known about its inputs."""
    alone = onnx.ModelProto(ir_version=proto.ir_version, opset_import=proto.opset_import)
    alone.graph.name = "alone"
    alone.graph.node.append(node)
    known = {value.name: value for value in (*proto.graph.input, *proto.graph.value_info)}
    for name in dict.fromkeys(filter(None, node.input)):
        unknown = onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        alone.graph.input.append(known.get(name, unknown))
    alone.graph.initializer.extend(tensor for tensor in proto.graph.initializer if tensor.name in node.input)
    alone.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in node.output if name)
    return alone


def _deepest(error: BaseException) -> str:
    """Return what the innermost of chained errors says, in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return first_line(error)


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, or its kind where it says nothing."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
