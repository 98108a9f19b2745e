"""Turns what a user names into a prepared model that is ready to be placed and run."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from quantlab.data.batch import Feeds
from quantlab.data.preprocess import Preprocess
from quantlab.engines.engine import Engine
from quantlab.engines.tensorrt.plan_engine import is_plan
from quantlab.errors import ModelError, RecipeError
from quantlab.graph.load import load
from quantlab.graph.model import Model
from quantlab.graph.origin import preprocess_of
from quantlab.graph.prepare import prepare
from quantlab.graph.quantized import quantized_nodes
from quantlab.torchmodels import (
    FORMS,
    TorchModel,
    TorchSettings,
    is_torch_module,
    open_torch_model,
    open_torch_object,
    torch_name,
)
from quantlab.zoo import digits_model_path

# Of a folder's models, so many are named where the folder was given in place of one: a run has two or three.
_MODELS_LISTED = 4

_logger = logging.getLogger(__name__)


def open_model(model: object, settings: TorchSettings | None = None) -> Model:
    """Return a model from what a user names.

    Args:
        model: `digits` for the bundled network, the path of an `.onnx` file, its bytes, a model; the name of a torch
            model (see `quantlab.torchmodels`), a torch module, or (module, example inputs).
        settings: how torch models are filled with weights and exported; others do not look at it.

    Raises:
        ModelError: there is no such model, or it cannot be read, built or exported.
        EngineMissing: a package that builds the torch model is not installed.
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
    made = _open_torch(model, settings)
    if made is not None:
        return made.model
    if isinstance(model, str) and model and Path(model).is_dir():
        models = sorted(path.name for path in Path(model).glob("*.onnx"))
        listed = [*models[:_MODELS_LISTED], *(["..."] if len(models) > _MODELS_LISTED else [])]
        raise ModelError(
            f"{model}: this is a folder; give a model" + (f" in it: {', '.join(listed)}" if models else "")
        )
    is_file = isinstance(model, str) and Path(model).is_file()
    fault = "the file's name does not end in .onnx" if is_file else "unknown"
    raise ModelError(f"model {model!r}: {fault}; give an .onnx file, `digits` for the bundled network, {FORMS}")


def open_with_module(model: object, settings: TorchSettings | None = None) -> tuple[Model, object]:
    """Return a model, and the torch module it was exported from, or None where it was not; see `open_model`."""
    made = _open_torch(model, settings)
    return (open_model(model), None) if made is None else (made.model, made.module)


def _open_torch(model: object, settings: TorchSettings | None) -> TorchModel | None:
    if is_torch_module(model):
        return open_torch_object(model, settings)
    name = torch_name(model) if isinstance(model, str) else None
    return None if name is None else open_torch_model(name, settings)


def check_torch_settings(models: Sequence[object], settings: TorchSettings) -> None:
    """Refuse settings of torch models where none of the models is one.

    Raises:
        RecipeError: nothing would read a setting that was given.
    """
    if settings.given and not any(is_torch_module(m) or (isinstance(m, str) and torch_name(m)) for m in models):
        given = ", ".join(settings.given)
        raise RecipeError(f"{given}: only torch models take this, and {models[0]!r} is none; give {FORMS}")


def preprocess_for(model: Model, settings: Mapping[str, Any]) -> Preprocess | None:
    """Return what images become for a model: what the settings say, else what its origin tells, else None.

    Raises:
        RecipeError: a setting is unknown or out of its limits.
        ModelError: the model's metadata are damaged.
    """
    return Preprocess.from_dict(settings) if settings else preprocess_of(model)


def open_float_model(model: object, settings: TorchSettings | None = None) -> Model:
    """Return a model that is not quantized yet, and whose weights are numbers; see `open_model`.

    Raises:
        ModelError: as `open_model`, or the model has quantized nodes, or a weight is NaN.
    """
    opened = open_model(model, settings)
    nodes = quantized_nodes(opened)
    if nodes:
        others = f" and {len(nodes) - 1} more" if len(nodes) > 1 else ""
        raise ModelError(
            f"{opened.name}: it is quantized already ({nodes[0]}{others}); give the float model it was made from; "
            "`quantlab qat` trains a quantized one, `quantlab lint --fix` places it anew"
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
