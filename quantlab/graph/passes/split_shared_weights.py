"""Give operators that need different encodings of a shared weight or bias a copy each.

A weight has one scale per output channel, whose axis depends on the operator that reads it: tied embeddings are read
along one axis by a Gemm and along the other by a MatMul. A bias takes its scale from the input and the weight of its
layer, so that two layers cannot share an encoded one; exporters share it whenever two biases are equal. What an Add
adds to a MatMul is such a bias too. The copies share their memory until they are written to a file.
"""

from __future__ import annotations

import onnx_ir as ir

from quantlab.graph.passes.queries import constant, is_op, listing, rank, unique_name

# What decides the encoding that a reader needs: ("axis", 1), ("bias", node) or _PLAIN.
_Key = tuple[str, int | str]
# A reader that takes the constant as it is, such as Gather or Add.
_PLAIN: _Key = ("plain", 0)
_Use = tuple[ir.Node, int]


def split_shared_weights(model: ir.Model) -> tuple[str, ...]:
    """Copy weights and biases until each has readers of one kind; the first reader keeps the name."""
    order = {node: position for position, node in enumerate(model.graph)}
    copied: list[str] = []
    for value in list(model.graph.initializers.values()):
        if constant(value) is None or len(value.uses()) < 2:
            continue
        for key, uses in list(_groups(value, order).items())[1:]:
            _copy(model.graph, value, key, uses)
            copied.append(repr(value.name))
    if not copied:
        return ()
    return (f"{len(copied)} copies of shared weights were made, one per encoding: {listing(dict.fromkeys(copied))}",)


def _groups(value: ir.Value, order: dict[ir.Node, int]) -> dict[_Key, list[_Use]]:
    """Return the readers of a constant by what they need, in graph order."""
    # Readers in a subgraph come first: they must go on finding the name they know.
    uses = sorted(value.uses(), key=lambda use: (order.get(use[0], -1), use[1]))
    groups: dict[_Key, list[_Use]] = {}
    for node, index in uses:
        key = _key(node, index) if node in order else _PLAIN
        groups.setdefault(key, []).append((node, index))
    # A plan says which readers of a weight see it quantized, so that a large table needs no copy for a Gather.
    if not any(kind == "bias" for kind, _ in groups):
        groups.pop(_PLAIN, None)
    return groups


def _key(node: ir.Node, index: int) -> _Key:
    if is_op(node, "Add") and is_op(_producer(node, 1 - index), "MatMul"):
        return "bias", node.name or ""
    if not is_op(node, "Conv", "ConvTranspose", "Gemm", "MatMul"):
        return _PLAIN
    if index == 2:
        return "bias", node.name or ""
    if index != 1:
        return _PLAIN
    if is_op(node, "MatMul"):
        return "axis", (rank(node.inputs[1]) or 2) - 1
    if is_op(node, "Gemm"):
        return "axis", 0 if node.attributes.get_int("transB", 0) else 1
    return "axis", int(is_op(node, "ConvTranspose"))


def _producer(node: ir.Node, index: int) -> ir.Node | None:
    value = node.inputs[index]
    return None if value is None else value.producer()


def _copy(graph: ir.Graph, value: ir.Value, key: _Key, uses: list[_Use]) -> None:
    kind, which = key
    suffix = {"axis": f"axis{which}", "bias": str(which)}.get(kind, "constant")
    copy = ir.Value(
        name=unique_name(graph, f"{value.name}/{suffix}"),
        type=value.type,
        shape=value.shape,
        const_value=value.const_value,
    )
    graph.register_initializer(copy)
    for node, index in uses:
        node.replace_input_with(index, copy)
