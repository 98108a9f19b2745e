"""What is known about where a model comes from, held in its metadata, so that every model made from it knows it too.

quantlab.preprocess   what images become for it: the settings of `Preprocess`, as JSON
quantlab.weights      `random` where the weights were drawn, not trained
"""

from __future__ import annotations

import json

from quantlab.data.preprocess import Preprocess
from quantlab.errors import ModelError, RecipeError
from quantlab.graph.model import Model

_PREPROCESS_KEY = "quantlab.preprocess"
_WEIGHTS_KEY = "quantlab.weights"
_RANDOM = "random"


def note_origin(model: Model, *, preprocess: Preprocess | None = None, has_random_weights: bool = False) -> None:
    """Write down what is known; the model is changed in place, for it was just made."""
    metadata = model.ir_model.metadata_props
    if preprocess is not None:
        metadata[_PREPROCESS_KEY] = json.dumps(preprocess.to_dict())
    if has_random_weights:
        metadata[_WEIGHTS_KEY] = _RANDOM


def preprocess_of(model: Model) -> Preprocess | None:
    """Return what images become for a model, where its origin tells.

    Raises:
        ModelError: what the metadata hold is no preprocessing.
    """
    text = model.ir_model.metadata_props.get(_PREPROCESS_KEY)
    if text is None:
        return None
    try:
        settings = json.loads(text)
        return Preprocess.from_dict(settings)
    except (ValueError, AttributeError, TypeError, RecipeError) as error:
        raise ModelError(
            f"{model.name}: its metadata {_PREPROCESS_KEY!r} hold no preprocessing ({error}); remove them, or "
            "export it again"
        ) from error


def random_weights_warning(model: Model) -> str | None:
    """Return a warning for a network that was never trained, or None."""
    if model.ir_model.metadata_props.get(_WEIGHTS_KEY) != _RANDOM:
        return None
    return (
        "The weights are random, not trained: latency, size and what runs in integers hold, but accuracy says nothing; "
        "give --weights FILE."
    )
