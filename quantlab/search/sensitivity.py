"""A plan and its encodings → what each node of the network costs when it alone is quantized.

    SQNR(n) = 10 · log10(Σ y² / Σ (y − y_n)²) dB

y is the output of the float network, y_n that of the network in which node n alone is quantized: what it reads, its
weight and bias, and what it writes if the plan quantizes that. Everything else is float. So the noise is that of one
node, seen where it matters, at the output; noise of several nodes adds up roughly, but is not promised to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from quantlab.affine import Encodings
from quantlab.data.batch import Array, Batches
from quantlab.engines.engine import Engine
from quantlab.errors import DataError, PlanError
from quantlab.evaluation.agreement import Sqnr, SqnrSum
from quantlab.evaluation.judge import run_padded
from quantlab.graph.model import Model
from quantlab.plan import Plan, Point
from quantlab.progress import Progress, silent
from quantlab.qdq import bake, insert


@dataclass(frozen=True, slots=True)
class NodeSensitivity:
    """What one node costs.

    Attributes:
        node: its name.
        operator: its ONNX operator.
        sqnr: of the network's output when this node alone is quantized.
    """

    node: str
    operator: str
    sqnr: Sqnr

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"node": self.node, "operator": self.operator, **self.sqnr.to_json()}

    def __str__(self) -> str:
        return f"{self.sqnr}: {self.node} ({self.operator})"


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """What every quantized node costs.

    Attributes:
        target: whose plan it was.
        output: the output that was compared.
        samples: how many samples were compared.
        nodes: each node alone, the costliest first.
        all_nodes: the whole plan at once.
    """

    target: str
    output: str
    samples: int
    nodes: tuple[NodeSensitivity, ...]
    all_nodes: Sqnr

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "target": self.target,
            "output": self.output,
            "samples": self.samples,
            "nodes": [node.to_json() for node in self.nodes],
            "all_nodes": self.all_nodes.to_json(),
        }

    def __str__(self) -> str:
        head = f"{self.target}, output {self.output!r}, {self.samples} samples: one node quantized at a time"
        return "\n".join([head, *(f"  {node}" for node in self.nodes), f"  {self.all_nodes}: all of them at once"])


def measure_sensitivity(
    model: Model, plan: Plan, encodings: Encodings, engine: Engine, batches: Batches, *, progress: Progress = silent
) -> Sensitivity:
    """Return what each node that the plan wants in integers costs.

    The network is run once per node on all samples, so a few dozen samples do.

    Args:
        model: the prepared float model.
        plan: where it is quantized.
        encodings: of the plan's activations and weights.
        engine: what computes Q/DQ nodes literally, such as ONNX Runtime without optimizations: the noise is that of
            quantization, not of a runtime.
        batches: the samples; the first output is compared.
        progress: how the step shows itself, node by node.

    Raises:
        PlanError: the plan wants no node in integers.
        DataError: there is not a single sample.
        EngineError: the engine refuses a model.
    """
    return sensitivity_of(OutputNoise(model, engine, batches), plan, encodings, progress=progress)


def sensitivity_of(noise: OutputNoise, plan: Plan, encodings: Encodings, *, progress: Progress = silent) -> Sensitivity:
    """Return what `measure_sensitivity` does, where the float model's outputs are there already.

    Raises:
        PlanError: the plan wants no node in integers.
        EngineError: the engine refuses a model.
    """
    if not plan.integer_nodes:
        raise PlanError(f"plan for {plan.target}: no node is quantized, so there is no sensitivity to measure")
    model = noise.model
    operators = {name: node.op_type for name, node in model.nodes_by_name().items()}
    rows = []
    with progress("quantizing one node at a time", len(plan.integer_nodes) + 1) as advance:
        whole = noise.of(bake(insert(model, plan, encodings), plan))
        advance(1)
        for node in plan.integer_nodes:
            alone, own = only_node(model, plan, encodings, node)
            rows.append(NodeSensitivity(node, operators[node], noise.of(bake(insert(model, alone, own), alone))))
            advance(1)
    nodes = tuple(sorted(rows, key=lambda row: row.sqnr.db))
    return Sensitivity(plan.target, noise.output, noise.samples, nodes, whole)


class OutputNoise:
    """What other models make of a float model's first output, on the same samples."""

    def __init__(self, model: Model, engine: Engine, batches: Batches) -> None:
        """Compute the float model's outputs; they are held in memory.

        Args:
            model: the prepared float model.
            engine: as for `measure_sensitivity`.
            batches: the samples.

        Raises:
            DataError: there is not a single sample.
            EngineError: the engine refuses the model.
        """
        self.model, self.output = model, model.outputs[0]
        self._engine, self._batches = engine, batches
        self._reference = list(self._outputs(model))
        if not self._reference:
            raise DataError(f"data {batches.name!r}: not a single sample to compare; check the path and the range")

    @property
    def samples(self) -> int:
        """How many samples are compared."""
        return sum(len(array) for array in self._reference)

    def of(self, model: Model) -> Sqnr:
        """Return the noise of a model's output against the float model's.

        Raises:
            EngineError: the engine refuses the model.
        """
        total = SqnrSum()
        for ours, theirs in zip(self._reference, self._outputs(model), strict=True):
            total.add(ours, theirs)
        return total.result()

    def _outputs(self, model: Model) -> Iterator[Array]:
        with self._engine.open(model) as session:
            for batch in self._batches:
                yield run_padded(session, batch.feeds)[self.output]


def only_node(model: Model, plan: Plan, encodings: Encodings, node: str) -> tuple[Plan, Mapping[str, Any]]:
    """Return the part of a plan that is about one node, and the encodings of its points.

    Raises:
        PlanError: the model has no such node.
    """
    found = model.nodes_by_name().get(node)
    if found is None:
        raise PlanError(f"plan: the model has no node {node!r}; take the plan of this very model")
    written = {value.name for value in found.outputs}
    points = tuple(part for point in plan.points if (part := _part(point, node, written)) is not None)
    names = {point.tensor for point in points}
    alone = Plan(
        target=plan.target,
        points=points,
        integer_nodes=(node,),
        fences=tuple(tensor for tensor in plan.fences if tensor in names),
        unbaked=tuple(tensor for tensor in plan.unbaked if tensor in names),
    )
    owners = {point.tensor: point.shared_with or point.tensor for point in plan.points if point.role != "bias"}
    return alone, {tensor: encodings[owner] for tensor, owner in owners.items() if tensor in names}


def _part(point: Point, node: str, written: set[str | None]) -> Point | None:
    """Return what of a point concerns one node; its encoding is settled, so it leans on no other any more."""
    if point.tensor in written:
        readers = point.readers
    else:
        readers = tuple(reader for reader in point.readers if reader.node == node)
        if not readers:
            return None
    is_output = point.is_output and point.tensor in written
    return replace(point, readers=readers, is_output=is_output, shared_with=None, scale_floor=None)
