"""What the shell completes after an option: the names that the option takes, asked of where they are defined."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args


def calibrators(incomplete: str) -> list[str]:
    """Return the calibrators that begin so."""
    from quantlab.calibrators import CALIBRATORS

    return _beginning(incomplete, CALIBRATORS)


def targets(incomplete: str) -> list[str]:
    """Return the targets that begin so."""
    from quantlab.targets import TARGETS

    return _beginning(incomplete, TARGETS)


def weight_ranges(incomplete: str) -> list[str]:
    """Return the methods for weight ranges that begin so."""
    from quantlab.calibrate import WeightMethod

    return _beginning(incomplete, get_args(WeightMethod))


def weight_scales(incomplete: str) -> list[str]:
    """Return how many scales a weight may have, in words that begin so."""
    from quantlab.targets import WeightScales

    return _beginning(incomplete, get_args(WeightScales))


def losses(incomplete: str) -> list[str]:
    """Return the losses of a training that begin so."""
    from quantlab.qat.settings import Loss

    return _beginning(incomplete, get_args(Loss))


def distances(incomplete: str) -> list[str]:
    """Return the distances of a distillation that begin so."""
    from quantlab.qat.settings import Distance

    return _beginning(incomplete, get_args(Distance))


def optimizers(incomplete: str) -> list[str]:
    """Return the optimizers that begin so."""
    from quantlab.qat.settings import OptimizerName

    return _beginning(incomplete, get_args(OptimizerName))


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
