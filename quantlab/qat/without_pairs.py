"""Q/DQ model → the float model it stands for: what a training without the original float model is taught by.

    x ─Q─▶ ─DQ─▶ readers       becomes       x ─▶ readers

Weights that were integers keep the values that the integers stand for: the rounding of weights is not undone, that of
activations is.
"""

from __future__ import annotations

from quantlab.graph.model import Model
from quantlab.graph.passes.remove_unused import remove_unused
from quantlab.qat.start import Start
from quantlab.qdq.pairs import Pair, pairs


def without_pairs(start: Start) -> Model:
    """Return a clone of a start's model without its Q/DQ pairs; outputs keep their names."""
    clone = start.model.clone()
    for pair in list(pairs(clone.graph)):
        if pair.quantize is not None:
            _bypass(clone, pair)
    remove_unused(clone.ir_model)
    return Model(clone.ir_model, None, (*clone.notes, "The float model is the Q/DQ model without its Q/DQ pairs."))


def _bypass(model: Model, pair: Pair) -> None:
    output, source = pair.output, pair.source
    if output.is_graph_output():
        name = output.name
        output.name, source.name = f"{name}_dequantized", name
        for index, value in enumerate(model.graph.outputs):
            if value is output:
                model.graph.outputs[index] = source
    output.replace_all_uses_with(source)
