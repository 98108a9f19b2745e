"""Q/DQ model → TensorRT calibration cache, for TensorRT 8 and 10, Jetson and DLA.

    symmetric int8 (target tensorrt)     its scale, bit for bit
    affine uint8 (other targets)         max(|low|, |high|) / 127, the symmetric scale that covers the same range

Weights are left out: TensorRT takes their ranges from the weights themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quantlab.errors import CalibrationError
from quantlab.graph.model import Model
from quantlab.interop.calibration_cache import CalibrationCache, header_for
from quantlab.interop.known import KnownRange
from quantlab.plan import Point
from quantlab.qdq import read
from quantlab.scheme import Scheme


@dataclass(frozen=True, eq=False, slots=True)
class CacheExport:
    """What came out of a model.

    Attributes:
        cache: the cache.
        covered: tensors whose affine range had to be covered by a symmetric one.
        left_out: tensors with one scale per channel, which TensorRT has only for weights.
    """

    cache: CalibrationCache
    covered: tuple[str, ...]
    left_out: tuple[str, ...]

    def __str__(self) -> str:
        lines = [str(self.cache)]
        if self.covered:
            lines.append(f"  {len(self.covered)} affine ranges became the symmetric ones that cover them")
        lines += [f"  left out, since it has one scale per channel: {name}" for name in self.left_out]
        return "\n".join(lines)


def export_cache(model: Model, *, version: str = "8.6.1", algorithm: str = "entropy2") -> CacheExport:
    """Return the activation scales of a Q/DQ model as a calibration cache.

    Args:
        model: what `quantlab ptq` or another tool made.
        version: the TensorRT that will read the cache; it refuses the header of another one.
        algorithm: `entropy2` or `minmax`, the calibrator class that will read it.

    Raises:
        RecipeError: the version or the algorithm does not exist.
        CalibrationError: the model quantizes no activation.
        ModelError: a scale or zero point is not a constant, or of an unknown type.
    """
    header = header_for(version, algorithm)
    plan, encodings = read(model)
    scales: dict[str, np.float32] = {}
    covered, left_out = [], []
    for point in plan.of_role("activation"):
        encoding = encodings[point.shared_with or point.tensor]
        if encoding.scale.ndim:
            left_out.append(point.tensor)
            continue
        known = KnownRange.of_encoding(encoding)
        scales[point.tensor] = np.float32(known.encoded(Point(point.tensor, Scheme("int8"), "activation", ())).scale)
        if known.scale is None:
            covered.append(point.tensor)
    if not scales:
        raise CalibrationError(f"{model.name}: it quantizes no activation, so that there is nothing to export")
    return CacheExport(CalibrationCache(header, scales), tuple(covered), tuple(left_out))
