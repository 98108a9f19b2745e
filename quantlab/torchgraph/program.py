"""A graph as a list of steps: which function reads which slots, fills which, and what is dead afterwards.

Numbers that say how to compute (shapes, axes) stay on the CPU whatever device the data are on, so that reading them
never waits for a GPU: a step whose inputs are all such numbers computes on the CPU, and a constant lies where its
readers are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import onnx_ir as ir

from quantlab.errors import ModelError
from quantlab.graph.model import Model
from quantlab.torchgraph.calls import Call, calls_of
from quantlab.torchgraph.constants import constants
from quantlab.torchgraph.pairs import with_gradients

# The longest constants, by type, that say how to compute (shapes, axes, factors); all others are data.
_LONGEST_NUMBERS = {
    ir.DataType.INT64: 64,
    ir.DataType.INT32: 64,
    ir.DataType.BOOL: 64,
    ir.DataType.FLOAT: 4,
}


@dataclass(frozen=True, eq=False, slots=True)
class Step:
    """One call of one function.

    Attributes:
        label: what users call the node.
        function: takes tensors and attributes, returns a tensor or a tuple of them.
        inputs: slots to read; None where an input is left out.
        outputs: slots to fill; None where an output is not wanted.
        attributes: keyword arguments.
        host: positions of inputs that must be on the CPU.
        is_mixed: whether inputs computed on the CPU meet others that may be on another device.
        dead: slots that nothing reads any more.
    """

    label: str
    function: Callable[..., Any]
    inputs: tuple[int | None, ...]
    outputs: tuple[int | None, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    host: tuple[int, ...] = ()
    is_mixed: bool = False
    dead: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class Program:
    """What a graph computes, step by step, over numbered slots.

    Attributes:
        steps: in order of execution.
        size: the number of slots.
        slots: by the name of a tensor that is fed or computed.
        inputs: names of the tensors to feed.
        outputs: slots of the graph's outputs by name, in order.
        device_constants: by slot, constants that lie on the module's device.
        host_constants: by slot, constants that lie on the CPU.
    """

    steps: tuple[Step, ...]
    size: int
    slots: Mapping[str, int]
    inputs: tuple[str, ...]
    outputs: Mapping[str, int]
    device_constants: Mapping[int, str]
    host_constants: Mapping[int, str]


def program_of(model: Model, trained: Collection[str]) -> Program:
    """Return the steps of a model's main graph.

    Args:
        model: the graph.
        trained: names of constants that training changes; they lie on the module's device.

    Raises:
        ModelError: see `calls_of`.
    """
    builder = _Builder(model, trained)
    for call in with_gradients(calls_of(model)):
        builder.add(call)
    return builder.finished()


class _Builder:
    """Numbers the values of a graph and makes the steps."""

    def __init__(self, model: Model, trained: Collection[str]) -> None:
        self._model = model
        self._constants = constants(model)
        self._trained = frozenset(trained)
        self._steps: list[Step] = []
        self._size = 0
        self._slots: dict[ir.Value, int] = {}
        self._on_host: set[int] = set()
        self._device_constants: dict[str, int] = {}
        self._host_constants: dict[str, int] = {}
        self._inputs = tuple(spec.name for spec in model.inputs)
        for value in model.graph.inputs:
            if value.name in self._inputs:
                self._slots[value] = self._new_slot()

    def add(self, call: Call) -> None:
        """Append the step of a call."""
        data = call.data_inputs
        computed = [self._slots[value] for value in data if value in self._slots]
        has_device_constant = any(value not in self._slots and not self._is_number(value) for value in data)
        is_host = not has_device_constant and all(slot in self._on_host for slot in computed)
        inputs = tuple(
            None if value is None else self._slot(value, on_host=is_host or index in call.op.host)
            for index, value in enumerate(call.inputs)
        )
        outputs = tuple(self._output(value) for value in call.outputs)
        if is_host or call.op.is_host:
            self._on_host.update(slot for slot in outputs if slot is not None)
        is_mixed = not is_host and any(slot in self._on_host for slot in computed)
        step = Step(call.label, call.op.function, inputs, outputs, call.attributes, call.op.host, is_mixed)
        self._steps.append(step)

    def finished(self) -> Program:
        """Return the program, with what is dead after each step."""
        outputs = {value.name or "": self._slot(value, on_host=False) for value in self._model.graph.outputs}
        return Program(
            steps=_with_dead(self._steps, frozenset(self._slots.values())),
            size=self._size,
            slots={value.name: slot for value, slot in self._slots.items() if value.name},
            inputs=self._inputs,
            outputs=outputs,
            device_constants={slot: name for name, slot in self._device_constants.items()},
            host_constants={slot: name for name, slot in self._host_constants.items()},
        )

    def _slot(self, value: ir.Value, *, on_host: bool) -> int:
        if value in self._slots:
            return self._slots[value]
        name = value.name or ""
        if name not in self._constants:
            raise ModelError(f"{self._model.name}: tensor {name!r} is read but never computed; export the model again")
        goes_to_host = name not in self._trained and (on_host or _is_index(self._constants[name]))
        table = self._host_constants if goes_to_host else self._device_constants
        if name not in table:
            table[name] = self._new_slot()
        return table[name]

    def _output(self, value: ir.Value) -> int | None:
        if not value.name:
            return None
        self._slots[value] = self._new_slot()
        return self._slots[value]

    def _new_slot(self) -> int:
        self._size += 1
        return self._size - 1

    def _is_number(self, value: ir.Value) -> bool:
        tensor = self._constants.get(value.name or "")
        if tensor is None or value.name in self._trained:
            return False
        return tensor.size <= _LONGEST_NUMBERS.get(tensor.dtype, 0)


def _is_index(tensor: ir.TensorProtocol) -> bool:
    """Whether a constant is a single integer, which torch takes from the CPU on any device."""
    return len(tensor.shape) == 0 and tensor.dtype in (ir.DataType.INT64, ir.DataType.INT32)


def _with_dead(steps: Sequence[Step], computed: frozenset[int]) -> tuple[Step, ...]:
    """Note with every step which computed slots no later step reads."""
    seen: set[int] = set()
    backwards = []
    for step in reversed(steps):
        touched = {slot for slot in (*step.inputs, *step.outputs) if slot is not None}
        dead = (touched & computed) - seen
        seen |= touched
        backwards.append(replace(step, dead=tuple(sorted(dead))))
    return tuple(reversed(backwards))
