"""Trained module + INT8 model + samples → how far they agree: what is deployed must be what was trained."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from quantlab.data.batch import Batches
from quantlab.engines.engine import Session
from quantlab.evaluation.answers import answers_of
from quantlab.evaluation.judge import run_padded
from quantlab.qat.judge import on_device
from quantlab.qat.module import QuantizedModule
from quantlab.qdq.pairs import pairs
from quantlab.qdq.read import tensor_name

# Of the widest range of 8 bits, from its lowest to its highest integer.
_LEVELS = 255


@dataclass(frozen=True, slots=True)
class Parity:
    """How far an INT8 model does what the trained module does.

    Attributes:
        samples: how many samples both saw.
        agreeing: equal answers.
        answers: all answers; 0 where the output holds none.
        worst_error: the largest difference of the output.
        worst_steps: the same in steps of the output's scale; where the output is not quantized, in those that 8 bits
            would have over the range of the module's outputs; None where that range is a single value.
        is_quantized: whether the output is.
    """

    samples: int
    agreeing: int
    answers: int
    worst_error: float
    worst_steps: float | None
    is_quantized: bool = False

    @property
    def share(self) -> float | None:
        """The share of equal answers, 0 to 1, or None where there are none."""
        return self.agreeing / self.answers if self.answers else None

    def to_json(self) -> dict[str, Any]:
        """Return plain values, the share included."""
        return {**asdict(self), "share": self.share}

    def __str__(self) -> str:
        unit = "quantization steps" if self.is_quantized else "steps, were the float output quantized"
        steps = "" if self.worst_steps is None else f" ({self.worst_steps:.2f} {unit})"
        same = "" if self.share is None else f"{self.share:.2%} of the answers are equal, "
        what = f"INT8 model against trained module, {self.samples} samples"
        return f"{what}: {same}worst error {self.worst_error:.3g}{steps}"


def parity_of(
    module: QuantizedModule, session: Session, batches: Batches, *, device: torch.device, output: str
) -> Parity:
    """Return how far a session of the INT8 model does what a module does.

    Args:
        module: trained, on its device.
        session: the INT8 model, opened.
        batches: what both are fed.
        device: where the module is.
        output: the output to compare.
    """
    samples = agreeing = answers = 0
    worst, low, high = 0.0, np.inf, -np.inf
    for batch in batches:
        theirs = run_padded(session, batch.feeds)[output].astype(np.float64)
        with torch.no_grad():
            ours = module.run(on_device(batch, device)[0])[output].cpu().numpy().astype(np.float64)
        worst = max(worst, float(np.max(np.abs(ours - theirs), initial=0.0)))
        low, high = min(low, float(ours.min())), max(high, float(ours.max()))
        samples += batch.size
        decided = answers_of(ours), answers_of(theirs)
        if decided[0] is not None and decided[1] is not None:
            agreeing += int(np.count_nonzero(decided[0] == decided[1]))
            answers += decided[0].size
    step = _step_of(module, output)
    size = step if step is not None else (high - low) / _LEVELS
    steps = worst / size if size > 0 else None
    return Parity(samples, agreeing, answers, worst, steps, is_quantized=step is not None)


def _step_of(module: QuantizedModule, output: str) -> float | None:
    """Return the scale of a quantized output, or None."""
    for pair in pairs(module.qdq_model().graph):
        if tensor_name(pair) == output and pair.output.is_graph_output() and pair.encoding.scale.ndim == 0:
            return float(pair.encoding.scale)
    return None
