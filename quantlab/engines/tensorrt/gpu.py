"""Which GPU this process would use, asked from the driver itself, without a package and without a context.

Source: the CUDA driver API: cuInit, cuDeviceGet, cuDeviceGetName, cuDeviceGetAttribute (75 and 76 are the compute
capability). CUDA_VISIBLE_DEVICES is honoured, since the driver numbers the devices.
"""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass

_MAJOR, _MINOR = 75, 76
_NAME_BYTES = 256


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU.

    Attributes:
        name: such as `NVIDIA L4`.
        compute_capability: such as `8.9`; what kernels are compiled for.
    """

    name: str
    compute_capability: str

    def __str__(self) -> str:
        return f"{self.name} (compute capability {self.compute_capability})"


def current_gpu() -> Gpu | None:
    """Return the first GPU that CUDA shows to this process, or None where there is no driver or no GPU."""
    try:
        cuda = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return None
    device, name = ctypes.c_int(), ctypes.create_string_buffer(_NAME_BYTES)
    if cuda.cuInit(0) or cuda.cuDeviceGet(ctypes.byref(device), 0):
        return None
    if cuda.cuDeviceGetName(name, _NAME_BYTES, device):
        return None
    numbers = [ctypes.c_int(), ctypes.c_int()]
    for number, attribute in zip(numbers, (_MAJOR, _MINOR), strict=True):
        if cuda.cuDeviceGetAttribute(ctypes.byref(number), attribute, device):
            return None
    return Gpu(name.value.decode(), f"{numbers[0].value}.{numbers[1].value}")
