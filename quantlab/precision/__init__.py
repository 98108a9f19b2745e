"""Half precision: float model → float16 around the nodes that must stay float32, and what that does to the numbers."""

from quantlab.precision.choose import LARGEST, SMALLEST
from quantlab.precision.convert import to_half
from quantlab.precision.engine import HalfPrecision
from quantlab.precision.simulate import with_float_arithmetic

__all__ = ["LARGEST", "SMALLEST", "HalfPrecision", "to_half", "with_float_arithmetic"]
