"""What a user's own code may do during a training: change samples, judge outputs, watch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quantlab.errors import DataError, QuantlabError
from quantlab.progress import Progress, silent

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from quantlab.qat.history import EpochRecord, StepRecord

Augment = Callable[[Mapping[str, "Tensor"], "Generator"], Mapping[str, "Tensor"]]
"""Feeds by name, on the training's device, and a generator on the CPU → other feeds of the same names and types."""

TaskLoss = Callable[[Mapping[str, "Tensor"], "Tensor"], "Tensor"]
"""Outputs by name and labels → a loss, a single number to minimize.

Labels are class numbers, int64 [samples], where the samples come with one whole number each; else what they come with:
maps, boxes, values to predict, [samples, ...] of any type of numbers. They lie on the device of the outputs.
"""


@dataclass(frozen=True, slots=True)
class Hooks:
    """A user's own code, where there is any.

    Attributes:
        augment: changes the feeds of a batch before both models see them. Its generator is seeded by the seed, the
            epoch and the batch, and so is torch's global one while a batch is computed: what it draws is repeatable,
            also after resuming.
        task_loss: takes the place of the cross-entropy in the losses `task` and `both`. With it the labels may be any
            numbers; where they are not classes, the loss on the samples held out chooses the epoch.
        on_epoch: called with the start, number 0, and after each epoch, once its checkpoint is written; where a
            training goes on, only with the epochs that follow.
        on_step: called within an epoch, about once a second: to know the loss is to wait for the device.
        progress: how long steps show themselves.
    """

    augment: Augment | None = None
    task_loss: TaskLoss | None = None
    on_epoch: Callable[[EpochRecord], None] | None = None
    on_step: Callable[[StepRecord], None] | None = None
    progress: Progress = silent

    def tell(self, record: EpochRecord) -> None:
        """Tell who watches of an epoch."""
        if self.on_epoch is not None:
            self.on_epoch(record)


@contextlib.contextmanager
def own_code(what: str) -> Iterator[None]:
    """Say of an error in the block that it is one of the user's own code.

    Args:
        what: the hook, for the message.

    Raises:
        DataError: the block raised what is no error of quantlab.
    """
    try:
        yield
    except QuantlabError:
        raise
    except Exception as error:
        raise DataError(f"{what}: your function raised {type(error).__name__}: {error}") from error
