"""Float model + TensorRT calibration cache → INT8 model with the same scales, for TensorRT 11 without any data.

A cache names the tensors of the ONNX file it was calibrated with, and some that TensorRT made itself. Preparing the
model may have removed a tensor, as that between a convolution and its batch norm; those are not needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quantlab.errors import CalibrationError
from quantlab.graph.model import Model
from quantlab.graph.prepare import prepare
from quantlab.interop.calibration_cache import CalibrationCache
from quantlab.interop.known import Known, KnownRange, is_usable
from quantlab.interop.migrate import Migration, migrate
from quantlab.targets import target_named


@dataclass(frozen=True, eq=False, slots=True)
class CacheImport:
    """What a cache gave.

    Attributes:
        cache: the cache.
        migration: the INT8 model and what it was made from.
        unknown: tensors of the cache that the model does not have.
        unusable: tensors of the model whose scale is 0, negative, infinite or NaN.
    """

    cache: CalibrationCache
    migration: Migration
    unknown: tuple[str, ...]
    unusable: tuple[str, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """Tensors that the target would quantize, and the cache has no scale for."""
        return tuple(dict.fromkeys(self.migration.kept_float.values()))

    @property
    def used(self) -> tuple[str, ...]:
        """Tensors quantized with their scale from the cache."""
        points = self.migration.plan.of_role("activation")
        return tuple(point.tensor for point in points if point.tensor in self.cache.scales)

    def __str__(self) -> str:
        lines = [f"{self.cache}: {len(self.used)} of its scales are used"]
        lines += _listed("not in the model", self.unknown)
        lines += _listed("no usable scale", self.unusable)
        return "\n".join([*lines, *(f"  {note}" for note in self.migration.notes)])


def import_cache(
    cache: CalibrationCache, model: Model, *, target: str = "tensorrt", keep_float: Sequence[str] = ()
) -> CacheImport:
    """Return a float model quantized with the scales of a cache.

    Args:
        cache: what TensorRT, or a run of quantlab, wrote.
        model: the float model as it was calibrated; it is prepared here.
        target: the runtime to place for.
        keep_float: nodes to leave float.

    Raises:
        CalibrationError: the cache names no tensor of the model, or none that the target quantizes.
        ModelError: the model cannot be prepared.
    """
    prepared = prepare(model)
    original, now = model.values_by_name(), prepared.values_by_name()
    unknown = tuple(name for name in cache.scales if name not in original and name not in now)
    found = {name: scale for name, scale in cache.scales.items() if name in now}
    if not found:
        raise CalibrationError(
            f"calibration cache: none of its {len(cache.scales)} tensors is in {model.name}, as {_first(unknown)}; "
            "give the very ONNX file that the cache was calibrated with"
        )
    unusable = tuple(name for name, scale in found.items() if not is_usable(scale))
    ranges = {name: KnownRange.of_symmetric(scale) for name, scale in found.items() if name not in unusable}
    migration = migrate(prepared, target_named(target), Known(ranges), keep_float=keep_float)
    return CacheImport(cache, migration, unknown, unusable)


def _first(names: Sequence[str]) -> str:
    return repr(names[0]) if names else "nothing"


def _listed(what: str, names: Sequence[str]) -> list[str]:
    return [f"  {what}: {name}" for name in names]
