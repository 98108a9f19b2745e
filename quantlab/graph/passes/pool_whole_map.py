"""Write means over the whole map as GlobalAveragePool, which runtimes have integer kernels for.

The torch exporter writes ReduceMean, which keeps every squeeze-and-excite block float, and for EfficientNet an
AveragePool with a 1280 x 1280 kernel, which TensorRT refuses.

Source: ONNX operators ReduceMean 18, AveragePool 22, GlobalAveragePool 22.
"""

from __future__ import annotations

import onnx_ir as ir

from quantlab.graph.passes.queries import constant, fixed_axis, input_of, is_op, listing, rank, unique_name

# Axes of an image batch [N, C, H, W].
_MAP = (2, 3)
_FLOATS = frozenset({ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16, ir.DataType.DOUBLE})


def pool_whole_map(model: ir.Model) -> tuple[str, ...]:
    """Replace ReduceMean over height and width, and AveragePool over the whole map."""
    pooled: dict[str, list[str]] = {}
    for node in list(model.graph):
        if is_op(node, "ReduceMean") and _is_mean_of_map(node):
            _replace(model.graph, node, keeps_axes=bool(node.attributes.get_int("keepdims", 1)))
        elif is_op(node, "AveragePool") and _is_pool_of_map(node):
            _replace(model.graph, node, keeps_axes=True)
        else:
            continue
        pooled.setdefault(node.op_type, []).append(repr(node.name))
    return tuple(
        f"{len(names)} {op_type} over the whole map became GlobalAveragePool: {listing(names)}"
        for op_type, names in pooled.items()
    )


def _is_mean_of_map(node: ir.Node) -> bool:
    value = node.inputs[0]
    if value is None or value.dtype not in _FLOATS or rank(value) != 4:
        return False
    if "axes" in node.attributes:
        axes = list(node.attributes["axes"].as_ints())
    else:
        array = constant(input_of(node, 1))
        axes = [] if array is None else [int(axis) for axis in array.ravel()]
    return tuple(sorted(axis % 4 for axis in axes)) == _MAP


def _is_pool_of_map(node: ir.Node) -> bool:
    attributes = node.attributes
    if rank(node.inputs[0]) != 4 or attributes.get_string("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        return False
    if any(attributes.get_ints("pads", ())) or any(step != 1 for step in attributes.get_ints("dilations", ())):
        return False
    kernel = attributes.get_ints("kernel_shape", ())
    for size, axis in zip(kernel, _MAP, strict=True):
        have = fixed_axis(node.inputs[0], axis)
        # A larger kernel is legal where the output is rounded up; it averages what it covers.
        if have is None or size < have or (size > have and not attributes.get_int("ceil_mode", 0)):
            return False
    return True


def _replace(graph: ir.Graph, node: ir.Node, *, keeps_axes: bool) -> None:
    output, source = node.outputs[0], node.inputs[0]
    pool = ir.node("GlobalAveragePool", [source], name=node.name)
    new_nodes = [pool]
    if not keeps_axes:
        pooled = pool.outputs[0]
        pooled.name = unique_name(graph, f"{output.name}/pooled")
        if source is not None and source.shape is not None:
            pooled.type, pooled.shape = source.type, ir.Shape([*source.shape[:2], 1, 1])
        new_nodes.append(ir.node("Flatten", [pooled], {"axis": 1}, name=f"{node.name}/flatten"))
    result = new_nodes[-1].outputs[0]
    name, result.type, result.shape = output.name, output.type, output.shape
    graph.insert_before(node, new_nodes)
    ir.convenience.replace_all_uses_with(output, result, replace_graph_outputs=True)
    graph.remove(node, safe=True)
    result.name = name
