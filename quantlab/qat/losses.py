"""Outputs of the trained and of the float model, and labels → the number that training makes small.

    kl     T² · Σ p · (e^d − 1 − d) / positions,     p, q = softmax of the float and of the trained model's logits / T,
                                                     d = log q − log p
    mse    Σ (t − s)² / Σ t²,                        t, s the float and the trained model's tensor, over the batch
    task   −Σ log q[label] / samples,                or a user's function

    distill = mean over outputs of kl or mse + feature_weight · mean over features of mse
    both    = (1 − task_share) · distill + task_share · task

This kl is Σ p · (log p − log q), since p and q both add up to 1; but no term of it is negative, so that of two nearly
equal models float32 still tells which is nearer. T² keeps the size of the gradient where T changes. An output that is a
softmax already is not put through another.

Source: Hinton, Vinyals, Dean, Distilling the Knowledge in a Neural Network, 2015, section 2.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from quantlab.errors import DataError, RecipeError
from quantlab.evaluation.accuracy import check_labels
from quantlab.graph.model import Model
from quantlab.qat.hooks import TaskLoss, own_code
from quantlab.qat.settings import QatSettings
from quantlab.torchgraph.module import GraphModule

Tensors = Mapping[str, Tensor]

# Smaller probabilities than this are noise of the softmax; their logarithm must not become infinite.
_SMALLEST_PROBABILITY = 1e-12


class Objective:
    """The loss of one training."""

    def __init__(
        self, settings: QatSettings, model: Model, *, output: str | None = None, task_loss: TaskLoss | None = None
    ) -> None:
        """Choose the outputs that count.

        Args:
            settings: the losses and their weights.
            model: the float model, whose graph says which outputs are probabilities.
            output: the output that holds the answer; None for the first, and for distilling all that are floats.
            task_loss: takes the place of the cross-entropy.

        Raises:
            RecipeError: the model has no such output.
        """
        if output is not None and output not in model.outputs:
            raise RecipeError(f"output {output!r}: the model has {', '.join(model.outputs)}")
        self.answer = output or model.outputs[0]
        self._distilled = (self.answer,) if output is not None else model.outputs
        self._settings = settings
        self._task_loss = task_loss
        self._probabilities = frozenset(name for name in model.outputs if _is_softmax(model, name))

    def __call__(self, student: Tensors, teacher: Tensors, labels: Tensor | None) -> Tensor:
        """Return the loss of one batch, float32 [].

        Args:
            student: outputs and features of the trained model by name.
            teacher: the same of the float model; empty where the loss needs none.
            labels: int64 [samples] on the CPU, where looking at them waits for no device, or for a loss of a user's
                own whatever the samples come with; or None.

        Raises:
            DataError: the loss needs labels and there are none, or a label is outside the classes.
        """
        settings = self._settings
        loss = self._features(student, teacher)
        if settings.loss == "distill":
            return loss + self._distill(student, teacher)
        task = self._task(student, labels)
        if settings.loss == "task":
            return loss + task
        return loss + (1 - settings.task_share) * self._distill(student, teacher) + settings.task_share * task

    def _distill(self, student: Tensors, teacher: Tensors) -> Tensor:
        distances = [
            self._distance(name, student[name], teacher[name])
            for name in self._distilled
            if teacher[name].is_floating_point()
        ]
        if not distances:
            raise RecipeError("loss 'distill': no output of the model holds floats; use the loss 'task'")
        return torch.stack(distances).mean()

    def _features(self, student: Tensors, teacher: Tensors) -> Tensor:
        settings = self._settings
        distances = [relative_error(student[name], teacher[name]) for name in settings.features]
        if not distances:
            return next(iter(student.values())).new_zeros(())
        return settings.feature_weight * torch.stack(distances).mean()

    def _distance(self, name: str, student: Tensor, teacher: Tensor) -> Tensor:
        kind = self._settings.distance
        axis = class_axis(teacher)
        if kind == "mse" or axis is None:
            return relative_error(student, teacher)
        temperature = self._settings.temperature
        ours = self._log_probabilities(name, student, axis, temperature)
        theirs = self._log_probabilities(name, teacher, axis, temperature)
        positions = teacher.numel() // teacher.shape[axis]
        return divergence(ours, theirs) / positions * temperature**2

    def _log_probabilities(self, name: str, tensor: Tensor, axis: int, temperature: float = 1.0) -> Tensor:
        logits = tensor.float()
        if name in self._probabilities:
            logits = logits.clamp_min(_SMALLEST_PROBABILITY).log()
        return functional.log_softmax(logits / temperature, dim=axis)

    def _task(self, student: Tensors, labels: Tensor | None) -> Tensor:
        if labels is None:
            raise DataError(f"loss {self._settings.loss!r}: the samples have no labels; give some, or use 'distill'")
        answer = student[self.answer]
        if self._task_loss is not None:
            return _own_loss(self._task_loss, student, labels.to(answer.device))
        axis = class_axis(answer)
        if axis is None or answer.numel() != answer.shape[0] * answer.shape[axis]:
            raise RecipeError(
                f"loss {self._settings.loss!r}: output {self.answer!r} of shape {list(answer.shape)} is not one answer "
                "per sample; give a loss function of your own, or use 'distill'"
            )
        logarithms = self._log_probabilities(self.answer, answer, axis).reshape(len(labels), -1)
        check_labels(labels.numpy(), classes=logarithms.shape[1])
        return functional.nll_loss(logarithms, labels.to(answer.device))


def _own_loss(function: TaskLoss, student: Tensors, labels: Tensor) -> Tensor:
    """Return what a user's function makes of a batch.

    Raises:
        DataError: it raises, or what it returns is no loss; the message says what it was given.
    """
    given = ", ".join(f"{name!r} {list(tensor.shape)}" for name, tensor in student.items())
    what = f"task_loss (outputs {given}; labels {_described(labels)})"
    with own_code(what):
        loss: object = function(student, labels)
    if isinstance(loss, Tensor) and loss.numel() == 1 and loss.is_floating_point():
        return loss.reshape(())
    made = _described(loss) if isinstance(loss, Tensor) else f"a {type(loss).__name__}"
    raise DataError(f"{what}: your function returned {made}, not a tensor of one number to minimize")


def _described(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


def check_features(names: Sequence[str], student: GraphModule, teacher: GraphModule) -> None:
    """Check that both models compute the tensors that are to be alike.

    Raises:
        RecipeError: one of them computes no tensor of such a name.
    """
    known = sorted(set(student.taps) & set(teacher.taps))
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3)
            advice = f"did you mean {' or '.join(map(repr, near))}?" if near else f"they do compute {known[0]!r}"
            raise RecipeError(f"feature {name!r}: the two models compute no such tensor; {advice}")


def divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence of the student's distributions from the teacher's, summed, float32 [].

    Args:
        student: logarithms of probabilities that add up to 1.
        teacher: likewise, of the same shape.
    """
    p, d = teacher.exp(), student - teacher
    # Beyond 1 e^d may overflow, and nothing cancels any more.
    is_near = d < 1
    near = p * (torch.expm1(torch.where(is_near, d, 0.0)) - d)
    return torch.where(is_near, near, student.exp() - p - p * d).sum()


def relative_error(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the squared error over the squares of the float model's tensor, float32 []."""
    expected = teacher.float()
    energy = expected.square().mean().clamp_min(torch.finfo(torch.float32).tiny)
    return functional.mse_loss(student.float(), expected) / energy


def class_axis(output: Tensor) -> int | None:
    """Return the axis of an output that holds classes, or None where there is none; see `evaluation.answers`."""
    rank = output.ndim
    while rank > 2 and output.shape[rank - 1] == 1:
        rank -= 1
    if rank < 2 or (rank == 2 and output.shape[1] == 1):
        return None
    return 2 if rank == 3 else 1


def _is_softmax(model: Model, output: str) -> bool:
    value = next(value for value in model.graph.outputs if value.name == output)
    producer = value.producer()
    return producer is not None and producer.op_type == "Softmax"
