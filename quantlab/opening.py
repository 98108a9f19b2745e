"""Turns what a user names into a prepared model that is ready to be placed and run."""

from __future__ import annotations

import logging
import os

import numpy as np

from quantlab.data.batch import Feeds
from quantlab.engines.engine import Engine
from quantlab.engines.tensorrt.plan_engine import is_plan
from quantlab.errors import ModelError
from quantlab.graph.load import load
from quantlab.graph.model import Model
from quantlab.graph.prepare import prepare
from quantlab.graph.quantized import quantized_nodes
from quantlab.zoo import digits_model_path

_logger = logging.getLogger(__name__)


def open_model(model: object) -> Model:
    """Return a model from what a user names.

    Args:
        model: `digits` for the bundled network, the path of an `.onnx` file, its bytes, or a model.

    Raises:
        ModelError: there is no such model, or it cannot be read.
    """
    if isinstance(model, Model):
        return model
    if model == "digits":
        return load(digits_model_path())
    if isinstance(model, str | os.PathLike) and is_plan(os.fspath(model)):
        raise ModelError(
            f"{model}: a TensorRT plan holds no graph to look into; give the .onnx file it was built from "
            "(`quantlab evaluate` runs plans)"
        )
    if isinstance(model, bytes | os.PathLike) or (isinstance(model, str) and model.endswith(".onnx")):
        return load(model)
    raise ModelError(f"model {model!r}: unknown; give an .onnx file, or `digits` for the bundled network")


def open_float_model(model: object) -> Model:
    """Return a model that is not quantized yet, and whose weights are numbers.

    Raises:
        ModelError: as `open_model`, or the model has quantized nodes, or a weight is NaN.
    """
    opened = open_model(model)
    nodes = quantized_nodes(opened)
    if nodes:
        others = f" and {len(nodes) - 1} more" if len(nodes) > 1 else ""
        raise ModelError(
            f"{opened.name}: it is quantized already ({nodes[0]}{others}); give the float model it was made from"
        )
    _check_weights(opened)
    return opened


def _check_weights(model: Model) -> None:
    """Refuse weights with NaN, which would only show far behind them; infinity may stand in masks."""
    for name in model.graph.initializers:
        weight = model.constant(name)
        is_float = weight.dtype.kind == "f" or weight.dtype.name == "bfloat16"
        if is_float and np.isnan(weight).any():
            raise ModelError(f"{model.name}: weight {name!r} holds NaN; repair the model or export it again")


def prepare_with_shapes(model: Model, engine: Engine, first: Feeds) -> Model:
    """Prepare a model; shapes that inference cannot tell, as after a custom operator, come from a run.

    Args:
        model: the float model.
        engine: what runs it.
        first: feeds of one sample.
    """
    prepared = prepare(model)
    unknown = _values_without_shape(prepared)
    if not unknown:
        return prepared
    _logger.info("%d tensors have shapes that inference cannot tell; running one sample", len(unknown))
    with engine.open(prepared, taps=unknown) as session:
        outputs = session.run(first)
    return prepare(model, shapes={name: outputs[name].shape for name in unknown})


def _values_without_shape(model: Model) -> list[str]:
    return [
        value.name
        for node in model.graph
        for value in node.outputs
        if value.name and value.shape is None and value.uses()
    ]
