"""Bring a float model into the one form that every later stage expects, without changing what it computes.

Afterwards constants are initializers, weights are not shared between operators that need different scales, shapes are
known as far as they can be, and every node and value of the main graph has a stable unique name. What was done, and
what was refused and why, stands in the model's notes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import onnx_ir as ir

from quantlab.graph.model import Model
from quantlab.graph.passes.infer_shapes import fill_shapes, infer_shapes
from quantlab.graph.passes.name_everything import name_everything

Pass = Callable[[ir.Model], tuple[str, ...]]

# In this order: each pass relies on what the ones above it made sure of.
PASSES: tuple[Pass, ...] = (
    name_everything,
    infer_shapes,
)


def prepare(model: Model, *, shapes: Mapping[str, tuple[int, ...]] | None = None) -> Model:
    """Return the model in the form that the other stages expect.

    The outputs stay the same within 1e-5 of the largest magnitude of each output.

    Args:
        model: a float model; it is not changed.
        shapes: the shapes that tensors had in a run, by name, for operators that inference does not know.

    Raises:
        ModelError: the opset is below 13 and an operator cannot be raised to it; the message names the operator.
    """
    prepared = model.clone()
    notes = list(model.notes)
    for run_pass in PASSES:
        notes += run_pass(prepared.ir_model)
    if shapes:
        notes += fill_shapes(prepared.ir_model, shapes)
    return Model(prepared.ir_model, model.path, tuple(dict.fromkeys(notes)))
