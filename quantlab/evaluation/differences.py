"""How far tensors are off, one by one: what comparing two models layer by layer finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from quantlab.evaluation.agreement import Sqnr


@dataclass(frozen=True, slots=True)
class LayerDifference:
    """How far one tensor is off.

    Attributes:
        tensor: its name in the first model.
        node: the node that computes it there, with its operator, or `model input`.
        index: its place among the compared tensors, in execution order of the first model.
        sqnr: of the second model's against the first's, over all samples.
        largest_error: the largest absolute difference.
        largest_value: the largest absolute value in the first model.
        changed_share: the share of numbers that differ at all.
        step: the distance between two integers of its encoding, where that was asked for and it has one.
    """

    tensor: str
    node: str
    index: int
    sqnr: Sqnr
    largest_error: float
    largest_value: float
    changed_share: float = 0.0
    step: float | None = None

    @property
    def largest_steps(self) -> float | None:
        """The largest error in steps of the encoding; None where there is no one step."""
        return None if self.step is None else self.largest_error / self.step

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "tensor": self.tensor,
            "node": self.node,
            "index": self.index,
            **self.sqnr.to_json(),
            "largest_error": self.largest_error,
            "largest_value": self.largest_value,
            "changed_share": self.changed_share,
            "largest_steps": self.largest_steps,
        }

    def __str__(self) -> str:
        error = f"largest error {self.largest_error:.4g} of {self.largest_value:.4g}"
        return f"{self.sqnr}, {error}: {self.tensor} ({self.node})"


@dataclass(frozen=True, slots=True)
class RuntimeDiff:
    """What a runtime adds to the error of quantization.

    Attributes:
        runtime: its name and version.
        outputs: of the outputs as deployed, against the same model computed step by step.
        tensors: of the quantized tensors, likewise, by their names in the float model.
        total: of the outputs as deployed, against the float model: quantization and runtime together.
        notes: what the reader should know besides, as sentences.
    """

    runtime: str
    outputs: tuple[LayerDifference, ...]
    tensors: tuple[LayerDifference, ...]
    total: tuple[LayerDifference, ...]
    notes: tuple[str, ...] = ()

    @property
    def by_tensor(self) -> dict[str, LayerDifference]:
        """The difference of every tensor that was compared; outputs as deployed."""
        return {each.tensor: each for each in (*self.tensors, *self.outputs)}

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        parts = {"outputs": self.outputs, "tensors": self.tensors, "total": self.total}
        listed = {name: [layer.to_json() for layer in layers] for name, layers in parts.items()}
        return {"runtime": self.runtime, **listed, "notes": list(self.notes)}


@dataclass(frozen=True, slots=True)
class LayerDiff:
    """Two models layer by layer.

    Attributes:
        first: the name of the model that is taken as right.
        second: the name of the other.
        layers: the tensors both have, worst first.
        samples: how many samples were compared.
        runtime: what the runtime adds, where it was run.
        runtime_reason: why it was not, or empty.
    """

    first: str
    second: str
    layers: tuple[LayerDifference, ...]
    samples: int
    runtime: RuntimeDiff | None = None
    runtime_reason: str = ""

    @property
    def in_order(self) -> tuple[LayerDifference, ...]:
        """The tensors in execution order."""
        return tuple(sorted(self.layers, key=lambda layer: layer.index))

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        layers = [layer.to_json() for layer in self.layers]
        runtime = None if self.runtime is None else self.runtime.to_json()
        names = {"first": self.first, "second": self.second, "samples": self.samples}
        return {**names, "layers": layers, "runtime": runtime, "runtime_reason": self.runtime_reason}

    def __str__(self) -> str:
        head = f"{self.second} against {self.first}, {self.samples} samples, {len(self.layers)} tensors, worst first"
        return "\n".join([head, *(f"  {layer}" for layer in self.layers)])
