"""Runs float models in torch as torch runs them, operator by operator: what a framework costs beside a runtime.

A torch module is run itself; an ONNX graph, as the `GraphModule` that torchgraph makes of it. Unlike the engine
`torch`, which stands in for other runtimes, this one is timed: what it measures is what it says.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quantlab.data.batch import Array, Feeds
from quantlab.engines.engine import Session
from quantlab.engines.torch import Torch, on_device
from quantlab.engines.torch_device import device_named
from quantlab.errors import EngineError
from quantlab.graph.export_torch import named_outputs
from quantlab.graph.load import first_line
from quantlab.graph.model import Model


@dataclass(frozen=True, slots=True)
class TorchEager:
    """torch, eagerly.

    Attributes:
        device: `cpu`, `cuda`, `cuda:1`, or `auto` for CUDA where there is one.
        threads: threads that share the work of one operator on the CPU, at least 1; None for torch's own number.
        module: the torch module that models were exported from, or None to run the graph of the model.
    """

    device: str = "cpu"
    threads: int | None = None
    module: object = None

    @property
    def name(self) -> str:
        """What users call it."""
        return "torch eager"

    @property
    def is_simulation(self) -> bool:
        """False: a float model in torch stands for itself."""
        return False

    @property
    def _torch(self) -> Torch:
        return Torch(self.device, self.threads)

    def open(self, model: Model, taps: Sequence[str] = ()) -> Session:
        """Load a model.

        Args:
            model: the model, or the export of `module`: it tells what inputs and outputs are called.
            taps: tensors to return besides, only where the graph is run.

        Raises:
            EngineError: there is no such device or tap, or torch cannot run an operator.
            EngineMissing: torch is not installed.
        """
        if self.module is None:
            return self._torch.open(model, taps)
        if taps:
            raise EngineError(f"{model.name}: a torch module gives its outputs only, not {taps[0]!r}; run its export")
        return _ModuleSession(self, model)

    def describe(self) -> dict[str, str]:
        """Return name, version and settings, for reports."""
        runs = "the exported graph" if self.module is None else "the module itself"
        return {**self._torch.describe(), "engine": self.name, "runs": runs}


class _ModuleSession(Session):
    """A torch module under the names of its export."""

    def __init__(self, engine: TorchEager, model: Model) -> None:
        super().__init__(model.inputs, model.outputs)
        self._torch = engine._torch
        self._device = device_named(engine.device)
        module: Any = engine.module
        self._module = module.eval().to(self._device)

    def _run(self, feeds: Feeds) -> Mapping[str, Array]:
        with self._torch.computing():
            found = named_outputs(self._call(on_device(feeds, self._device)))
            return {name: found[name].to("cpu", copy=True).numpy() for name in self.outputs}

    def _call(self, tensors: Mapping[str, Any]) -> object:
        is_named = inspect.signature(self._module.forward).parameters.keys() >= tensors.keys()
        try:
            return self._module(**tensors) if is_named else self._module(*tensors.values())
        except Exception as error:  # the module's code may raise anything
            name = type(self._module).__name__
            raise EngineError(f"{name}: it failed while running ({first_line(error)})") from error

    def _close(self) -> None:
        self._module = None
