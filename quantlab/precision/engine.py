"""Runs half-precision models on a CPU as a GPU would compute them, in place of a GPU that is not here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quantlab.engines.engine import Session
from quantlab.engines.onnxruntime import OnnxRuntime
from quantlab.graph.model import Model
from quantlab.precision.simulate import with_float_arithmetic


@dataclass(frozen=True, slots=True)
class HalfPrecision:
    """ONNX Runtime, with every result of a half-precision node rounded to float16; see `with_float_arithmetic`.

    Attributes:
        threads: threads that share the work of one operator, at least 1; None for one per physical core.
        libraries: files of custom operator libraries.
    """

    threads: int | None = None
    libraries: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What it is called in reports."""
        return "half precision"

    @property
    def is_simulation(self) -> bool:
        """True: rounding takes time that no GPU needs, and float32 products take more than float16 ones."""
        return True

    @property
    def _runtime(self) -> OnnxRuntime:
        # Rewriting would be up to 1.5 times as fast, but nothing promises that no rewrite leaves out a rounding.
        return OnnxRuntime(self.threads, optimization="none", libraries=self.libraries)

    def open(self, model: Model, taps: Sequence[str] = ()) -> Session:
        """Load a model, half precision as `to_half` makes it; see `OnnxRuntime.open`."""
        return self._runtime.open(with_float_arithmetic(model), taps)

    def describe(self) -> dict[str, str]:
        """Return name, version and settings, for reports."""
        return {**self._runtime.describe(), "engine": self.name, "results": "rounded to float16, sums in float32"}
