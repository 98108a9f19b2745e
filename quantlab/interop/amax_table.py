"""Checkpoint of pytorch-quantization or ModelOpt → what its quantizers were calibrated to.

    layer1.0.conv1._input_quantizer._amax     []             the largest magnitude of what the convolution reads
    layer1.0.conv1._weight_quantizer._amax    [out, 1, 1, 1] that of its weight, per channel
    layer1.0.residual_quantizer._amax         []             that of a residual sum's skip
    layer1.0.conv1.weight                     the weight that they were made for

ModelOpt leaves the underscore before the quantizer out.

Source: tensor_quantizer.py of pytorch-quantization 2.2.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from quantlab.errors import CalibrationError, EngineMissing

if TYPE_CHECKING:
    import torch

Float32 = npt.NDArray[np.float32]

_AMAX = re.compile(r"(?P<module>.*)\.(?P<quantizer>\w*quantizer)\._amax")


@dataclass(frozen=True, eq=False, slots=True)
class AmaxTable:
    """What a state dict holds of quantizers.

    Attributes:
        amax: the largest magnitude by module and quantizer, such as ("layer1.0.conv1", "input_quantizer"); the
            leading underscore is left out.
        weights: by module.
    """

    amax: Mapping[tuple[str, str], Float32]
    weights: Mapping[str, Float32]


def read_amax(path: str | Path) -> AmaxTable:
    """Read the quantizers of a checkpoint, whose state dict may lie a level down, under `state_dict` or `model`.

    Nothing but tensors and plain values is unpickled.

    Raises:
        EngineMissing: torch is not installed.
        CalibrationError: the file cannot be read, holds other objects, or no quantizer was calibrated.
    """
    try:
        import torch
    except ImportError as error:
        raise EngineMissing(f"{path}: torch reads this file; install it: pip install 'quantlab[torch]'") from error
    from pickle import UnpicklingError

    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CalibrationError(
            f"{path}: no state dict can be read ({reason}); save `model.state_dict()` alone with torch.save"
        ) from error
    arrays = {name: value.float().numpy() for name, value in _tensors(loaded)}
    matches = ((_AMAX.fullmatch(name), array) for name, array in arrays.items())
    amax = {(match["module"], match["quantizer"].lstrip("_")): array for match, array in matches if match}
    if not amax:
        raise CalibrationError(f"{path}: no tensor is called *_quantizer._amax; load it after calibration")
    weights = {module: arrays[f"{module}.weight"] for module, _ in amax if f"{module}.weight" in arrays}
    return AmaxTable(amax, weights)


def _tensors(loaded: object) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the tensors of a state dict by name, which may lie a level down and carry the prefix of DataParallel."""
    levels = [loaded, *(loaded.values() if isinstance(loaded, Mapping) else ())]
    named = [level for level in levels if isinstance(level, Mapping) and any(map(_is_amax, level))]
    for name, value in named[0].items() if named else ():
        if isinstance(name, str) and hasattr(value, "numpy"):
            yield name.removeprefix("module."), value


def _is_amax(name: object) -> bool:
    return isinstance(name, str) and _AMAX.fullmatch(name) is not None
