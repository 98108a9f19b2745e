"""Let a Conv pad its input itself where a Pad with zeros does it before.

TensorFlow and EfficientNet pad unevenly before a strided convolution, which exporters write as a Pad node. It has no
integer kernel, so that the input of the convolution would go through float.

Source: ONNX operators Pad 21 and Conv 22.
"""

from __future__ import annotations

import onnx_ir as ir

from quantlab.graph.passes.queries import constant, input_of, is_op, is_read_only_by, listing, rank


def fold_padding(model: ir.Model) -> tuple[str, ...]:
    """Add the borders of a Pad to those of the only Conv that reads it."""
    folded: list[str] = []
    for conv in list(model.graph):
        source = conv.inputs[0] if is_op(conv, "Conv") else None
        pad = source.producer() if source is not None else None
        if source is None or pad is None or pad.graph is not model.graph or not is_read_only_by(source, conv):
            continue
        borders = _borders(pad)
        if borders is None or conv.attributes.get_string("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
            continue
        own = conv.attributes.get_ints("pads", None) or (0,) * len(borders)
        conv.attributes["pads"] = ir.AttrInt64s("pads", [a + b for a, b in zip(own, borders, strict=True)])
        conv.attributes.pop("auto_pad", None)
        conv.replace_input_with(0, pad.inputs[0])
        model.graph.remove(pad, safe=True)
        folded.append(repr(pad.name))
    if not folded:
        return ()
    return (f"{len(folded)} Pad were folded into the Conv behind them: {listing(folded)}",)


def _borders(node: ir.Node) -> list[int] | None:
    """Return how many zeros a Pad adds before and behind each axis of the map, or None where it does anything else."""
    axes_count = rank(node.inputs[0]) if is_op(node, "Pad") else None
    pads, value = constant(input_of(node, 1)), input_of(node, 2)
    fill = constant(value)
    if axes_count is None or pads is None or node.attributes.get_string("mode", "constant") != "constant":
        return None
    if value is not None and (fill is None or fill.any()):
        return None
    axes = input_of(node, 3)
    named = constant(axes)
    if axes is not None and named is None:
        return None
    order = range(axes_count) if named is None else [int(axis) % axes_count for axis in named.ravel()]
    before, behind = [0] * axes_count, [0] * axes_count
    for position, axis in enumerate(order):
        before[axis], behind[axis] = int(pads[position]), int(pads[position + len(order)])
    # Batch and channels cannot be padded by a Conv, and a negative border cuts.
    if any(before[:2] + behind[:2]) or min(before + behind) < 0:
        return None
    return before[2:] + behind[2:]
