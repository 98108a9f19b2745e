"""A plan in a file → a stand-in for its model, and the engine that runs it: what evaluating asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from quantlab.engines.tensorrt.engine import TensorRT
from quantlab.engines.tensorrt.execution import RunSettings
from quantlab.engines.tensorrt.session import TensorRtSession
from quantlab.errors import EngineError
from quantlab.graph.model import Model
from quantlab.graph.stand_in import stand_in_for

PLAN_SUFFIXES = (".plan", ".engine", ".trt")
"""What people call the files of plans."""


@dataclass(frozen=True, slots=True)
class PlanEngine:
    """TensorRT, for one plan that is run without the model it was built from.

    Attributes:
        engine: how to run it; it names the plan.
    """

    engine: TensorRT

    @property
    def name(self) -> str:
        """What users call it."""
        return self.engine.name

    @property
    def is_simulation(self) -> bool:
        """False: what comes out is what is deployed."""
        return False

    def open(self, model: Model, taps: Sequence[str] = ()) -> TensorRtSession:
        """Load the plan.

        Args:
            model: the plan's stand-in.
            taps: must be empty.

        Raises:
            EngineError: there are taps, or the plan cannot be run here.
        """
        if taps:
            raise EngineError(f"{model.name}: a plan shows no inner tensors; name the .onnx file it was built from")
        return self.engine.open_plan()

    def describe(self) -> dict[str, str]:
        """Return name, version and settings, for reports."""
        return self.engine.describe()


def is_plan(path: str | Path) -> bool:
    """Whether a file is called like a plan."""
    return Path(path).suffix in PLAN_SUFFIXES


def open_plan_file(path: Path, run: RunSettings) -> tuple[Model, PlanEngine]:
    """Return a plan's stand-in, and what runs it.

    Args:
        path: the plan.
        run: how it is run.

    Raises:
        EngineError: it is no plan, has no side-car, or cannot be run here.
        EngineMissing: TensorRT, or a package for GPU memory, is not installed.
    """
    engine = PlanEngine(TensorRT(plan=path, run=run))
    with engine.engine.open_plan() as session:
        return stand_in_for(path, "TensorRTPlan", session.inputs, session.outputs), engine
