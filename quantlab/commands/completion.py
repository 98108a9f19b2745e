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


def collectors(incomplete: str) -> list[str]:
    """Return the engines that collect and begin so."""
    from quantlab.recipe import COLLECTORS

    return _beginning(incomplete, COLLECTORS)


def judging_engines(incomplete: str) -> list[str]:
    """Return the engines that judge models and begin so."""
    return _beginning(incomplete, ("onnxruntime", "tensorrt"))


def runtimes(incomplete: str) -> list[str]:
    """Return the runtimes that build plans and begin so."""
    from quantlab.engines.tensorrt import RUNTIMES

    return _beginning(incomplete, RUNTIMES)


def audited_runtimes(incomplete: str) -> list[str]:
    """Return the runtimes that can be audited and begin so."""
    from quantlab.deployment import ENGINES

    return _beginning(incomplete, ENGINES)


def runners(incomplete: str) -> list[str]:
    """Return what runs a model beside its simulation and begins so."""
    from quantlab.contenders import RUNNERS

    return _beginning(incomplete, RUNNERS)


def precisions(incomplete: str) -> list[str]:
    """Return the precisions of a plan that begin so."""
    from quantlab.deployable import Precision

    return _beginning(incomplete, get_args(Precision))


def formats(incomplete: str) -> list[str]:
    """Return the formats of a report that begin so."""
    from quantlab.commands.report import FORMATS

    return _beginning(incomplete, FORMATS)


def free_axes(incomplete: str) -> list[str]:
    """Return which axes of a torch model may be free, in words that begin so."""
    from quantlab.torchmodels.settings import FreeAxes

    return _beginning(incomplete, get_args(FreeAxes))


def presets(incomplete: str) -> list[str]:
    """Return the presets of preprocessing that begin so."""
    from quantlab.data.preprocess import PRESETS

    return _beginning(incomplete, PRESETS)


def algorithms(incomplete: str) -> list[str]:
    """Return the calibrator classes of TensorRT that begin so."""
    from quantlab.interop.calibration_cache import ALGORITHMS

    return _beginning(incomplete, ALGORITHMS)


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
