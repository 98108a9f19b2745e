"""What to measure when models are evaluated, validated once."""

from __future__ import annotations

from dataclasses import dataclass, field

from quantlab.errors import RecipeError
from quantlab.evaluation.answers import Task
from quantlab.evaluation.latency import LatencySettings


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """What to measure.

    Attributes:
        output: the output to judge, or None for the first.
        top_k: count answers among the k largest logits too, where above 1.
        task: `auto` finds answers by the output's shape; `regression` compares numbers only.
        latency_batch_sizes: the batch sizes to time; empty for none.
        latency: how long to time.
        has_memory: whether to measure the peak memory, in a process of its own per model.
        seed: of the bootstraps.
    """

    output: str | None = None
    top_k: int = 1
    task: Task = "auto"
    latency_batch_sizes: tuple[int, ...] = (1,)
    latency: LatencySettings = field(default_factory=LatencySettings)
    has_memory: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if self.top_k < 1:
            raise RecipeError(f"evaluation: top_k is {self.top_k}; give at least 1")
        if any(size < 1 for size in self.latency_batch_sizes):
            raise RecipeError(f"evaluation: latency batch sizes are {self.latency_batch_sizes}; give at least 1 each")
