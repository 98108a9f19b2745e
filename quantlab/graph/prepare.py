"""Bring a float model into the one form that every later stage expects, without changing what it computes.

Afterwards constants are initializers, weights are not shared between operators that need different scales, shapes are
known as far as they can be, and every node and value of the main graph has a stable unique name. What was done, and
what was refused and why, stands in the model's notes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import onnx_ir as ir

from quantlab.graph.model import Model
from quantlab.graph.passes.drop_identities import drop_identities
from quantlab.graph.passes.drop_open_masks import drop_open_masks
from quantlab.graph.passes.expand_attention import expand_attention
from quantlab.graph.passes.fold_batchnorm import fold_batchnorm
from quantlab.graph.passes.fold_constants import fold_constants
from quantlab.graph.passes.fold_padding import fold_padding
from quantlab.graph.passes.infer_shapes import fill_shapes, infer_shapes
from quantlab.graph.passes.lift_constants import lift_constants
from quantlab.graph.passes.name_everything import name_everything
from quantlab.graph.passes.pool_whole_map import pool_whole_map
from quantlab.graph.passes.raise_opset import raise_opset
from quantlab.graph.passes.remove_unused import remove_unused
from quantlab.graph.passes.simplify_softmax import simplify_softmax
from quantlab.graph.passes.split_shared_weights import split_shared_weights

Pass = Callable[[ir.Model], tuple[str, ...]]

# In this order: each pass relies on what the ones above it made sure of.
PASSES: tuple[Pass, ...] = (
    raise_opset,
    lift_constants,
    name_everything,
    infer_shapes,
    fold_constants,
    drop_identities,
    expand_attention,
    drop_open_masks,
    simplify_softmax,
    fold_padding,
    fold_batchnorm,
    pool_whole_map,
    remove_unused,
    split_shared_weights,
    # Again, for what the passes above made.
    name_everything,
    infer_shapes,
)


def prepare(model: Model, *, shapes: Mapping[str, tuple[int, ...]] | None = None) -> Model:
    """Return the model in the form that the other stages expect.

    The outputs stay the same within 1e-5 of the largest magnitude of each output, half precision within its rounding.

    Args:
        model: a float model; it is not changed.
        shapes: the shapes that tensors had in a run, by name, for operators that inference does not know.

    Raises:
        ModelError: the opset is below 13 and an operator cannot be raised to it; the message names the operator.
    """
    prepared = model.clone()
    notes = list(model.notes)
    if shapes:
        # Some passes do better where shapes are known.
        notes += [*infer_shapes(prepared.ir_model), *fill_shapes(prepared.ir_model, shapes)]
    for run_pass in PASSES:
        notes += run_pass(prepared.ir_model)
    if shapes:
        # Once more, for tensors that the passes named.
        notes += fill_shapes(prepared.ir_model, shapes)
    return Model(prepared.ir_model, model.path, tuple(dict.fromkeys(notes)))
