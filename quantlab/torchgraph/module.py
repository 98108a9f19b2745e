"""An ONNX graph as a `torch.nn.Module`.

Constants that training changes are parameters under their ONNX names; all others are buffers, or numbers on the CPU.
The graph is walked node by node and a tensor is let go after its last reader, so that inference needs no more memory
than the widest place of the network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from quantlab.affine import SMALLEST_SCALE
from quantlab.errors import DataError, EngineMissing, ModelError
from quantlab.graph.model import Model

try:
    import torch
    from torch import Tensor, nn
except ModuleNotFoundError as error:
    raise EngineMissing(
        "running a graph in torch needs the package 'torch', which is not installed: pip install 'quantlab[torch]'"
    ) from error

from quantlab.torchgraph.constants import constants, trained_scales, trained_weights
from quantlab.torchgraph.execute import compute
from quantlab.torchgraph.named_tensors import NamedTensors
from quantlab.torchgraph.program import program_of
from quantlab.torchgraph.tensors import torch_tensor


class GraphModule(nn.Module):
    """A model's main graph, ready to run and to train.

    Batch normalization and dropout are what they are in inference, in training too: prepared models have no batch
    normalization left, and a network to quantize is trained already.

    Attributes:
        inputs: the names of the tensors to feed, in order.
        outputs: the names of the results, in order.
    """

    def __init__(self, model: Model, *, learn_scales: bool = False) -> None:
        """Build the module.

        Args:
            model: the graph; it is not changed, and its tensors are copied.
            learn_scales: whether the scales of Q/DQ pairs are parameters too.

        Raises:
            ModelError: the graph has branches or loops, or operators that no function is registered for (all are
                listed), or an opset that is not between 13 and 28.
        """
        super().__init__()
        scales = trained_scales(model) if learn_scales else ()
        trained = frozenset((*trained_weights(model), *scales))
        self._program = program_of(model, trained)
        self._scales = tuple(scales)
        tensors = constants(model)
        self.inputs = self._program.inputs
        self.outputs = tuple(self._program.outputs)
        self.weights = NamedTensors()
        self.constants = NamedTensors()
        for name in self._program.device_constants.values():
            tensor = torch_tensor(tensors[name])
            if name in trained:
                self.weights.add(name, nn.Parameter(tensor))
            else:
                self.constants.add(name, tensor)
        self._host = {slot: torch_tensor(tensors[name]) for slot, name in self._program.host_constants.items()}

    @property
    def taps(self) -> tuple[str, ...]:
        """The names of the tensors that `run` can return: those that nodes compute."""
        return tuple(name for name in self._program.slots if name not in self.inputs)

    @property
    def scales(self) -> Mapping[str, nn.Parameter]:
        """The scales that learn, by their ONNX name; a shared encoding is one parameter."""
        by_name = self.parameters_by_name
        return {name: by_name[name] for name in self._scales}

    def keep_scales_positive(self) -> None:
        """Raise scales that an optimizer step made too small to the smallest one allowed; call it after each step."""
        with torch.no_grad():
            scales: list[Tensor] = list(self.scales.values())
            if scales:
                torch._foreach_clamp_min_(scales, SMALLEST_SCALE)  # one kernel, not one per scale

    @property
    def parameters_by_name(self) -> Mapping[str, nn.Parameter]:
        """The trained tensors by their ONNX name; a tensor that several nodes read is one parameter."""
        return {name: tensor for name, tensor in self.weights.items() if isinstance(tensor, nn.Parameter)}

    def forward(self, *feeds: Tensor | Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the outputs by name.

        Args:
            feeds: one tensor per input in order, or a single mapping by name, on the module's device.

        Raises:
            DataError: a feed is missing or unknown.
            EngineError: a node cannot be computed; the message names it.
        """
        return self.run(self._named(feeds))

    def run(self, feeds: Mapping[str, Tensor], taps: Sequence[str] = ()) -> dict[str, Tensor]:
        """Return the outputs, and inner tensors besides, by name.

        Args:
            feeds: by input name, on the module's device.
            taps: names of tensors that nodes compute.

        Raises:
            DataError: a feed is missing or unknown.
            ModelError: the graph computes no tensor of that name.
            EngineError: a node cannot be computed; the message names it.
        """
        wanted = {**self._program.outputs, **{tap: self._slot_of(tap) for tap in taps}}
        values = self._start(feeds)
        kept = frozenset(wanted.values())
        for step in self._program.steps:
            compute(step, values)
            for slot in step.dead:
                if slot not in kept:
                    values[slot] = None
        return {name: values[slot] for name, slot in wanted.items()}

    def visit(self, feeds: Mapping[str, Tensor], taps: Sequence[str], on_tap: Callable[[str, Tensor], None]) -> None:
        """Compute the graph for the sake of inner tensors, none of which need be kept.

        Args:
            feeds: by input name, on the module's device.
            taps: names of tensors that are fed or that nodes compute.
            on_tap: called with the name and value of each of them as soon as it is there.

        Raises:
            DataError, ModelError, EngineError: as `run`.
        """
        names = {self._slot_of(tap): tap for tap in taps}
        values = self._start(feeds)

        def show(slots: Iterable[int | None]) -> None:
            for slot in slots:
                if slot in names:
                    on_tap(names[slot], values[slot])

        show(self._program.slots[name] for name in self.inputs)
        for step in self._program.steps:
            compute(step, values)
            show(step.outputs)
            for slot in step.dead:
                values[slot] = None

    def _named(self, feeds: Sequence[Tensor | Mapping[str, Tensor]]) -> Mapping[str, Tensor]:
        if len(feeds) == 1 and isinstance(feeds[0], Mapping):
            return feeds[0]
        if len(feeds) != len(self.inputs):
            raise DataError(f"{len(feeds)} tensors were fed; the model's inputs are {', '.join(self.inputs)}")
        return {name: feed for name, feed in zip(self.inputs, feeds, strict=True) if isinstance(feed, Tensor)}

    def _start(self, feeds: Mapping[str, Tensor]) -> list[Any]:
        listing = f"the model's inputs are {', '.join(self.inputs)}"
        for name in feeds:
            if name not in self.inputs:
                raise DataError(f"input {name!r}: the model has no such input; {listing}")
        program = self._program
        values: list[Any] = [None] * program.size
        for name in self.inputs:
            if name not in feeds:
                raise DataError(f"input {name!r}: no data for it; {listing}")
            values[program.slots[name]] = feeds[name]
        fixed = dict(self.weights.items()) | dict(self.constants.items())
        for slot, name in program.device_constants.items():
            values[slot] = fixed[name]
        for slot, tensor in self._host.items():
            values[slot] = tensor
        return values

    def _slot_of(self, tap: str) -> int:
        slot = self._program.slots.get(tap)
        if slot is None:
            raise ModelError(f"tap {tap!r}: the graph computes no such tensor")
        return slot
