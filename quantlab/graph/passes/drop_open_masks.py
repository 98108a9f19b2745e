"""Remove the addition of an attention mask that masks nothing.

Vision transformers are exported with one: zeros, repeated over the free batch. It costs an addition the size of the
scores in every layer.
"""

from __future__ import annotations

import onnx_ir as ir

from quantlab.graph.passes.masks import mask_array, masks_nothing
from quantlab.graph.passes.queries import is_op, listing


def drop_open_masks(model: ir.Model) -> tuple[str, ...]:
    """Let Softmax read its scores directly where only zeros are added to them."""
    dropped: list[str] = []
    for softmax in model.graph:
        scores = softmax.inputs[0] if is_op(softmax, "Softmax") else None
        add = scores.producer() if scores is not None else None
        if scores is None or add is None or not is_op(add, "Add") or add.graph is not model.graph:
            continue
        for value, mask in (add.inputs, reversed(add.inputs)):
            array = mask_array(mask)
            # The mask must not widen the scores either.
            if value is None or array is None or not masks_nothing(array) or not _have_one_shape(value, scores):
                continue
            softmax.replace_input_with(0, value)
            dropped.append(repr(softmax.name))
            break
    if not dropped:
        return ()
    return (f"{len(dropped)} additions of a mask that masks nothing before Softmax were dropped: {listing(dropped)}",)


def _have_one_shape(first: ir.Value, second: ir.Value) -> bool:
    if first.shape is None or second.shape is None or len(first.shape) != len(second.shape):
        return False
    # Unknown sizes are equal to nothing, not even to each other.
    return all(a == b and (isinstance(a, int) or a.value) for a, b in zip(first.shape, second.shape, strict=True))
