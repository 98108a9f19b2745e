"""ONNX's node tests of today written for older versions of operators; ONNX Runtime says what is right there."""

from __future__ import annotations

import onnx

from tests.torchgraph.backend import Case

# Reductions took the axes as an attribute before this version; ReduceSum since 13 as an input.
_AXES_AS_INPUT_SINCE = 18

ORT_DIFFERS = {
    "test_resize_downsample_scales_linear_align_corners": "it rounds the size down before it aligns the corners",
    "test_resize_downsample_scales_cubic_align_corners": "it rounds the size down before it aligns the corners",
}
"""Node tests of ONNX that ONNX Runtime itself does not pass."""


def lowered(case: Case, opset: int) -> Case:
    """Return a case for an older opset; whether it is valid there is for the checker to say."""
    older = case.at(opset)
    node = older.proto.graph.node[0]
    takes_attribute = node.op_type.startswith("Reduce") and node.op_type != "ReduceSum" and opset < _AXES_AS_INPUT_SINCE
    if not takes_attribute or len(node.input) < 2:
        return older
    del node.input[1]
    del older.proto.graph.input[1]
    axes = [int(axis) for axis in case.feeds[1]]
    if axes:
        node.attribute.append(onnx.helper.make_attribute("axes", axes))
    return Case(older.name, older.proto, older.feeds[:1], older.wanted, older.rtol, older.atol)
