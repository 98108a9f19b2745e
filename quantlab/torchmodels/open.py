"""Name + settings → a model: build the network, fill in its weights, export it.

The export is torch's own (`graph/export_torch.py`). Parameters become initializers under their names in the state
dict, in the precision of the module. Torch's exporter talks a lot and is kept quiet; `--debug` lets it speak.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from quantlab.graph.export_torch import export_torch
from quantlab.graph.model import Model
from quantlab.graph.origin import note_origin
from quantlab.torchmodels import python_file, timm, torchvision, transformers
from quantlab.torchmodels.checkpoint import load_weights
from quantlab.torchmodels.inputs import example_of, free_axes
from quantlab.torchmodels.name import TorchName
from quantlab.torchmodels.network import Network, import_package
from quantlab.torchmodels.settings import OPSET, RANDOM, TorchSettings

if TYPE_CHECKING:
    from torch import nn

_BUILDERS: Mapping[str, Callable[..., Network]] = {
    "torchvision": torchvision.build,
    "timm": timm.build,
    "transformers": transformers.build,
    "python": python_file.build,
}
# Of weights that are drawn where none are given: the same command makes the same network.
_SEED = 0
_WEIGHTS_NOTES = {
    "published": "weights as published",
    "random": "weights drawn at random",
    "own": "weights as the function leaves them",
}


@dataclass(frozen=True, eq=False, slots=True)
class TorchModel:
    """A torch model and its export.

    Attributes:
        module: the network, in evaluation mode.
        model: its export.
    """

    module: nn.Module
    model: Model


def open_torch_model(name: TorchName, settings: TorchSettings | None = None) -> TorchModel:
    """Build the network of a name and export it.

    Args:
        name: what is asked for.
        settings: weights, input shapes, opset, free axes.

    Raises:
        ModelError: there is no such network, its weights do not fit, or it cannot be exported; the message says why.
        EngineMissing: a package is not installed.
    """
    settings = settings or TorchSettings()
    torch = import_package("torch", model=name.text, extra="torch")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        network = _BUILDERS[name.origin](name, is_published=settings.weights is None)
    return _exported(network, f"{name.origin}:{name.name}".removeprefix("python:"), settings)


def is_torch_module(made: object) -> bool:
    """Whether an object is a torch module, or a pair of one and its example inputs; torch is not imported for it."""
    torch = sys.modules.get("torch")
    first = made[0] if isinstance(made, tuple) and len(made) == 2 else made
    return torch is not None and isinstance(first, torch.nn.Module)


def open_torch_object(made: object, settings: TorchSettings | None = None) -> TorchModel:
    """Export a module, or (module, example inputs); see `open_torch_model`."""
    network = python_file.network_of(made, where="model")
    return _exported(network, type(network.module).__name__, settings or TorchSettings())


def _exported(network: Network, title: str, settings: TorchSettings) -> TorchModel:
    module = network.module.eval()
    weights, read = network.weights, None
    if settings.weights not in (None, RANDOM):
        weights, read = "file", load_weights(module, str(settings.weights), network.rename)
    example = example_of(network, settings.shapes, title)
    axes = free_axes(example, module, settings.free_axes or "batch")
    hook = _keeping(network)
    try:
        model = export_torch(module, example, opset=settings.opset or OPSET, dynamic_axes=axes)
    finally:
        if hook is not None:
            hook.remove()
    model.graph.name = title
    return TorchModel(module, _with_origin(model, network, weights, read))


def _keeping(network: Network) -> Any:  # noqa: ANN401 (a handle of torch)
    """Let the module return its answers alone while it is exported; a hook leaves its names as they are."""
    answers = network.answers
    if answers is None:
        return None
    return network.module.register_forward_hook(lambda _module, _args, outputs: answers(outputs))


def _with_origin(model: Model, network: Network, weights: str, read: str | None) -> Model:
    """Return the model with notes on what it is, and its origin in the metadata."""
    count = sum(parameter.numel() for parameter in network.module.parameters())
    torch_version = version("torch").partition("+")[0]
    said = f"{count:,} parameters, {read or _WEIGHTS_NOTES[weights]}"
    notes = [f"{model.graph.name}: exported by torch {torch_version} in opset {model.opset}, {said}"]
    preprocess = None
    shape = model.inputs[0].shape or ()
    if network.preprocess is not None and len(shape) == 4:
        height, width = (side if isinstance(side, int) else 0 for side in shape[2:])
        preprocess = network.preprocess(height, width) if height and width else None
    if preprocess is not None:
        notes.append(f"it was trained on images with: {preprocess}; used where no other preprocessing is given")
    note_origin(model, preprocess=preprocess, has_random_weights=weights == "random")
    return Model(model.ir_model, model.path, (*notes, *model.notes))
