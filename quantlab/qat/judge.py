"""Trained module + held-out samples → its score: right answers and loss, without augmentation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from quantlab.data.batch import Array, Batch
from quantlab.evaluation.answers import answers_of, right_answers
from quantlab.progress import Advance
from quantlab.qat.history import Measure, Score
from quantlab.qat.losses import Objective
from quantlab.ranks import ALONE, Ranks
from quantlab.torchgraph.module import GraphModule

_MEASURES: tuple[Measure, ...] = ("accuracy", "agreement")


class Judge:
    """Judges one training's module again and again on the same samples."""

    def __init__(
        self,
        batches: Sequence[Batch],
        objective: Objective,
        teacher: GraphModule,
        features: Sequence[str],
        ranks: Ranks = ALONE,
    ) -> None:
        """Take what judging needs.

        Args:
            batches: the held-out samples.
            objective: the loss.
            teacher: the float model.
            features: inner tensors that the loss compares.
            ranks: the processes that judge together, each some of the batches.
        """
        self._batches = batches[ranks.number :: ranks.size]
        self._ranks = ranks
        self._objective = objective
        self._teacher = teacher
        self._features = tuple(features)

    @property
    def size(self) -> int:
        """How many samples this process judges on."""
        return sum(batch.size for batch in self._batches)

    def score(self, module: GraphModule, device: torch.device, on_progress: Advance | None = None) -> Score:
        """Return how good a module is.

        Args:
            module: what is judged.
            device: where it is.
            on_progress: told of the samples that are done.

        Raises:
            DataError: a label is outside the classes.
        """
        right = total = samples = 0
        loss = 0.0
        measure: Measure = "loss"
        for batch in self._batches:
            feeds, labels = on_device(batch, device)
            with torch.no_grad():
                expected = self._teacher.run(feeds, self._features)
                outputs = module.run(feeds, self._features)
                loss += batch.size * float(self._objective(outputs, expected, labels))
            samples += batch.size
            if on_progress is not None:
                on_progress(batch.size)
            answer = self._objective.answer
            found = _right(outputs[answer].cpu().numpy(), batch, expected[answer].cpu().numpy())
            if found is not None:
                measure, bits = found
                right, total = right + int(bits.sum()), total + int(bits.size)
        sums = self._ranks.summed([right, total, samples, loss])
        # A process without a batch knows no measure.
        measures = {found.decode() for found in self._ranks.gathered(measure.encode())} - {"loss"}
        agreed: Measure = next((name for name in _MEASURES if name in measures), "loss")
        return Score(agreed, int(sums[0]), int(sums[1]), sums[3] / sums[2])


def on_device(batch: Batch, device: torch.device) -> tuple[dict[str, Tensor], Tensor | None]:
    """Return the feeds of a batch on a device, as tensors that may be written to, and labels or truth on the CPU."""
    feeds = {name: torch.from_numpy(np.array(array, order="C")).to(device) for name, array in batch.feeds.items()}
    told = batch.labels if batch.truth is None else batch.truth
    return feeds, None if told is None else torch.from_numpy(np.array(told))


def _right(output: Array, batch: Batch, expected: Array) -> tuple[Measure, Array] | None:
    """Return which answers are right and what that means, or None where only the loss tells."""
    if batch.truth is not None:
        return None
    if batch.labels is not None:
        right = right_answers(output, batch.labels, top_k=1)
        if right is not None:
            return "accuracy", right
    ours, theirs = answers_of(output), answers_of(expected)
    return None if ours is None or theirs is None else ("agreement", np.asarray(ours == theirs))
