"""How a tensor may be encoded: the integer type, symmetric or affine, and along which axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from quantlab.errors import PlanError

IntegerType = Literal["int8", "uint8", "int32"]

# int32 stops one short of its minimum so that a negated bias is still representable.
_LIMITS: dict[str, tuple[int, int]] = {
    "int8": (-128, 127),
    "uint8": (0, 255),
    "int32": (-(2**31) + 1, 2**31 - 1),
}


@dataclass(frozen=True, slots=True)
class Scheme:
    """How one tensor may be encoded.

    Attributes:
        dtype: the stored integer type.
        symmetric: the zero point is 0 and the range is mirrored around 0; otherwise (affine) the zero point is free.
        axis: the axis that owns one scale per index, or None for one scale for the whole tensor.
            For a convolution weight [out, in/groups, kh, kw] and axis 0 the scale has shape [out].
        narrow: leave out the lowest integer, so that int8 means [-127, 127]; usual for weights, and for int8 only.

    Raises:
        PlanError: the type is unknown, or cannot be narrow.
    """

    dtype: IntegerType
    symmetric: bool = True
    axis: int | None = None
    narrow: bool = False

    def __post_init__(self) -> None:
        if self.dtype not in _LIMITS:
            raise PlanError(f"scheme: {self.dtype!r} is not among {', '.join(_LIMITS)}")
        if self.narrow and self.dtype != "int8":
            raise PlanError(f"scheme: only int8 can be narrow, not {self.dtype}; leave `narrow` out")

    @property
    def lowest(self) -> int:
        """The smallest integer an encoded value may have."""
        return _LIMITS[self.dtype][0] + int(self.narrow)

    @property
    def highest(self) -> int:
        """The largest integer an encoded value may have."""
        return _LIMITS[self.dtype][1]

    @property
    def numpy_dtype(self) -> np.dtype[np.generic]:
        """The stored type as numpy names it."""
        return np.dtype(self.dtype)

    def __str__(self) -> str:
        kind = "symmetric" if self.symmetric else "affine"
        return f"{self.dtype} {kind}" + ("" if self.axis is None else f" axis={self.axis}")
